// Package torchfile reads and writes the files of PyTorch's torch.save: the zip format
// of version 1.6 and later, and the one before.
//
// [Open] reads what a file says about its tensors, [File.Float32] the data of one when
// it is asked for. Nothing that a file names is ever run. [Write] writes a state dict.
//
// The formats: https://github.com/pytorch/pytorch/blob/main/torch/serialization.py
package torchfile

import "fmt"

// File is an open file of PyTorch.
type File struct{}

// Info describes one tensor of a file.
type Info struct {
	Name  string // the keys from the top, joined by dots: "model.module.backbone.conv1.weight"
	Shape []int  // empty for a tensor that is a single number
	Type  string // as PyTorch says it: "float32", "bfloat16", "int64"
}

// Open reads and checks what the file at path says about its tensors; their data stay on
// disk until they are asked for. Close the file when done.
func Open(path string) (*File, error) {
	return nil, fmt.Errorf("%s: files of PyTorch cannot be read yet", path)
}

// Close closes the file.
func (f *File) Close() error { return nil }

// Tensors describes the tensors in the order of the file.
func (f *File) Tensors() []Info { return nil }

// Float32 returns the elements of a tensor in the order of its shape, the last axis
// fastest, whatever order and type the file has.
func (f *File) Float32(name string) ([]float32, error) {
	return nil, fmt.Errorf("there is no tensor %q", name)
}

// Scalars returns the short texts and the numbers of the file, as text, by names as
// tensors have: "epoch", "arch".
func (f *File) Scalars() map[string]string { return nil }

// Notes says in one line each what of the file was passed over.
func (f *File) Notes() []string { return nil }
