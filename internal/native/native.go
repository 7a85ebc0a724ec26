//go:build native && linux && (amd64 || arm64)

package native

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is a shared library that is open. It stays open as long as the program runs.
type Library struct {
	Name   string // libcuda.so.1
	Path   string // where it lies, if that is known
	handle uintptr
}

// NotFound says that a library lies nowhere, or that what lies there cannot be opened.
type NotFound struct {
	Name   string
	Failed []string // what the system said about each file that is there
}

func (e *NotFound) Error() string {
	if len(e.Failed) > 0 {
		return fmt.Sprintf("%s cannot be loaded: %s", e.Name, strings.Join(e.Failed, "; "))
	}
	return e.Name + " was not found"
}

// Open opens a library: from the folders before the system's path, from that path (of
// which LD_LIBRARY_PATH is a part), from the folders after it.
func (s Search) Open(name string) (*Library, error) {
	failure := &NotFound{Name: name}
	for _, file := range Files(s.First, name) {
		if l := failure.open(name, file); l != nil {
			return l, nil
		}
	}
	if handle, err := purego.Dlopen(name, mode); err == nil {
		return &Library{Name: name, Path: mapped(name), handle: handle}, nil
	} else if !strings.Contains(err.Error(), "cannot open shared object file") {
		failure.Failed = append(failure.Failed, err.Error())
	}
	for _, file := range Files(s.Then, name) {
		if l := failure.open(name, file); l != nil {
			return l, nil
		}
	}
	return nil, failure
}

// mode lets libraries that are opened later see the symbols of those before.
const mode = purego.RTLD_NOW | purego.RTLD_GLOBAL

func (e *NotFound) open(name, file string) *Library {
	handle, err := purego.Dlopen(file, mode)
	if err != nil {
		e.Failed = append(e.Failed, err.Error())
		return nil
	}
	return &Library{Name: name, Path: file, handle: handle}
}

// mapped returns the file that a library of this name was loaded from.
func mapped(name string) string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(maps)) {
		i := strings.IndexByte(line, '/')
		if i < 0 {
			continue
		}
		file := strings.TrimSpace(line[i:])
		base := filepath.Base(file)
		if base == name || strings.HasPrefix(base, name+".") {
			return file
		}
	}
	return ""
}

// Preload opens a file for libraries that ask for it by its name, so that they take this
// one and no other. What cannot be opened is left to them.
func Preload(file string) { _, _ = purego.Dlopen(file, purego.RTLD_LAZY|purego.RTLD_GLOBAL) }

// Func is a function of a library. Calls of one Func must not overlap.
type Func struct {
	Name string
	at   uintptr
	args [22]uintptr // a variadic slice would be allocated for each call
}

// Call calls the function and returns its result, an int of C. Pointers among the
// arguments must be to memory that does not move: not to a goroutine's stack.
func (f *Func) Call(args ...uintptr) int { return int(int32(f.Long(args...))) }

// Long is Call of a function that returns a word.
func (f *Func) Long(args ...uintptr) uintptr {
	n := copy(f.args[:], args)
	r, _, _ := purego.SyscallN(f.at, f.args[:n]...)
	return r
}

// Text is Call of a function that returns a string of C.
func (f *Func) Text(args ...uintptr) string {
	r := f.Long(args...)
	return CString(*(*unsafe.Pointer)(unsafe.Pointer(&r)))
}

// CString returns the bytes up to a NUL.
func CString(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// Table finds the functions of a struct whose fields are Funcs: the name of a field is
// that of its function, with its first letter made lower unless two are upper (MPI_Init).
func (l *Library) Table(table any) error {
	var missing []string
	v := reflect.ValueOf(table).Elem()
	for i := range v.NumField() {
		f := v.Field(i).Addr().Interface().(*Func)
		name := v.Type().Field(i).Name
		f.Name = name
		if name[1] >= 'a' {
			f.Name = strings.ToLower(name[:1]) + name[1:]
		}
		at, err := purego.Dlsym(l.handle, f.Name)
		if err != nil {
			missing = append(missing, f.Name)
		}
		f.at = at
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s has no %s: it is too old, or too new for this version of vicreg", l,
			strings.Join(missing, ", "))
	}
	return nil
}

// Symbol returns the address of what a library calls name, 0 if it has no such thing.
func (l *Library) Symbol(name string) uintptr {
	at, err := purego.Dlsym(l.handle, name)
	if err != nil {
		return 0
	}
	return at
}

// String says which library it is.
func (l *Library) String() string {
	if l.Path != "" {
		return l.Path
	}
	return l.Name
}
