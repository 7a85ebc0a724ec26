package main

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"vicreg/internal/check"
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
