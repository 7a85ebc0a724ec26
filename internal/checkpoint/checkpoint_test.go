package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

func arrays(fill float32) []Array {
	a := Array{"conv1.weight", []int{2, 3}, make([]float32, 6)}
	b := Array{"bn1.weight", []int{4}, make([]float32, 4)}
	for _, x := range []Array{a, b} {
		for i := range x.Data {
			x.Data[i] = fill * float32(i+1) / 3
		}
	}
	return []Array{a, b}
}

func save2(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "checkpoint")
	for step := 1; step <= 2; step++ {
		if err := Save(path, State{Steps: step, Loss: 0.1}, arrays(float32(step))); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestRoundTripKeepsEveryBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	want := arrays(1)
	copy(want[0].Data, []float32{float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, float32(math.Inf(1)),
		math.MaxFloat32})
	s := State{Config: "x", Epoch: 3, Step: 4, Steps: 100, MetricsSize: 12, Seconds: 0.1, Loss: 1.0 / 3,
		Terms: runlog.Terms{{Name: "variance", Value: 0.1}}}
	if err := Save(path, s, want); err != nil {
		t.Fatal(err)
	}
	got := arrays(0)
	gs, err := Load(path, got)
	if err != nil || !reflect.DeepEqual(gs, s) {
		t.Fatalf("state %+v, %v\nwant %+v", gs, err, s)
	}
	for i := range want {
		for j := range want[i].Data {
			if g, w := math.Float32bits(got[i].Data[j]), math.Float32bits(want[i].Data[j]); g != w {
				t.Errorf("%s[%d] is %x, want %x", want[i].Name, j, g, w)
			}
		}
	}
}

func TestThePreviousStays(t *testing.T) {
	path := save2(t)
	for p, want := range map[string]int{path: 2, path + Suffix: 1} {
		if s, err := Load(p, arrays(0)); err != nil || s.Steps != want {
			t.Errorf("%s: step %d, %v", p, s.Steps, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 2 {
		t.Errorf("files: %v", left)
	}
}

func TestCutShortAtAnyByte(t *testing.T) {
	path := save2(t)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		if err := os.WriteFile(path, raw[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, arrays(0))
		if err == nil || !strings.Contains(err.Error(), "is cut short (") ||
			!strings.Contains(err.Error(), "the one before it, after step 1, is whole") {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestDamageIsSeen(t *testing.T) {
	path := save2(t)
	raw, _ := os.ReadFile(path)
	raw[len(raw)-3] ^= 4
	os.WriteFile(path, raw, 0o644)
	if _, err := Load(path, arrays(0)); err == nil || !strings.Contains(err.Error(), "is damaged: the checksum of its data is") {
		t.Errorf("a flipped bit: %v", err)
	}
}

func TestAnotherKindOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := safetensors.WriteFile(path, nil, map[string]string{"format": "vicreg model 1", stateKey: "{}"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Peek(path); err == nil || !strings.Contains(err.Error(), "is not a checkpoint of vicreg") {
		t.Errorf("a model: %v", err)
	}
}

func TestAnotherArchitecture(t *testing.T) {
	path := save2(t)
	wide := arrays(0)
	wide[0] = Array{"conv1.weight", []int{4, 3}, make([]float32, 12)}
	renamed := arrays(0)
	renamed[1].Name = "bn2.weight"
	for want, a := range map[string][]Array{
		"conv1.weight is [2 3] there and [4 3] here": wide,
		"it has no bn2.weight, which is [4] here":    renamed,
		"its bn1.weight, [4], is unknown here":       arrays(0)[:1],
	} {
		if _, err := Load(path, a); err == nil || !strings.Contains(err.Error(), "of another architecture: "+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	conv := func(name string) bool { return name == "conv1.weight" }
	if err := Match(path, wide, conv); err == nil || !strings.Contains(err.Error(), "of another architecture: conv1.weight is") {
		t.Errorf("another convolution: %v", err)
	}
	for _, a := range [][]Array{renamed, arrays(0)[:1]} { // they differ in bn1 alone
		if err := Match(path, a, conv); err != nil {
			t.Errorf("the same convolution: %v", err)
		}
	}
}

// No byte of a checkpoint changes unseen, and the one before it is offered.
func TestEveryByteIsChecked(t *testing.T) {
	path := save2(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.Link(path+Suffix, flipped+Suffix); err != nil {
		t.Fatal(err)
	}
	commands := fmt.Sprintf("mv %[1]s %[1]s.damaged; mv %[1]s.previous %[1]s", flipped)
	head := 8 + int(good[0]) + int(good[1])<<8
	for i := range good {
		bit := i % 8
		b := bytes.Clone(good)
		b[i] ^= 1 << bit
		if err := os.WriteFile(flipped, b, 0o644); err != nil {
			t.Fatal(err)
		}
		before, after := arrays(7), arrays(7)
		_, err := Load(flipped, after)
		if err == nil || !strings.Contains(err.Error(), flipped) || !strings.Contains(err.Error(), "after step 1, is whole: "+commands) {
			t.Errorf("byte %d (%q), bit %d: %v", i, good[i], bit, err)
		}
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("byte %d, bit %d: damaged values were used", i, bit)
		}
		if _, err := Peek(flipped); err == nil && i < head {
			t.Errorf("byte %d (%q), bit %d of the header is not seen by Peek", i, good[i], bit)
		}
	}
}

// The one before is offered where damage was proven alone, and what is damaged is kept.
func TestWhatTheOneBeforeIsOfferedFor(t *testing.T) {
	path := save2(t)
	denied := &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	disk := fmt.Errorf("%s: %w", path, &fs.PathError{Op: "read", Path: path, Err: errors.New("input/output error")})
	for want, err := range map[string]error{
		path + " cannot be read: permission denied; make it readable for you, or go on as the user who owns it":                             denied,
		path + " cannot be read: input/output error; that tells nothing of what it holds, so leave it and try again":                        disk,
		path + " is a checkpoint of another version of vicreg; go on with the version that wrote it":                                        fmt.Errorf("%s %w", path, errVersion),
		path + " is odd; the one before it, after step 1, is whole: mv " + path + " " + path + ".damaged; mv " + path + Suffix + " " + path: fmt.Errorf("%s is odd", path),
	} {
		if got := explain(path, err).Error(); got != want && got != "checkpoint "+want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
	if !errors.Is(explain(path, denied), fs.ErrPermission) {
		t.Error("the cause is lost")
	}
	if err := os.WriteFile(path+".damaged", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := previous(path), "mv "+path+" "+path+".damaged2; mv "; !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	os.Remove(path)
	if got, want := previous(path), "is whole: mv "+path+Suffix+" "+path; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	if _, _, short := cut(broken{}, 100); short {
		t.Error("a disk that fails cuts files short")
	}
}

// broken is a disk that fails.
type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

// write writes a checkpoint whose metadata may be anything.
func write(t testing.TB, path string, meta map[string]string, sealed bool) {
	t.Helper()
	var tensors []safetensors.Tensor
	for _, a := range arrays(1) {
		tensors = append(tensors, safetensors.Tensor{Name: a.Name, Shape: a.Shape, Data: a.Data})
	}
	write := safetensors.WriteFile
	if sealed {
		write = safetensors.WriteSealedFile
	}
	if err := write(path, tensors, meta); err != nil {
		t.Fatal(err)
	}
}

// Checkpoints of the version before, whose header has no checksum, can be read,
// and say what they are.
func TestOldCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	meta := map[string]string{"format": "vicreg checkpoint 1", stateKey: `{"steps":5,"epoch":1,"step":1}`, "vicreg.crc32c": "31087a1c"}
	write(t, path, meta, false)
	got := arrays(0)
	s, err := Load(path, got)
	if err != nil || s.Steps != 5 || !s.Unsealed || !reflect.DeepEqual(got, arrays(1)) {
		t.Fatalf("state %+v, %v", s, err)
	}
	meta["vicreg.crc32c"] = "31087a1b"
	write(t, path, meta, false)
	if _, err := Load(path, got); err == nil || !strings.Contains(err.Error(), "is damaged: the checksum of its data is 31087a1c") {
		t.Errorf("another checksum: %v", err)
	}
	delete(meta, "vicreg.crc32c")
	write(t, path, meta, false)
	if _, err := Load(path, got); err == nil {
		t.Error("no checksum at all was accepted")
	}
	for name, want := range map[string]string{
		"vicreg checkpoint 2": "is a checkpoint without its checksums",
		"vicreg checkpoint 3": "is a checkpoint of another version of vicreg",
		"":                    "is not a checkpoint of vicreg",
	} {
		meta["format"] = name
		write(t, path, meta, false)
		if _, err := Peek(path); err == nil || !strings.Contains(err.Error(), path+" "+want) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A state that no run comes to is refused, though its checksum is right.
func TestImpossibleStates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	for state, want := range map[string]string{
		`{"step":-3}`:                    "its step of the epoch is -3",
		`{"epoch":-1}`:                   "its epoch is -1",
		`{"steps":-1}`:                   "its step is -1",
		`{"steps":2,"step":3}`:           "it has done 3 steps of the epoch, but 2 altogether",
		`{"metrics_size":-5}`:            "its size of the metrics is -5",
		`{"seconds":-1}`:                 "its time is -1 seconds",
		`{"wait_seconds":1e300}`:         "its time of waiting is 1e+300 seconds",
		`{"epoch_seconds":-1e-9}`:        "its time in the epoch is -1e-09 seconds",
		`{"loss":1e999}`:                 "is a checkpoint whose state cannot be read",
		`{"steps":1.5}`:                  "is a checkpoint whose state cannot be read",
		`{"started":"yesterday"}`:        "is a checkpoint whose state cannot be read",
		`{"bad_train":{}}`:               "is a checkpoint whose state cannot be read",
		`[]`:                             "is a checkpoint whose state cannot be read",
		``:                               "is a checkpoint whose state cannot be read",
		`{"steps":99999999999999999999}`: "is a checkpoint whose state cannot be read",
	} {
		write(t, path, map[string]string{"format": format, stateKey: state}, true)
		if _, err := Load(path, arrays(0)); err == nil || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", state, err, want)
		}
	}
}

// What is no file is refused without a wait for it.
func TestOnlyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Peek(path); err == nil || !strings.Contains(err.Error(), path+" is a folder, not a checkpoint; move it away") {
		t.Errorf("a folder: %v", err)
	}
	if err := Save(path, State{}, arrays(0)); err == nil || !strings.Contains(err.Error(), "it is a folder, and only a file can be replaced") {
		t.Errorf("a folder was replaced: %v", err)
	}
}
