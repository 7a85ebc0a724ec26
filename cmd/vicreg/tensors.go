package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vicreg/internal/durable"
	"vicreg/internal/npy"
	"vicreg/internal/safetensors"
	"vicreg/internal/show"
)

// tensors are what the loss of a method reads, by their names.
type tensors interface {
	Info(name string) (safetensors.Info, bool)
	Float32(name string) ([]float32, error)
	Float64(name string) ([]float64, error)
	Int64(name string) ([]int64, error)
	Close() error
}

// pairArgs demands a safetensors file or two .npy files.
func pairArgs(cmd *cobra.Command, args []string) error {
	arrays := 0
	for _, path := range args {
		if isArray(path) {
			arrays++
		}
	}
	switch {
	case len(args) == 1 && arrays == 0, len(args) == 2 && arrays == 2:
		return nil
	case len(args) == 1:
		return usagef("%s needs two .npy files, z1 and z2, got only %s (see %[1]s --help)", cmd.CommandPath(), show.Name(args[0]))
	case len(args) == 2:
		return usagef("%s needs one safetensors file or two that end in .npy, got %s and %s (see %[1]s --help)", cmd.CommandPath(), show.Name(args[0]), show.Name(args[1]))
	}
	return usagef("%s needs exactly one safetensors file, or two .npy files, got %d arguments (see %[1]s --help)", cmd.CommandPath(), len(args))
}

func isArray(path string) bool { return strings.EqualFold(filepath.Ext(path), ".npy") }

// openTensors opens what pairArgs let through, and says what to call it.
func openTensors(files []string) (tensors, string, error) {
	if len(files) == 1 {
		f, err := safetensors.Open(files[0])
		if gone := (*fs.PathError)(nil); errors.As(err, &gone) {
			return nil, "", fmt.Errorf("%s cannot be read: %w", show.Name(files[0]), durable.Reason(err))
		}
		if err != nil {
			return nil, "", err
		}
		return f, files[0], nil
	}
	a := arrays{}
	for i, path := range files {
		shape, err := npy.Stat(path)
		if gone := (*fs.PathError)(nil); errors.As(err, &gone) {
			return nil, "", fmt.Errorf("%s cannot be read: %w", show.Name(path), durable.Reason(err))
		}
		if err != nil {
			return nil, "", err
		}
		a[[]string{"z1", "z2"}[i]] = array{path, shape}
	}
	return a, files[0] + " and " + files[1], nil
}

// arrays are z1 and z2 of two .npy files, read when they are asked for.
type arrays map[string]array

type array struct {
	path  string
	shape []int
}

func (a arrays) Info(name string) (safetensors.Info, bool) {
	x, ok := a[name]
	return safetensors.Info{Name: name, Shape: x.shape}, ok
}

func (a arrays) Float32(name string) ([]float32, error) {
	values, _, err := a.split(name)
	return values, err
}

func (a arrays) split(name string) (values, rest []float32, err error) {
	x, ok := a[name]
	if !ok {
		return nil, nil, a.none(name)
	}
	read, err := npy.Read(x.path)
	if err != nil {
		return nil, nil, err
	}
	if n := x.shape[0] * x.shape[1]; len(read.Values) != n { // it changed meanwhile
		return nil, nil, fmt.Errorf("%s holds %d values now, not %d", x.path, len(read.Values), n)
	}
	return read.Values, read.Rest, nil
}

func (a arrays) Float64(name string) ([]float64, error) { return nil, a.none(name) }

func (a arrays) Int64(name string) ([]int64, error) { return nil, a.none(name) }

func (arrays) none(name string) error {
	return fmt.Errorf("%s cannot be given in .npy files; put it into a safetensors file with z1 and z2", name)
}

func (arrays) Close() error { return nil }

// split returns the values of a tensor in 32 bits, and what these leave off of them; nil:
// nothing.
func split(f tensors, name string) (values, rest []float32, err error) {
	if a, ok := f.(arrays); ok {
		return a.split(name)
	}
	switch info, _ := f.Info(name); info.DType {
	case safetensors.F64, safetensors.I64, safetensors.U64, safetensors.I32, safetensors.U32:
	default:
		values, err = f.Float32(name)
		return values, nil, err
	}
	exact, err := f.Float64(name)
	if err != nil {
		return nil, nil, err
	}
	values, rest = make([]float32, len(exact)), make([]float32, len(exact))
	for i, v := range exact {
		values[i] = float32(v)
		rest[i] = float32(v - float64(values[i]))
	}
	return values, rest, nil
}
