package vicreg

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// looksInto names the files of the floors above the device that may look into arrays of
// numbers, and why. Elsewhere there is no loop over parameters, activations or gradients:
// it would be one that no device can run.
var looksInto = map[string]string{
	"internal/nn/param.go":           "PyTorch's order, and chance at the start",
	"internal/nn/embed.go":           "the numbers of texts, before they go to the device",
	"internal/model/vit.go":          "fixed positions, at the start",
	"internal/method/queue.go":       "a queue is the host's",
	"internal/method/deepcluster.go": "banks, labels and prototypes are the host's",
	"internal/train/board.go":        "views as pictures, in the host's batch",
}

// TestArraysAreOpaque finds every index into a slice of float32 or bfloat16, every range
// over one, and every call of [device.Array.Host], by types.
func TestArraysAreOpaque(t *testing.T) {
	fset := token.NewFileSet()
	from := importer.ForCompiler(fset, "gc", exports(t))
	used := map[string]bool{}
	for _, pkg := range []string{"nn", "model", "optim", "method", "train"} {
		dir := filepath.Join("internal", pkg)
		sources, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		var files []*ast.File
		for _, name := range sources.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		info := &types.Info{
			Types:      map[ast.Expr]types.TypeAndValue{},
			Selections: map[*ast.SelectorExpr]*types.Selection{},
		}
		if _, err := (&types.Config{Importer: from}).Check("vicreg/internal/"+pkg, fset, files, info); err != nil {
			t.Fatal(err)
		}
		found := func(n ast.Node, what string) {
			at := fset.Position(n.Pos())
			file := filepath.ToSlash(at.Filename)
			if used[file] = true; looksInto[file] == "" {
				t.Errorf("%s: %s: loops over arrays belong to package kernel, behind a device's operation", at, what)
			}
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.IndexExpr:
					if numbers(info.TypeOf(n.X)) {
						found(n, "an element of an array")
					}
				case *ast.RangeStmt:
					if numbers(info.TypeOf(n.X)) {
						found(n, "a range over an array")
					}
				case *ast.SelectorExpr:
					if s := info.Selections[n]; s != nil && s.Obj().Name() == "Host" && s.Recv().String() == "vicreg/internal/device.Array" {
						found(n, "a look into an array")
					}
				}
				return true
			})
		}
	}
	for file := range looksInto {
		if !used[file] {
			t.Errorf("%s looks into no array any more; strike it off the list", file)
		}
	}
}

// numbers says whether t is a slice or an array of float32, or of the bits of bfloat16.
func numbers(t types.Type) bool {
	if t == nil {
		return false
	}
	var elem types.Type
	switch u := t.Underlying().(type) {
	case *types.Slice:
		elem = u.Elem()
	case *types.Array:
		elem = u.Elem()
	default:
		return false
	}
	b, ok := elem.Underlying().(*types.Basic)
	return ok && (b.Kind() == types.Float32 || b.Kind() == types.Uint16)
}

// exports returns where the compiler has left the types of a package.
func exports(t *testing.T) importer.Lookup {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./internal/train")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if pkg, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			files[pkg] = file
		}
	}
	return func(pkg string) (io.ReadCloser, error) { return os.Open(files[pkg]) }
}
