package checkpoint

import (
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
	copy(want[0].Data, []float32{float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, float32(math.Inf(1)), math.MaxFloat32})
	s := State{Config: "x", Epoch: 3, Step: 4, Steps: 100, MetricsSize: 12, Seconds: 0.1, Loss: 1.0 / 3, Terms: runlog.Terms{{Name: "variance", Value: 0.1}}}
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
