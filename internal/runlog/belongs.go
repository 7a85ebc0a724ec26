package runlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// Foreign is the error of a summary that belongs to another run.
type Foreign struct {
	Dir, Why string
}

func (f *Foreign) Error() string {
	return fmt.Sprintf("%s is not of the run in %s: %s; put the run's own back, or remove this one and go on with pretrain --resume %[2]s",
		filepath.Join(f.Dir, SummaryFile), f.Dir, f.Why)
}

// Altered is the sentence on a file among [Summary].Changed.
func Altered(dir, name string) string {
	path := filepath.Join(dir, name)
	switch name {
	case ModelFiles[0], ModelFiles[1]:
		return path + " is not the one that this run wrote"
	case CheckpointFile:
		return path + " is not the one that this run ended with"
	}
	return path + " was changed after the run ended"
}

// Sum is the checksum of a run's file that a summary holds, a CRC-32C in hexadecimal
// digits. For a model or a checkpoint it covers what comes before the data, which
// includes a checksum of the data.
func Sum(dir, name string) (string, error) {
	f, err := open(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	var r io.Reader = f
	if name != ConfigFile && name != MetricsFile {
		var lead [8]byte
		if _, err := f.ReadAt(lead[:], 0); err != nil && err != io.EOF {
			return "", durable.Reason(err)
		}
		r = io.LimitReader(f, 8+int64(min(binary.LittleEndian.Uint64(lead[:]), 1<<26)))
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, r); err != nil {
		return "", durable.Reason(err)
	}
	return hex(sum.Sum32()), nil
}

// hold compares a summary with the other files in its folder. Files that only this run
// can have written show whether the summary belongs to it; files that are not as they
// were at its end are listed in Changed.
func (s *Summary) hold(dir string) error {
	if len(s.Files) == 0 {
		return s.holdFigures(dir)
	}
	own := 0
	var others []string
	for _, name := range []string{MetricsFile, ModelFiles[0], ModelFiles[1], CheckpointFile, ConfigFile} {
		want, ok := s.Files[name]
		if !ok {
			continue
		}
		got, err := Sum(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if name == ConfigFile && own == 0 && len(others) > 0 {
			break // runs may share a configuration
		}
		if err == nil && got == want {
			own++
		} else {
			others = append(others, name)
		}
	}
	if own == 0 && len(others) > 0 {
		return &Foreign{dir, fmt.Sprintf("it ended with another %s", show.Some(others, len(others)))}
	}
	s.Changed = others
	return nil
}

// holdFigures is hold for a summary of an older version, which holds no checksums.
func (s *Summary) holdFigures(dir string) error {
	c := readBasics(dir)
	same := c == nil || c.Method == s.Method && c.Epochs == s.Epochs
	m, err := ReadMetrics(dir)
	if err == nil && len(m.Epochs) > 0 {
		last := m.Epochs[len(m.Epochs)-1]
		if last.Epoch != s.Epochs || last.Step != s.Steps || last.Loss != s.Loss {
			return &Foreign{dir, fmt.Sprintf("it tells of a loss of %.6g after %d epochs and %d steps, %s of one of %.6g after %d and %d",
				s.Loss, s.Epochs, s.Steps, MetricsFile, last.Loss, last.Epoch, last.Step)}
		}
		if !same {
			s.Changed = []string{ConfigFile}
		}
		return nil
	}
	if !same {
		return &Foreign{dir, fmt.Sprintf("it tells of %d epochs of %s, %s of %d of %s", s.Epochs, show.Name(s.Method), ConfigFile, c.Epochs, show.Name(c.Method))}
	}
	return nil
}

// basics are the values of a configuration that a summary repeats.
type basics struct {
	Method string
	Epochs int
}

// readBasics returns nil where the configuration cannot be read; other code reports
// that.
func readBasics(dir string) *basics {
	f, err := open(filepath.Join(dir, ConfigFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil
	}
	c := new(basics)
	if yaml.Unmarshal(raw, c) != nil || c.Method == "" {
		return nil
	}
	return c
}
