package checkpoint

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// What is accepted of a file is a state that can be written and read again, and
// a file that is refused for its size is not whole.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "checkpoint")
	state := State{Config: "x", Epoch: 1, Step: 1, Steps: 3, Loss: 2, Terms: runlog.Terms{{Name: "cosine", Value: 1}},
		Last:  &runlog.Epoch{Epoch: 1, Step: 2},
		Notes: []string{"n"}, BadTrain: []Bad{{"a", "b"}}, MetricsSize: 7, MetricsSum: "00000000"}
	if err := Save(path, state, arrays(1)); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(good[:9])
	// Those of older versions have no checksum that keeps a fuzzer out.
	raw, err := json.Marshal(state)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(raw), `{}`, `{"epoch":99,"step":-3,"steps":1e3}`, `{"last_epoch":{"knn":null},"bad_train":[{}]}`} {
		write(f, path, map[string]string{"format": oldFormat, stateKey: text, oldSumKey: "31087a1c"}, false)
		old, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(old)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		check.Bounded(t, 32, 2*time.Second, func() {
			file, err := safetensors.NewFile(bytes.NewReader(raw), int64(len(raw)), "x")
			size, want, short := cut(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				return
			}
			if short {
				t.Errorf("it can be read, but is said to have %d of %d bytes", size, want)
			}
			s, err := stateOf(file)
			if err != nil {
				return
			}
			if s.Epoch < 0 || s.Step < 0 || s.Steps < s.Step || s.MetricsSize < 0 || s.Seconds < 0 {
				t.Errorf("accepted: %+v", s)
			}
			if verify(file, "x") == nil {
				load(file, "x", arrays(0))
			}
			b, err := json.Marshal(s)
			if err != nil {
				t.Fatalf("%+v cannot be written: %v", s, err)
			}
			var again State
			if err := json.Unmarshal(b, &again); err != nil {
				t.Errorf("%s cannot be read again: %v", b, err)
			}
			if c, _ := json.Marshal(again); !bytes.Equal(b, c) {
				t.Errorf("written again it is\n%s\nand was\n%s", c, b)
			}
		})
	})
}

// A state can be anything behind checksums that are right.
func FuzzState(f *testing.F) {
	for _, text := range []string{`{}`, `null`, `{"epoch":1,"step":2,"steps":3,"seconds":1e9,"terms":[{"Name":"x","Value":-1}]}`, `{"step":-3}`, `{"last_epoch":{"loss":1,"x":2}}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		if err := safetensors.WriteSealed(&b, nil, map[string]string{"format": format, stateKey: text}); err != nil {
			t.Skip(err)
		}
		check.Bounded(t, 32, 2*time.Second, func() {
			file, err := safetensors.NewFile(bytes.NewReader(b.Bytes()), int64(b.Len()), "x")
			if err != nil {
				return // the header is too large
			}
			s, err := stateOf(file)
			if err == nil && s.check() != nil {
				t.Errorf("accepted: %+v", s)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Errorf("error %v", err)
			}
		})
	})
}
