package check

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
)

// GoldenFile is a safetensors file of expected values. Every method fails the
// test when a name is missing.
type GoldenFile struct {
	// Meta is the file's __metadata__: notes and scalars.
	Meta map[string]string

	t       testing.TB
	path    string
	tensors map[string]golden
}

type golden struct {
	Dtype  string
	Shape  []int
	Values []float64
}

// Golden reads the file at path.
func Golden(t testing.TB, path string) *GoldenFile {
	t.Helper()
	g := &GoldenFile{t: t, path: path, tensors: map[string]golden{}}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(file)
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+size], &header); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for name, raw := range header {
		if name == "__metadata__" {
			if err := json.Unmarshal(raw, &g.Meta); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			continue
		}
		var h struct {
			Dtype   string
			Shape   []int
			Offsets [2]uint64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &h); err != nil {
			t.Fatalf("%s: %s: %v", path, name, err)
		}
		data := file[8+size:][h.Offsets[0]:h.Offsets[1]]
		v := golden{Dtype: h.Dtype, Shape: h.Shape}
		switch h.Dtype {
		case "F32":
			for ; len(data) > 0; data = data[4:] {
				v.Values = append(v.Values, float64(math.Float32frombits(binary.LittleEndian.Uint32(data))))
			}
		case "F64":
			for ; len(data) > 0; data = data[8:] {
				v.Values = append(v.Values, math.Float64frombits(binary.LittleEndian.Uint64(data)))
			}
		case "I64":
			for ; len(data) > 0; data = data[8:] {
				v.Values = append(v.Values, float64(int64(binary.LittleEndian.Uint64(data))))
			}
		case "U8":
			for _, b := range data {
				v.Values = append(v.Values, float64(b))
			}
		default:
			t.Fatalf("%s: %s has dtype %s", path, name, h.Dtype)
		}
		g.tensors[name] = v
	}
	return g
}

func (g *GoldenFile) get(name string) golden {
	g.t.Helper()
	v, ok := g.tensors[name]
	if !ok {
		g.t.Fatalf("%s has no tensor %q", g.path, name)
	}
	return v
}

// Has reports whether the file holds a tensor of that name.
func (g *GoldenFile) Has(name string) bool {
	_, ok := g.tensors[name]
	return ok
}

// Names returns all names, sorted.
func (g *GoldenFile) Names() []string {
	var names []string
	for name := range g.tensors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Shape returns the shape of a tensor.
func (g *GoldenFile) Shape(name string) []int {
	g.t.Helper()
	return slices.Clone(g.get(name).Shape)
}

// Dtype returns the type a tensor is stored in, such as F32.
func (g *GoldenFile) Dtype(name string) string {
	g.t.Helper()
	return g.get(name).Dtype
}

// F64 returns a tensor of any type as float64.
func (g *GoldenFile) F64(name string) []float64 {
	g.t.Helper()
	return slices.Clone(g.get(name).Values)
}

// F32 returns a tensor of any type as float32.
func (g *GoldenFile) F32(name string) []float32 {
	g.t.Helper()
	values := g.get(name).Values
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = float32(v)
	}
	return out
}

// Float returns a number from the metadata.
func (g *GoldenFile) Float(key string) float64 {
	g.t.Helper()
	v, err := strconv.ParseFloat(g.Meta[key], 64)
	if err != nil {
		g.t.Fatalf("%s: metadata %q: %v", g.path, key, err)
	}
	return v
}

// NHWC turns a tensor n × c × h × w into n × h × w × c.
func NHWC(x []float32, n, c, h, w int) []float32 {
	out := make([]float32, len(x))
	for i := range n {
		for j := range c {
			for p := range h * w {
				out[(i*h*w+p)*c+j] = x[(i*c+j)*h*w+p]
			}
		}
	}
	return out
}
