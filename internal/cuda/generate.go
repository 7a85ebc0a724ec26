package cuda

//go:generate ./_ptx/generate
