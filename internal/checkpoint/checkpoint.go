// Package checkpoint saves and restores everything that a run is, durably: a file holds
// one state or the next, never a part, whatever happens to the process or the machine.
//
// The file is sealed safetensors: any tool can look into it, and every byte is compared
// with a checksum before it is used. Its metadata holds the position in the run, as
// JSON.
package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/safetensors"
)

// Suffix names the checkpoint before the last.
const Suffix = ".previous"

// Array is a named array of the run: a parameter, a running statistic, an
// optimizer's or a method's state.
type Array struct {
	Name  string
	Shape []int
	Data  []float32
}

const (
	stateKey  = "vicreg.state"
	oldSumKey = "vicreg.crc32c" // of the data of old files, whose header has no checksum
	kind      = "vicreg checkpoint "
	format    = kind + "2"
	oldFormat = kind + "1"
)

// Save writes a checkpoint to path. The one that stood there becomes
// path.previous, and stays if anything fails.
func Save(path string, s State, arrays []Array) error {
	if err := durable.Reason(save(path, s, arrays)); err != nil {
		return fmt.Errorf("cannot save the checkpoint %s: %w; %s", path, err, standing(path))
	}
	return nil
}

// standing says what is left when a new checkpoint cannot be written.
func standing(path string) string {
	if s, err := whole(path); err == nil {
		return fmt.Sprintf("the one after step %d is intact", s.Steps)
	}
	return "there is no earlier one"
}

func save(path string, s State, arrays []Array) error {
	state, err := json.Marshal(s)
	if err != nil {
		return err
	}
	tensors := make([]safetensors.Tensor, len(arrays))
	for i, a := range arrays {
		tensors[i] = safetensors.Tensor{Name: a.Name, Shape: a.Shape, Data: a.Data}
	}
	f, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := safetensors.WriteSealed(f, tensors, map[string]string{"format": format, stateKey: string(state)}); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// The last checkpoint keeps its name until the new one takes it. A file system
	// without hard links keeps no previous checkpoint.
	_ = durable.Keep(path, path+Suffix)
	return f.Commit()
}

// Peek reads the state of a checkpoint and checks that its arrays are all
// there, without reading them.
func Peek(path string) (State, error) {
	f, s, err := open(path)
	if err != nil {
		return s, explain(path, err)
	}
	return s, f.Close()
}

// Load reads a checkpoint into arrays, which must be the ones saved, in name and
// shape. Every byte of it has been checked before the first is used.
func Load(path string, arrays []Array) (State, error) {
	f, s, err := open(path)
	if err != nil {
		return s, explain(path, err)
	}
	defer f.Close()
	if err := verify(f, path); err != nil {
		return s, explain(path, err)
	}
	return s, load(f, path, arrays)
}

// load reads a checkpoint that was verified into arrays.
func load(f *safetensors.File, path string, arrays []Array) error {
	if err := match(f, path, arrays, func(string) bool { return true }); err != nil {
		return err
	}
	for _, a := range arrays {
		if err := f.Float32Into(a.Name, a.Data); err != nil {
			return err
		}
	}
	return nil
}

// whole reads the state of a checkpoint and checks every byte of the file.
func whole(path string) (State, error) {
	f, s, err := open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	return s, verify(f, path)
}

// open opens a checkpoint and reads its state. That much of it has been checked.
func open(path string) (*safetensors.File, State, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, State{}, err
	}
	s, err := stateOf(f)
	if err != nil {
		f.Close()
		return nil, s, fmt.Errorf("%s %w", path, err)
	}
	return f, s, nil
}

// stateOf takes the state out of a file. Its error goes on after the file's name.
func stateOf(f *safetensors.File) (s State, err error) {
	switch name := f.Metadata["format"]; {
	case name == format && !f.Sealed():
		return s, errors.New("is a checkpoint without its checksums: another program has changed it")
	case name == format || name == oldFormat:
	case strings.HasPrefix(name, kind):
		return s, errVersion
	default:
		return s, errors.New("is not a checkpoint of vicreg")
	}
	if err := json.Unmarshal([]byte(f.Metadata[stateKey]), &s); err != nil {
		return s, errors.New("is a checkpoint whose state cannot be read")
	}
	s.Unsealed = !f.Sealed()
	if err := s.check(); err != nil {
		return s, fmt.Errorf("is a checkpoint that no run can have written: %w", err)
	}
	return s, nil
}

// verify checks all data of a checkpoint.
func verify(f *safetensors.File, path string) error {
	if f.Sealed() {
		return f.Verify()
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, t := range f.Tensors {
		raw, err := f.Bytes(t.Name)
		if err != nil {
			return err
		}
		sum.Write(raw)
	}
	if got, want := strconv.FormatUint(uint64(sum.Sum32()), 16), f.Metadata[oldSumKey]; got != want {
		return &safetensors.Damaged{Name: path, Part: "data", Sum: got, Want: want}
	}
	return nil
}

// errVersion is the error of a checkpoint that is whole, though not for this program.
var errVersion = errors.New("is a checkpoint of another version of vicreg; go on with the version that wrote it")

// explain adds to an error of open or verify which file is meant, and which file can
// take its place if it is damaged.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing{fmt.Sprintf("there is no checkpoint %s%s", path, previous(path))}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("checkpoint %s cannot be read: %w; make it readable for you, or go on as the user who owns it", path, durable.Reason(err))
	case durable.Unreadable(err):
		return fmt.Errorf("checkpoint %s cannot be read: %w; that tells nothing of what it holds, so leave it and try again", path, durable.Reason(err))
	case errors.Is(err, errVersion):
		return err
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("%s is %s, not a checkpoint; move it away%s", path, durable.Kind(st.Mode()), previous(path))
	}
	if size, want, ok := cutShort(path); ok {
		return fmt.Errorf("checkpoint %s is cut short (%d of %d bytes)%s", path, size, want, previous(path))
	}
	if !strings.Contains(err.Error(), path) {
		err = fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return fmt.Errorf("%w%s", err, previous(path))
}

// missing is the error where there is no checkpoint.
type missing struct{ text string }

func (m missing) Error() string        { return m.text }
func (m missing) Is(target error) bool { return target == fs.ErrNotExist }

// Match compares names and shapes in a checkpoint with those of arrays and names the
// first difference. It leaves out names for which counts returns false.
func Match(path string, arrays []Array, counts func(name string) bool) error {
	f, _, err := open(path)
	if err != nil {
		return explain(path, err)
	}
	defer f.Close()
	return match(f, path, arrays, counts)
}

func match(f *safetensors.File, path string, arrays []Array, counts func(name string) bool) error {
	known := map[string]bool{}
	for _, a := range arrays {
		known[a.Name] = true
		info, ok := f.Info(a.Name)
		switch {
		case !counts(a.Name):
		case !ok:
			return fmt.Errorf("checkpoint %s is of another architecture: it has no %s, which is %v here", path, a.Name, a.Shape)
		case !slices.Equal(info.Shape, a.Shape):
			return fmt.Errorf("checkpoint %s is of another architecture: %s is %v there and %v here", path, a.Name, info.Shape, a.Shape)
		}
	}
	for _, t := range f.Tensors {
		if counts(t.Name) && !known[t.Name] {
			return fmt.Errorf("checkpoint %s is of another architecture: its %s, %v, is unknown here", path, t.Name, t.Shape)
		}
	}
	return nil
}
