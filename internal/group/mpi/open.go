//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"vicreg/internal/native"
)

// Open joins the processes that a launcher started. Its errors are sentences that say what
// is missing and what to do.
func Open(launch Launch) (*World, error) {
	if err := native.CheckVariable(); err != nil {
		return nil, err
	}
	defer runtime.UnlockOSThread()
	runtime.LockOSThread() // why a library cannot be loaded is told to the thread that tried
	w := &World{cells: new(cells), room: staging, patience: eager}
	if err := w.load(launch); err != nil {
		return nil, err
	}
	w.finalize = func() int { return w.api.MPI_Finalize.Call() }
	defer guardSignals()()
	c := w.cells
	if r := w.api.MPI_Init_thread.Call(0, 0, threadSerialized, at(&c.level)); r != 0 {
		return nil, fmt.Errorf("%s does not start: %s", w.library, w.text(r))
	}
	if c.level < threadSerialized {
		w.api.MPI_Finalize.Call()
		return nil, fmt.Errorf("%s lets only one thread call it, MPI_THREAD_SERIALIZED is needed", w.library)
	}
	for _, step := range []struct {
		f    *native.Func
		args []uintptr
	}{
		{&w.api.MPI_Comm_set_errhandler, []uintptr{w.h.world, w.h.errorsReturn}},
		{&w.api.MPI_Comm_rank, []uintptr{w.h.world, at(&c.rank)}},
		{&w.api.MPI_Comm_size, []uintptr{w.h.world, at(&c.size)}},
		{&w.api.MPI_Get_processor_name, []uintptr{at(&c.text), at(&c.length)}},
	} {
		if r := step.f.Call(step.args...); r != 0 {
			return nil, fmt.Errorf("%s of %s failed: %s", step.f.Name, w.library, w.text(r))
		}
	}
	w.rank, w.size, w.host = int(c.rank), int(c.size), string(c.text[:c.length])
	w.piece = pieceOf(w.size)
	c.sent, c.sentAt, c.gotAt = make([]int32, w.size), make([]int32, w.size), make([]int32, w.size)
	if w.size != launch.Size {
		w.api.MPI_Finalize.Call()
		return nil, fmt.Errorf("%s started %d processes, but %s (%s) sees %d: they are not of one kind; name the "+
			"library in %s (openmpi, mpich or a file)%s", launch.By, launch.Size, w.library, w.Version(), w.size,
			Variable, launch.hint())
	}
	memory, err := syscall.Mmap(-1, 0, buffers*staging, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE) // it is never given back: a network card may know it
	if err != nil {
		return nil, fmt.Errorf("no memory for what crosses between processes: %w", err)
	}
	for i := range w.buffer {
		w.buffer[i] = memory[i*staging:][:staging:staging]
	}
	return w, w.meet()
}

// hint is what to do besides where a launcher and a library do not find each other.
func (l Launch) hint() string {
	if l.By == "srun" {
		return ", or start with srun --mpi=pmix or --mpi=pmi2, whichever it was built for (srun --mpi=list)"
	}
	return ""
}

// load opens the library that the launcher speaks to, or else any.
func (w *World) load(launch Launch) error {
	choice, search := os.Getenv(Variable), search()
	var tried []string
	for _, f := range order(launch.kind, choice) {
		names := f.files
		if strings.Contains(choice, "/") {
			if _, err := os.Stat(choice); err != nil {
				return fmt.Errorf("%s names %q, which is no file", Variable, choice)
			}
			search, names = native.Search{First: []string{filepath.Dir(choice)}}, []string{filepath.Base(choice)}
		}
		for _, name := range names {
			l, err := search.Open(name)
			if err == nil {
				w.library = l
				w.h, err = f.handles(l)
			}
			if err == nil {
				err = l.Table(&w.api)
			}
			if err == nil {
				w.kind = f.kind
				return nil
			}
			var missing *native.NotFound
			if !errors.As(err, &missing) || len(missing.Failed) > 0 {
				return fmt.Errorf("%s started %d processes, but their library cannot be used: %w", launch.By, launch.Size, err)
			}
			tried = append(tried, name)
		}
	}
	return fmt.Errorf("%s started %d processes, but no library of MPI was found (%s): install Open MPI or MPICH, the one "+
		"that the launcher is of, or name its file in %s", launch.By, launch.Size, strings.Join(tried, ", "), Variable)
}

// order returns the families to try: the chosen one, that of the launcher, or both.
func order(by kind, choice string) []family {
	for _, f := range families {
		if choice == f.name || choice == "" && f.kind == by {
			return []family{f}
		}
	}
	return families
}

// search is where libraries of MPI lie: beside the launcher, and where systems put them.
func search() native.Search {
	s := native.Search{First: filepath.SplitList(os.Getenv(native.Variable))}
	for _, name := range []string{"OPAL_PREFIX", "MPI_HOME", "MPI_ROOT", "I_MPI_ROOT", "MPICH_DIR"} {
		if root := os.Getenv(name); root != "" {
			s.Then = append(s.Then, filepath.Join(root, "lib"), filepath.Join(root, "lib64"), filepath.Join(root, "lib", "release"))
		}
	}
	if launcher, err := exec.LookPath("mpirun"); err == nil {
		if real, err := filepath.EvalSymlinks(launcher); err == nil {
			root := filepath.Dir(filepath.Dir(real))
			s.Then = append(s.Then, filepath.Join(root, "lib"), filepath.Join(root, "lib64"))
		}
	}
	for _, pattern := range []string{"/usr/lib/*-linux-gnu", "/usr/lib/*-linux-gnu/openmpi/lib", "/usr/lib64/openmpi/lib",
		"/usr/lib64/mpich/lib", "/usr/lib64", "/usr/local/lib", "/opt/*mpi*/lib", "/opt/*mpich*/lib"} {
		found, _ := filepath.Glob(pattern) // the patterns are right
		s.Then = append(s.Then, found...)
	}
	return s
}

// cells are what the library writes to: memory that does not move.
type cells struct {
	level, rank, size, length, flag int32
	request                         [slots]uintptr // handles, of four bytes or eight
	text                            [maxVersion]byte

	sent, sentAt, gotAt []int32 // bytes of each rank, and where they lie
}

// at is the address of something for the library.
func at[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// text is what the library says about a code.
func (w *World) text(code int) string {
	c := w.cells
	if w.api.MPI_Error_string.Call(uintptr(code), at(&c.text), at(&c.length)) != 0 {
		return fmt.Sprintf("error %d", code)
	}
	return strings.TrimSpace(string(c.text[:c.length]))
}

// Version is what the library calls itself, in one line.
func (w *World) Version() string {
	c := w.cells
	if w.api.MPI_Get_library_version.Call(at(&c.text), at(&c.length)) != 0 {
		return w.library.Name
	}
	line, _, _ := strings.Cut(string(c.text[:c.length]), "\n")
	line, _, _ = strings.Cut(strings.TrimRight(line, "\x00"), ",")
	return strings.Join(strings.Fields(line), " ")
}
