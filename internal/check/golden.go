package check

import (
	"slices"
	"strconv"
	"testing"

	"vicreg/internal/safetensors"
)

// GoldenFile is a safetensors file of expected values. Every method fails the
// test when a name is missing.
type GoldenFile struct {
	// Meta is the file's __metadata__: notes and scalars.
	Meta map[string]string

	t    testing.TB
	path string
	file *safetensors.File
}

// Golden reads the file at path.
func Golden(t testing.TB, path string) *GoldenFile {
	t.Helper()
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return &GoldenFile{Meta: f.Metadata, t: t, path: path, file: f}
}

// Has reports whether the file holds a tensor of that name.
func (g *GoldenFile) Has(name string) bool {
	_, ok := g.file.Info(name)
	return ok
}

// Names returns all names, sorted.
func (g *GoldenFile) Names() []string {
	var names []string
	for _, info := range g.file.Tensors {
		names = append(names, info.Name)
	}
	slices.Sort(names)
	return names
}

// Shape returns the shape of a tensor.
func (g *GoldenFile) Shape(name string) []int {
	g.t.Helper()
	info, ok := g.file.Info(name)
	if !ok {
		g.t.Fatalf("%s has no tensor %q", g.path, name)
	}
	return slices.Clone(info.Shape)
}

// F64 returns a tensor of any type as float64.
func (g *GoldenFile) F64(name string) []float64 {
	g.t.Helper()
	v, err := g.file.Float64(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// F32 returns a tensor of any type as float32.
func (g *GoldenFile) F32(name string) []float32 {
	g.t.Helper()
	v, err := g.file.Float32(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
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
