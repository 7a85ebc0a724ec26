package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"vicreg/internal/onnx"
)

// job is what testdata/run.cjs computes.
type job struct {
	Model string `json:"model"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
	Data  []byte `json:"data"`
}

func newJob(path, name string, a onnx.Array) job {
	j := job{Model: path, Name: name, Type: "float32", Shape: a.Shape}
	if a.Ints != nil {
		j.Type = "int64"
		j.Data, _ = binary.Append(nil, binary.LittleEndian, a.Ints)
		return j
	}
	j.Data, _ = binary.Append(nil, binary.LittleEndian, a.Floats)
	return j
}

// runtime says where onnxruntime-node is installed: where VICREG_ONNXRUNTIME says, which
// .ci/run sets, or in the user's cache. Where it is named it must be there.
func runtime(t *testing.T) string {
	named := os.Getenv("VICREG_ONNXRUNTIME")
	dir := named
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Skip("there is no folder for caches, where onnxruntime-node would be")
		}
		dir = filepath.Join(cache, "vicreg", "onnxruntime")
	}
	modules := filepath.Join(dir, "node_modules")
	_, err := os.Stat(filepath.Join(modules, "onnxruntime-node"))
	if err == nil {
		_, err = exec.LookPath("node")
	}
	if err != nil && named == "" {
		t.Skipf("onnxruntime-node is not installed, as .ci/run does it: %v", err)
	}
	if err != nil {
		t.Fatalf("VICREG_ONNXRUNTIME is %s: %v", named, err)
	}
	return modules
}

// ONNX Runtime computes of every kind of encoder what vicreg does, for one item and for
// three.
func TestONNXRuntime(t *testing.T) {
	modules := runtime(t)
	var jobs []job
	var want []map[string][]float32
	var names []string
	dir := t.TempDir()
	for i, e := range examples() {
		m := e.open(t)
		w := &work{m: m, input: newInput(m)}
		path := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		r, err := Write(context.Background(), m, path, Options{Format: "onnx", Expander: m.Expander != nil})
		if err != nil {
			t.Fatal(err)
		}
		w.Outputs = r.Outputs
		for _, n := range []int{1, 3} {
			raw, x := w.input.batch(n)
			y, err := w.outputs(context.Background(), x)
			if err != nil {
				t.Fatal(err)
			}
			jobs, want = append(jobs, newJob(path, w.input.name, raw)), append(want, y)
			names = append(names, fmt.Sprintf("%s, %d items", e.name, n))
		}
	}
	asked, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join("testdata", "run.cjs"))
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stdin = bytes.NewReader(asked)
	var said bytes.Buffer
	cmd.Stderr = &said
	answer, err := cmd.Output()
	if err != nil || said.Len() > 0 {
		t.Fatalf("node: %v, %s", err, &said)
	}
	var got []map[string]struct {
		Shape []int  `json:"shape"`
		Data  []byte `json:"data"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || len(got) != len(jobs) {
		t.Fatalf("%d results of %d: %v", len(got), len(jobs), err)
	}
	worst := 0.
	for i, name := range names {
		if len(got[i]) != len(want[i]) {
			t.Errorf("%s: %d outputs, want %d", name, len(got[i]), len(want[i]))
		}
		for output, y := range want[i] {
			values := make([]float32, len(got[i][output].Data)/4)
			if _, err := binary.Decode(got[i][output].Data, binary.LittleEndian, values); err != nil {
				t.Fatal(err)
			}
			n := jobs[i].Shape[0]
			if shape := got[i][output].Shape; len(values) != len(y) || !slices.Equal(shape, []int{n, len(y) / n}) {
				t.Errorf("%s: %s is %v, want %d values", name, output, shape, len(y))
				continue
			}
			d := difference(values, y)
			if !(d <= Tolerance) {
				t.Errorf("%s: %s are off by %.2g of the largest value", name, output, d)
			}
			worst = max(worst, d)
		}
	}
	t.Logf("%d models: at most %.2g of the largest value apart", len(jobs)/2, worst)
}
