package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/safetensors"
)

// FuzzLoss runs vicreg loss on any file with any method, constant and weight. What
// comes out is finite, or there is an error in a sentence and no file.
func FuzzLoss(f *testing.F) {
	small := func(tensors ...safetensors.Tensor) []byte {
		var b bytes.Buffer
		if err := safetensors.Write(&b, tensors, nil); err != nil {
			f.Fatal(err)
		}
		return b.Bytes()
	}
	z := func(values ...float32) []byte {
		shape := []int{len(values) / 2, 2}
		return small(safetensors.Tensor{Name: "z1", Shape: shape, Data: values},
			safetensors.Tensor{Name: "z2", Shape: shape, Data: append(values[1:len(values):len(values)], values[0])})
	}
	plain := z(1, 2, 4, 8, -1, 3, 2, 2)
	f.Add(plain, "vicreg", "mu=3", "1", true)
	f.Add(plain, "vicreg", "", "1e300", true)
	f.Add(plain, "vicreg", "mu=inf", "nan", false)
	for _, name := range lossMethods() {
		f.Add(plain, name, "temperature=1e-300", "", true)
		f.Add(plain, name, "", "", true)
		f.Add(z(3e38, -3e38, 0, 3e38), name, "stop-gradient=0", "", true)
		f.Add(z(0, 0, 0, 0), name, "iterations=1e15", "", false)
	}
	methods := map[string]string{"moco": "moco-v2", "swav": "swav", "deepcluster": "deepcluster", "wmse_eps0.0": "wmse"}
	for file := range methods {
		raw, err := os.ReadFile("../../internal/loss/testdata/" + file + ".safetensors")
		if err != nil {
			f.Fatal(err)
		}
		if len(raw) < 1<<16 {
			f.Add(raw, methods[file], "", "", true)
		}
	}
	columns := safetensors.Tensor{Name: "queue", Shape: []int{2, 3}, Data: []float32{1, 0, 1, 0, 1, 0}}
	four := []float32{1, 2, 3, 4}
	f.Add(small(safetensors.Tensor{Name: "z1", Shape: []int{2, 2}, Data: four},
		safetensors.Tensor{Name: "z2", Shape: []int{2, 2}, Data: four}, columns), "moco-v2", "", "", true)
	f.Add(small(safetensors.Tensor{Name: "z1", Shape: []int{2, 2}, Data: four},
		safetensors.Tensor{Name: "z2", Shape: []int{2, 2}, Data: four},
		safetensors.Tensor{Name: "assignment", Shape: []int{2}, Data: []int64{1, -1}}), "deepcluster", "", "", true)
	f.Add([]byte("{}"), "vicreg", "", "", false)

	was := stdout
	f.Cleanup(func() { stdout = was })
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, file []byte, method, set, lambda string, grad bool) {
		if len(file) > 1<<16 {
			return
		}
		path, to := filepath.Join(dir, "z.safetensors"), filepath.Join(dir, "g.safetensors")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(to)
		args := []string{"loss", path, "--method=" + method}
		if set != "" {
			args = append(args, "--set="+set)
		}
		if lambda != "" {
			args = append(args, "--lambda="+lambda)
		}
		if grad {
			args = append(args, "--grad="+to)
		}
		var out bytes.Buffer
		stdout = &printer{out: &out}
		var err error
		check.Bounded(t, 600, 10*time.Second, func() {
			cmd := newRoot()
			cmd.SetArgs(args)
			cmd.SetErr(io.Discard)
			err = cmd.Execute()
		})
		_, missing := os.Stat(to)
		if err != nil {
			for _, raw := range []string{"json:", "strconv", "runtime error", "unsupported value"} {
				if strings.Contains(err.Error(), raw) {
					t.Errorf("%q: %v", args, err)
				}
			}
			if missing == nil {
				t.Errorf("%q: %v, and yet there are gradients", args, err)
			}
			return
		}
		var got map[string]any
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["total"] == nil {
			t.Fatalf("%q: %v in %s", args, err, out.Bytes())
		}
		if !grad {
			return
		}
		g, err := safetensors.Read(to)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dz1", "dz2"} {
			dz, err := g.Float64(name)
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range dz {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%q: %s holds %v at %d", args, name, v, i)
				}
			}
		}
	})
}
