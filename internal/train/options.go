package train

// Options change how a run works, not what it computes.
type Options struct {
	Reporter         Reporter
	Threads, Workers int // override the configuration's unless 0
}
