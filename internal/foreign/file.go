// Package foreign takes encoders out of the checkpoints of other projects.
//
// [Open] opens a file, [Look] says which network is in it and which of its arrays that
// needs, and [Found.Load] reads them. What is known of other projects is the table in
// layouts.go.
package foreign

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"vicreg/internal/durable"
	"vicreg/internal/safetensors"
	"vicreg/internal/show"
	"vicreg/internal/torchfile"
)

// File is a checkpoint, whatever its format.
type File struct {
	Arrays []Array           // in the file's order
	Said   map[string]string // texts and numbers beside the arrays
	Notes  []string          // what of the file is passed over, a sentence each
	path   string
	read   func(name string) ([]float32, error)
	io.Closer
}

// Array describes an array of a checkpoint.
type Array struct {
	Name  string // in nested dictionaries the keys from the top, joined by dots
	Shape []int
}

// Open opens a checkpoint of PyTorch or a safetensors file; what is in it tells which.
func Open(path string) (*File, error) {
	is, err := isSafetensors(path)
	if err != nil {
		return nil, err
	}
	if is {
		f, err := safetensors.Open(path)
		if err != nil {
			return nil, err
		}
		c := &File{Said: f.Metadata, path: path, read: f.Float32, Closer: f}
		for _, t := range f.Tensors {
			c.Arrays = append(c.Arrays, Array{t.Name, t.Shape})
		}
		if f.Sealed() {
			if err := f.Verify(); err != nil {
				f.Close()
				return nil, err
			}
		}
		return c, nil
	}
	f, err := torchfile.Open(path)
	if err != nil {
		return nil, err
	}
	c := &File{Said: f.Scalars(), Notes: f.Notes(), path: path, read: f.Float32, Closer: f}
	for _, t := range f.Tensors() {
		c.Arrays = append(c.Arrays, Array{t.Name, t.Shape})
	}
	return c, nil
}

// isSafetensors reports whether a file begins as safetensors files do: the length of a
// header and the brace that opens it.
func isSafetensors(path string) (bool, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("there is no file %s", show.Name(path))
	case err == nil && st.IsDir():
		return false, fmt.Errorf("%s is a folder; name the file of weights in it", show.Name(path))
	case err == nil && !st.Mode().IsRegular():
		return false, fmt.Errorf("%s is %s, not a file of weights", show.Name(path), durable.Kind(st.Mode()))
	case err != nil:
		return false, unread(path, err)
	}
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false, unread(path, err)
	}
	defer f.Close()
	head := make([]byte, 16)
	n, _ := io.ReadFull(f, head)
	if n < 10 {
		return false, nil
	}
	brace := bytes.TrimLeft(head[8:n], " \t\r\n")
	return binary.LittleEndian.Uint64(head) < 1<<32 && bytes.HasPrefix(brace, []byte("{")), nil
}

// Sum is the checksum of the file at a path, CRC-32C.
func Sum(path string) (string, error) {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return "", unread(path, err)
	}
	defer f.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(sum, f); err != nil {
		return "", unread(path, err)
	}
	return fmt.Sprintf("%08x", sum.Sum32()), nil
}

func unread(path string, err error) error {
	return fmt.Errorf("%s cannot be read: %w", show.Name(path), durable.Reason(err))
}
