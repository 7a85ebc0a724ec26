// Package checkpoint saves and restores everything a run is, durably: a file
// holds one state or the next, never a part, whatever happens to the process
// or the machine.
//
// The file is safetensors, so any tool can look into it. Its metadata holds the
// position in the run, as JSON, and a checksum of the tensors' bytes.
package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"vicreg/internal/durable"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// Suffix names the checkpoint before the last.
const Suffix = ".previous"

// State is all of a run but its arrays.
type State struct {
	Config      string    `json:"config"`      // digest of what the run computes
	Fingerprint string    `json:"fingerprint"` // of the data, bad images included
	Started     time.Time `json:"started"`

	Epoch int `json:"epoch"` // from 0: the one the next step belongs to
	Step  int `json:"step"`  // of that epoch, from 0: the next one
	Steps int `json:"steps"` // done since the start of the run

	Loss  float64      `json:"loss"` // sums over the epoch so far
	Terms runlog.Terms `json:"terms"`

	EpochSeconds float64 `json:"epoch_seconds"`      // in the epoch's steps and their data so far,
	EpochWait    float64 `json:"epoch_wait_seconds"` // of them waiting for data

	MetricsSize  int64   `json:"metrics_size"`  // bytes
	Seconds      float64 `json:"seconds"`       // of the run so far, pauses left out
	TrainSeconds float64 `json:"train_seconds"` // of them, in steps and their data
	WaitSeconds  float64 `json:"wait_seconds"`  // of them, waiting for data

	Notes    []string `json:"notes,omitempty"` // what of the data was left out, filled in or guessed
	BadTrain []Bad    `json:"bad_train"`       // images taken out before the first step
	BadTest  []Bad    `json:"bad_test"`
	BadLate  []Bad    `json:"bad_late"` // images that turned bad later, and are replaced
}

// Bad is an image that cannot be read.
type Bad struct {
	Name   string `json:"name"`
	Reason string `json:"reason"` // names the file
}

// Array is a named array of the run: a parameter, a running statistic, an
// optimizer's or a method's state.
type Array struct {
	Name  string
	Shape []int
	Data  []float32
}

const (
	stateKey = "vicreg.state"
	sumKey   = "vicreg.crc32c"
	format   = "vicreg checkpoint 1"
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
	if s, err := Peek(path); err == nil {
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
	meta := map[string]string{"format": format, stateKey: string(state), sumKey: strconv.FormatUint(uint64(sum(arrays)), 16)}
	f, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if err := safetensors.Write(f, tensors, meta); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	// The last checkpoint keeps its name until the new one takes it.
	if err := os.Remove(path + Suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A file system without hard links keeps no previous checkpoint.
	_ = os.Link(path, path+Suffix)
	return f.Commit()
}

// Peek reads the state of a checkpoint and checks that its arrays are all
// there, without reading them.
func Peek(path string) (State, error) {
	f, s, err := open(path)
	if err != nil {
		return s, err
	}
	return s, f.Close()
}

// Load reads a checkpoint into arrays, which must be the ones saved, in name and
// shape. On an error some of them may have been overwritten.
func Load(path string, arrays []Array) (State, error) {
	f, s, err := open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	if err := match(f, path, arrays, func(string) bool { return true }); err != nil {
		return s, err
	}
	for _, a := range arrays {
		if err := f.Float32Into(a.Name, a.Data); err != nil {
			return s, err
		}
	}
	if got := strconv.FormatUint(uint64(sum(arrays)), 16); got != f.Metadata[sumKey] {
		return s, fmt.Errorf("checkpoint %s is damaged: its checksum is %s, but was %s when it was saved%s", path, got, f.Metadata[sumKey], previous(path))
	}
	return s, nil
}

func open(path string) (*safetensors.File, State, error) {
	var s State
	f, err := safetensors.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, s, fmt.Errorf("there is no checkpoint %s: %w", path, err)
		}
		if size, want, ok := cutShort(path); ok {
			return nil, s, fmt.Errorf("checkpoint %s is cut short (%d of %d bytes)%s", path, size, want, previous(path))
		}
		return nil, s, fmt.Errorf("%w%s", err, previous(path))
	}
	if f.Metadata["format"] != format {
		f.Close()
		return nil, s, fmt.Errorf("%s is not a checkpoint of vicreg", path)
	}
	if err := json.Unmarshal([]byte(f.Metadata[stateKey]), &s); err != nil {
		f.Close()
		return nil, s, fmt.Errorf("checkpoint %s: %w", path, err)
	}
	return f, s, nil
}

// Match compares names and shapes of a checkpoint with those of arrays, leaving
// out what counts says no to, and names the first difference.
func Match(path string, arrays []Array, counts func(name string) bool) error {
	f, _, err := open(path)
	if err != nil {
		return err
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

// previous says whether the checkpoint before path can stand in for it.
func previous(path string) string {
	s, err := Peek(path + Suffix)
	if err != nil {
		return ", and there is no whole one before it"
	}
	return fmt.Sprintf("; the one before it, after step %d, is whole: mv %s%s %s", s.Steps, path, Suffix, path)
}

// cutShort compares the size of a safetensors file with what its header says.
func cutShort(path string) (size, want int64, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, 0, false
	}
	var lead [8]byte
	if _, err := f.ReadAt(lead[:], 0); err != nil {
		return st.Size(), 8, true
	}
	n := binary.LittleEndian.Uint64(lead[:])
	if n > 100_000_000 {
		return 0, 0, false
	}
	header := make([]byte, n)
	if _, err := f.ReadAt(header, 8); err != nil {
		return st.Size(), int64(8 + n), true
	}
	var entries map[string]struct {
		Offsets [2]int64 `json:"data_offsets"`
	}
	if json.Unmarshal(header, &entries) != nil {
		return 0, 0, false
	}
	for _, e := range entries {
		want = max(want, e.Offsets[1])
	}
	want += int64(8 + n)
	return st.Size(), want, st.Size() < want
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the CRC-32C of all values, little-endian, in the order of arrays.
func sum(arrays []Array) uint32 {
	var crc uint32
	buf := make([]byte, 0, 1<<16)
	for _, a := range arrays {
		for _, v := range a.Data {
			if buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v)); len(buf) == cap(buf) {
				crc = crc32.Update(crc, castagnoli, buf)
				buf = buf[:0]
			}
		}
	}
	return crc32.Update(crc, castagnoli, buf)
}
