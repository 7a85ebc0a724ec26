package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/npy"
	"vicreg/internal/safetensors"
)

// The command on every golden file, in all conventions.
func TestLossGolden(t *testing.T) {
	files, err := filepath.Glob("../../internal/loss/testdata/vicreg/*.safetensors")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		g := check.Golden(t, file)
		for _, convention := range []string{"released", "formula", "pseudocode"} {
			grad := filepath.Join(t.TempDir(), "g.safetensors")
			out, err := exec.Command("vicreg", "loss", file, "--convention", convention, "--grad", grad,
				"--lambda", g.Meta["lambda_"], "--mu", g.Meta["mu"], "--nu", g.Meta["nu"],
				"--gamma", g.Meta["gamma"], "--eps", g.Meta["eps"]).Output()
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			var got map[string]any
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			what := filepath.Base(file) + ", " + convention
			if got["convention"] != convention {
				t.Errorf("%s: it says %v", what, got["convention"])
			}
			for _, term := range []string{"invariance", "variance", "covariance", "total"} {
				key := convention + "_" + term
				if _, noted := g.Meta[key]; noted {
					check.Scalar(t, what+", "+term, got[term].(float64), g.Float(key), 1e-5)
				}
			}
			for _, branch := range []string{"branch1", "branch2"} {
				for _, figure := range []string{"std", "correlation", "rank"} {
					if _, ok := got[branch].(map[string]any)[figure].(float64); !ok {
						t.Errorf("%s: no %s of %s", what, figure, branch)
					}
				}
			}
			if convention == "pseudocode" {
				continue // the files hold its total alone
			}
			ours, err := safetensors.Read(grad)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"dz1", "dz2"} {
				if info, _ := ours.Info(name); info.DType != safetensors.F32 {
					t.Errorf("%s: %s is %q", what, name, info.DType)
				}
				dz, err := ours.Float64(name)
				if err != nil {
					t.Fatal(err)
				}
				check.Close64(t, what+", "+name, dz, g.F64(convention+"_"+name), 1e-5)
			}
		}
	}
}

// Numbers of 64 bits that lie far from 0 have the loss that they have near it, as long as
// 32 bits hold what is left when both are moved.
func TestLossOfDoubles(t *testing.T) {
	dir := t.TempDir()
	const n, d = 16, 3
	z := func(view, i, j int) float64 { return float64((i*i+5*j)%7)/4 + float64(view*((3*i+j)%5))/64 }
	run := func(method string, far float64, z2 float64, tensors bool) ([]byte, error) {
		var files []string
		var both []safetensors.Tensor
		for view, move := range []float64{far, z2} {
			at := func(i, j int) float64 { return z(view, i, j) + move*float64(1-j) }
			name := filepath.Join(dir, []string{"a.npy", "b.npy"}[view])
			check.Doubles(t, name, n, d, at)
			values := make([]float64, n*d)
			for k := range values {
				values[k] = at(k/d, k%d)
			}
			files = append(files, name)
			both = append(both, safetensors.Tensor{Name: []string{"z1", "z2"}[view], Shape: []int{n, d}, Data: values})
		}
		if tensors {
			files = []string{filepath.Join(dir, "z.safetensors")}
			if err := safetensors.WriteFile(files[0], both, nil); err != nil {
				t.Fatal(err)
			}
		}
		return exec.Command("vicreg", append([]string{"loss", "--method", method}, files...)...).CombinedOutput()
	}
	terms := func(method string, out []byte, err error) (total, invariance float64) {
		t.Helper()
		var got struct{ Total, Invariance float64 }
		if err = cmp.Or(err, json.Unmarshal(out, &got)); err != nil {
			t.Fatalf("%s: %v, %s", method, err, out)
		}
		return got.Total, got.Invariance
	}
	for _, method := range []string{"vicreg", "barlow-twins", "wmse"} {
		out, err := run(method, 0, 0, false)
		total, invariance := terms(method, out, err)
		for _, tensors := range []bool{false, true} {
			out, err := run(method, 1e9, 1e9, tensors)
			farTotal, farInvariance := terms(method, out, err)
			check.Close64(t, method, []float64{farTotal, farInvariance}, []float64{total, invariance}, 1e-5)
		}
	}
	out, err := run("vicreg", 0, 1e9, false)
	if err == nil || !bytes.Contains(out, []byte("column 0 (from 0) of z2 differs by less than the 32 bits")) {
		t.Errorf("%v, %s", err, out)
	}
	out, err = run("swav", 1e9, 1e9, false)
	if err == nil || !bytes.Contains(out, []byte("take the same off all scores of a row")) {
		t.Errorf("%v, %s", err, out)
	}
}

// Two arrays give what the same matrices in one file give, gradients too.
func TestLossOfArrays(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"vicreg": "../../internal/loss/testdata/vicreg/n16_d8.safetensors", "simclr": "../../internal/loss/testdata/simclr.safetensors"}
	for method, path := range files {
		g := check.Golden(t, path)
		args := []string{"loss", "--method", method}
		for _, name := range []string{"z1", "z2"} {
			file, err := os.Create(filepath.Join(dir, name+".npy"))
			if err != nil {
				t.Fatal(err)
			}
			shape := g.Shape(name)
			w, err := npy.NewWriter(file, shape[0], shape[1])
			if err == nil {
				err = errors.Join(w.Write(g.F32(name)), w.Close(), file.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			args = append(args, file.Name())
		}
		grad := filepath.Join(dir, "g.safetensors")
		out, err := exec.Command("vicreg", append(args, "--grad", grad)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		want, err := exec.Command("vicreg", "loss", "--method", method, path).Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, want) {
			t.Errorf("%s: %s\nwant %s", method, out, want)
		}
		if !isGradients(grad) {
			t.Errorf("%s: no gradients", method)
		}
		// An array is not written over by the gradients of what it holds.
		if err := exec.Command("vicreg", append(args, "--grad", args[len(args)-1], "--force")...).Run(); err == nil {
			t.Errorf("%s: %s was written over", method, args[len(args)-1])
		}
	}
	if out, err := exec.Command("vicreg", "loss", "--method", "deepcluster", filepath.Join(dir, "z1.npy"),
		filepath.Join(dir, "z2.npy")).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("no tensor assignment")) {
		t.Errorf("deepcluster: %v, %s", err, out)
	}
}
