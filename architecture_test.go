package vicreg

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layers lists every package from the bottom up. A package may import those of
// lower layers only, whatever the build tags.
var layers = [][]string{
	{"durable", "cpu", "kernel", "pages", "show", "vorbis", "mp3", "fax", "native", "gate", "group"},
	{"table", "npy", "turbo", "ledger"},
	{"tiff"},
	{"host", "parallel", "rng", "imagefile", "audio", "safetensors", "runlog", "settings",
		"tensorboard", "listing"},
	{"kernel/shape", "augment", "pack", "shard", "parquet", "onnx", "torchfile"},
	{"kernel/scratch", "kernel/plain", "dataset"},
	{"kernel/product"},
	{"kernel/row", "kernel/column"},
	{"kernel/pass", "kernel/vector", "group/mpi"},
	{"scaling"},
	{"kernel/winograd"},
	{"kernel/conv"},
	{"kernel/token"},
	{"tensor", "device"},
	{"cuda"},
	{"cuda/card"},
	{"devices"},
	{"nn", "batch"},
	{"model", "loss", "cluster", "optim", "checkpoint", "pairs"},
	{"recipe"},
	{"method", "eval", "index"},
	{"pretrained", "reckon", "atlas"},
	{"advice", "export", "foreign", "serve"},
	{"train", "compare", "watch"},
	{"report"},
	{"vicreg"},
	{"cmd/vicreg", "bench", "bench/gpu"},
}

// never holds what the layers alone would let pass: a package and what it must
// not reach, by any number of steps.
var never = map[string][]string{
	"loss":    {"nn", "model"},
	"dataset": {"augment", "tensor"},
	"augment": {"dataset", "tensor"},
	"pack":    {"augment", "dataset"},
	"batch":   {"nn", "model", "loss", "kernel/scratch"},
	"runlog":  {"safetensors"},
	"eval":    {"train", "method"},
}

// apart holds what a package must not import itself, though what it imports may: those
// whose arrays live on a device reach memory and kernels through it alone.
var apart = map[string][]string{
	"nn":    {"kernel/", "pages", "parallel"},
	"model": {"kernel/", "pages", "parallel"},
	"optim": {"kernel/", "pages", "parallel"},
}

func TestImportsPointDown(t *testing.T) {
	level := map[string]int{}
	for i, names := range layers {
		for _, name := range names {
			level[name] = i
		}
	}
	imports := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); file != "." && (n == "testdata" || n[0] == '_' || n[0] == '.') {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		pkg := short(path.Join("vicreg", filepath.ToSlash(filepath.Dir(file))))
		switch pkg {
		case "check", "amx", "device/far", "device/blank", "group/local", "cuda/ptx", "cuda/sim": // for tests
			return nil
		}
		if _, ok := level[pkg]; !ok {
			t.Errorf("package %s has no layer; add it where it belongs", pkg)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if name != "vicreg" && !strings.HasPrefix(name, "vicreg/") {
				continue
			}
			name = short(name)
			if imports[pkg] == nil {
				imports[pkg] = map[string]bool{}
			}
			imports[pkg][name] = true
			if to, ok := level[name]; !ok || to >= level[pkg] {
				t.Errorf("%s: package %s must not import %s", file, pkg, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(imports["cmd/vicreg"]) == 0 {
		t.Error("the command's imports were not found")
	}
	for pkg, forbidden := range apart {
		for name := range imports[pkg] {
			for _, not := range forbidden {
				if name == not || strings.HasSuffix(not, "/") && strings.HasPrefix(name, not) {
					t.Errorf("package %s must not import %s: it goes through device", pkg, name)
				}
			}
		}
	}
	for pkg, forbidden := range never {
		reached := map[string]bool{}
		reach(imports, pkg, reached)
		for _, name := range forbidden {
			if reached[name] {
				t.Errorf("package %s must not depend on %s", pkg, name)
			}
		}
	}
}

func short(name string) string {
	name = strings.TrimPrefix(name, "vicreg/")
	return strings.TrimPrefix(name, "internal/")
}

func reach(imports map[string]map[string]bool, pkg string, reached map[string]bool) {
	for name := range imports[pkg] {
		if !reached[name] {
			reached[name] = true
			reach(imports, name, reached)
		}
	}
}
