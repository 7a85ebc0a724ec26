package main

import (
	"encoding/json"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/recipe"
	"vicreg/internal/safetensors"
)

// The command on the golden files of all rivals.
func TestRivalLossGolden(t *testing.T) {
	files := []struct {
		file, method string
		constants    map[string]string // of --set, by the name in the metadata
	}{
		{"simclr", "simclr", map[string]string{"temperature": "temperature"}},
		{"moco", "moco-v2", map[string]string{"temperature": "temperature"}},
		{"byol", "byol", nil},
		{"simsiam", "simsiam", nil},
		{"barlow_twins", "barlow-twins", map[string]string{"lambda_": "lambda", "scale": "scale"}},
		{"barlow_twins_wide", "barlow-twins", map[string]string{"lambda_": "lambda", "scale": "scale"}},
		{"swav", "swav", map[string]string{"temperature": "temperature", "epsilon": "epsilon", "iterations": "iterations"}},
		{"deepcluster", "deepcluster", map[string]string{"temperature": "temperature"}},
		{"wmse_eps0.0", "wmse", map[string]string{"eps": "eps"}},
		{"wmse_eps0.01", "wmse", map[string]string{"eps": "eps"}},
	}
	have, _ := filepath.Glob("../../internal/loss/testdata/*.safetensors")
	if len(have) != len(files) {
		t.Errorf("%d golden files, want %d", len(have), len(files))
	}
	for _, x := range files {
		path := "../../internal/loss/testdata/" + x.file + ".safetensors"
		g := check.Golden(t, path)
		grad := filepath.Join(t.TempDir(), "g.safetensors")
		args := []string{"loss", "--method", x.method, path, "--grad", grad}
		for meta, name := range x.constants {
			args = append(args, "--set", name+"="+g.Meta[meta])
		}
		out, err := exec.Command("vicreg", args...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v: %v in %s", args, err, out)
		}
		if got["method"] != x.method {
			t.Errorf("%s: it says %v", x.file, got["method"])
		}
		check.Scalar(t, x.file, got["total"].(float64), g.Float("loss"), 1e-5)
		tol := 1e-5
		if x.method == "wmse" {
			tol = 1e-4
		}
		sameGrads(t, x.file, g, grad, tol)
	}
}

// The loss of every method can be computed by itself.
func TestEveryMethodHasALoss(t *testing.T) {
	if got, want := lossMethods(), recipe.Methods(); !slices.Equal(got, want) {
		t.Errorf("losses of %v, want those of %v", got, want)
	}
}

func sameGrads(t *testing.T, what string, g *check.GoldenFile, path string, tol float64) {
	t.Helper()
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dz1", "dz2"} {
		info, _ := f.Info(name)
		if !slices.Equal(info.Shape, g.Shape(name)) {
			t.Errorf("%s: %s is %v", what, name, info.Shape)
		}
		dz, err := f.Float64(name)
		if err != nil {
			t.Fatal(err)
		}
		check.Close64(t, what+", "+name, dz, g.F64(name), tol)
	}
}

// What the golden files do not reach: SwAV's own assignments, gradients of
// targets, the third version of MoCo, W-MSE in sub-batches.
func TestRivalLossVariants(t *testing.T) {
	dir := t.TempDir()
	run := func(args ...string) map[string]any {
		t.Helper()
		out, err := exec.Command("vicreg", append([]string{"loss", "--method"}, args...)...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		var got map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	g := check.Golden(t, "../../internal/loss/testdata/swav.safetensors")
	bare, grad := filepath.Join(dir, "bare.safetensors"), filepath.Join(dir, "grad.safetensors")
	if err := safetensors.WriteFile(bare, []safetensors.Tensor{
		{Name: "z1", Shape: g.Shape("z1"), Data: g.F32("z1")}, {Name: "z2", Shape: g.Shape("z2"), Data: g.F32("z2")},
	}, nil); err != nil {
		t.Fatal(err)
	}
	got := run("swav", bare, "--grad", grad)
	if got["assignments"] != "sinkhorn" {
		t.Errorf("assignments come from %v", got["assignments"])
	}
	check.Scalar(t, "swav", got["total"].(float64), g.Float("loss"), 1e-5)
	sameGrads(t, "swav", g, grad, 1e-5)
	f, err := safetensors.Read(grad)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"q1", "q2"} {
		q, err := f.Float64(name)
		if err != nil {
			t.Fatal(err)
		}
		check.Close64(t, name, q, g.F64(name), 1e-5)
	}

	byol := "../../internal/loss/testdata/byol.safetensors"
	for _, method := range []string{"byol", "simsiam", "moco-v3"} {
		for set, still := range map[string]bool{"stop-gradient=1": true, "stop-gradient=0": false} {
			run(method, byol, "--grad", grad, "--set", set)
			f, err := safetensors.Read(grad)
			if err != nil {
				t.Fatal(err)
			}
			dz, err := f.Float64("dz2")
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, v := range dz {
				sum += math.Abs(v)
			}
			if (sum == 0) != still {
				t.Errorf("%s, %s: |dz2| = %v", method, set, sum)
			}
		}
	}

	wmse := "../../internal/loss/testdata/wmse_eps0.0.safetensors"
	whole := run("wmse", wmse)["total"].(float64)
	first := run("wmse", wmse, "--set", "size=16")["total"].(float64)
	if again := run("wmse", wmse, "--set", "size=16", "--set", "seed=0")["total"].(float64); again != first {
		t.Errorf("the same seed gives %v and %v", first, again)
	}
	other := run("wmse", wmse, "--set", "size=16", "--set", "seed=1")["total"].(float64)
	if whole == first || first == other {
		t.Errorf("sub-batches make no difference: %v, %v, %v", whole, first, other)
	}
}
