package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vicreg/internal/durable"
)

// WriteConfig saves the run's configuration.
func WriteConfig(dir string, yaml []byte) error { return writeFile(dir, ConfigFile, yaml) }

// sumKey is the last key of a summary: a CRC-32C of all others.
const sumKey = "crc32c"

// WriteSummary saves the result of the run.
func WriteSummary(dir string, s *Summary) error {
	raw, err := formatSummary(s)
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	return writeFile(dir, SummaryFile, raw)
}

func formatSummary(s *Summary) ([]byte, error) {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	sum, err := summarySum(raw)
	if err != nil {
		return nil, err
	}
	return append(raw[:len(raw)-2], fmt.Sprintf(",\n  %q: %q\n}\n", sumKey, sum)...), nil
}

// summarySum is the checksum of an object's keys and values, without its own. Spaces and
// the order of the keys do not matter.
func summarySum(raw []byte) (string, error) {
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &object); err != nil {
		return "", err
	}
	if object == nil {
		return "", errors.New("null is no object")
	}
	delete(object, sumKey)
	raw, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	return hex(crc32.Checksum(raw, castagnoli)), nil
}

// ReadSummary reads the result of the run in dir. The error for a run that has not ended
// satisfies errors.Is(err, fs.ErrNotExist). If the summary does not belong to the other
// files in dir, it is a *[Foreign].
func ReadSummary(dir string) (*Summary, error) {
	path := filepath.Join(dir, SummaryFile)
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 256 << 20
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, durable.Reason(err))
	}
	if len(raw) > most {
		return nil, fmt.Errorf("%s is larger than any summary that a run writes", path)
	}
	s, err := parseSummary(raw)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; put it back as it was, or remove it and have it written anew by pretrain --resume %s", path, err, dir)
	}
	if err := s.hold(dir); err != nil {
		return nil, err
	}
	return s, nil
}

func parseSummary(raw []byte) (*Summary, error) {
	var sum struct {
		Sum *string `json:"crc32c"` // absent in summaries of older versions
	}
	s := &Summary{}
	got, err := summarySum(raw)
	if err == nil {
		err = errors.Join(json.Unmarshal(raw, &sum), json.Unmarshal(raw, s))
	}
	if err != nil {
		return nil, errors.New("it does not hold the JSON of a summary")
	}
	if sum.Sum != nil && *sum.Sum != got {
		return nil, fmt.Errorf("its checksum is %s, but was %.8q when it was written", got, *sum.Sum)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	for _, key := range []string{"method", "images", "epochs", "steps", "loss"} {
		if _, ok := object[key]; !ok {
			return nil, fmt.Errorf("it has no %s", key)
		}
	}
	return s, nil
}

// CheckFolder returns an error if dir is not the folder of a run, which is one that
// holds a configuration.
func CheckFolder(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no run folder %s", dir)
	case err != nil:
		return fmt.Errorf("cannot read the run folder %s: %w", dir, durable.Reason(err))
	case !st.IsDir():
		return fmt.Errorf("%s is %s, not a run folder", dir, durable.Kind(st.Mode()))
	}
	path := filepath.Join(dir, ConfigFile)
	switch st, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if st, err := os.Stat(filepath.Join(dir, ModelFile)); err == nil && st.Mode().IsRegular() {
			return fmt.Errorf("%s is no run folder: it has a model, %s, but no %s; pretrain --init %[1]s begins a run with its weights", dir, ModelFile, ConfigFile)
		}
		return fmt.Errorf("%s is no run folder: it has no %s", dir, ConfigFile)
	case err != nil:
		return fmt.Errorf("cannot read %s: %w", path, durable.Reason(err))
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is %s, not a file", path, durable.Kind(st.Mode()))
	case st.Size() < 4096:
		if raw, err := os.ReadFile(path); err == nil && len(bytes.Trim(raw, " \t\r\n\x00")) == 0 {
			return fmt.Errorf("%s is empty; it held all settings of the run, so put it back as it was", path)
		}
	}
	return nil
}

// Clean removes from dir what killed processes left of files that they were writing.
func Clean(dir string) {
	for _, name := range Files {
		durable.Sweep(filepath.Join(dir, name))
	}
}

// Present lists which names of a run's files exist in dir, whatever stands there.
func Present(dir string) []string {
	var names []string
	for _, name := range Files {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// writeFile saves durably: the file holds its old contents or the new ones.
func writeFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	if err := durable.WriteFile(path, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// open opens a file to read. It opens nothing else: a pipe would wait until somebody
// writes to it.
func open(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %s, not a file", path, durable.Kind(st.Mode()))
	}
	return os.Open(path)
}
