// Package torchfile reads and writes the files of PyTorch's torch.save: the zip format
// of version 1.6 and later, and the one before.
//
// [Open] reads what a file says about its tensors, [File.Float32] the data of one when
// it is asked for. Nothing that a file names is ever run: names are compared with a list
// (globals.go), and a file that has a name called which is not there is refused. [Write]
// writes a state dict.
//
// The formats: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
// Pickles: https://github.com/python/cpython/blob/main/Lib/pickletools.py
package torchfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// File is an open file of PyTorch.
type File struct {
	name   string // for messages
	r      io.ReaderAt
	size   int64
	closer io.Closer

	budget  budget
	archive *archive           // nil: the format before 1.6
	roots   map[string]*record // of that format: the storages, by their keys
	sum     int64              // of their bytes
	made    int                // tensors that the pickle makes
	objects map[string]int     // objects passed over, by class
	named   map[string]int     // unknown names that are not called

	list    []Info
	tensors map[string]*tensor
	twice   map[string]bool // names of more than one tensor
	scalars map[string]string
	notes   []string

	check sync.Mutex // of the checksums of records
}

// Info describes one tensor of a file.
type Info struct {
	Name  string // the keys from the top, joined by dots: "model.module.backbone.conv1.weight"
	Shape []int  // empty for a tensor that is a single number
	Type  string // as PyTorch says it: "float32", "bfloat16", "int64"
}

// Open reads and checks what the file at path says about its tensors; their data stay on
// disk until they are asked for. Close the file when done.
func Open(path string) (*File, error) {
	h, err := durable.OpenRegular(path)
	if errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("%s is not a regular file", show.Name(path))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", show.Name(path), durable.Reason(err))
	}
	st, err := h.Stat()
	if err == nil {
		var f *File
		if f, err = newFile(h, st.Size(), path); err == nil {
			f.closer = h
			return f, nil
		}
	}
	h.Close()
	return nil, err
}

// newFile reads what size bytes behind r say about their tensors; name stands in messages.
func newFile(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{name: show.Name(name), r: r, size: size,
		roots: map[string]*record{}, objects: map[string]int{}, named: map[string]int{},
		tensors: map[string]*tensor{}, twice: map[string]bool{}, scalars: map[string]string{}}
	if err := f.read(); err != nil {
		if flaw := flaw(""); errors.As(err, &flaw) {
			return nil, fmt.Errorf("%s %s", f.name, err)
		}
		return nil, fmt.Errorf("cannot read %s: %w", f.name, durable.Reason(err))
	}
	return f, nil
}

// flaw is what is wrong with a file, as a sentence says it after the file's name.
type flaw string

func (f flaw) Error() string { return string(f) }

func flawf(format string, args ...any) error { return flaw(fmt.Sprintf(format, args...)) }

// brief is a name of the file's own making as a message shows it.
func brief(name string) string {
	const most = 100 // bytes
	if len(name) > most {
		return show.Name(name[:most/2]) + "…" + show.Name(name[len(name)-most/2:])
	}
	return show.Name(name)
}

const (
	again     = "download or copy it again"
	stateDict = `torch.save(model.state_dict(), "weights.pth")`
)

func (f *File) read() error {
	if f.size == 0 {
		return flaw("is empty: " + again)
	}
	head := make([]byte, min(f.size, 512))
	if _, err := f.r.ReadAt(head, 0); err != nil && err != io.EOF {
		return err
	}
	var top any
	var err error
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		top, err = f.readArchive()
	case pickled(head):
		top, err = f.readLegacy()
	default:
		return stranger(head, f.size)
	}
	if err != nil {
		return err
	}
	return f.collect(top)
}

// Close closes a file that Open opened.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

// Tensors describes the tensors in the order of the file.
func (f *File) Tensors() []Info { return slices.Clone(f.list) }

// Scalars returns the short texts and the numbers of the file, as text, by names as
// tensors have: "epoch", "arch".
func (f *File) Scalars() map[string]string { return f.scalars }

// Notes says in one line each what of the file was passed over.
func (f *File) Notes() []string { return f.notes }

// record is where the bytes of a storage are.
type record struct {
	name  string
	at    int64 // in the file
	bytes int64

	kind    kind   // of a storage before 1.6
	sum     uint32 // the checksum
	checked bool   // against the checksum; or there is none
}
