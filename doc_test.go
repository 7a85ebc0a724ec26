package vicreg

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// source returns the files of this package, without its tests.
func source(t *testing.T) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// stranger names a type of an internal package that the declaration shows, or "".
func stranger(f *ast.File, n ast.Node) (found string) {
	var internal []string
	for _, i := range f.Imports {
		if path := strings.Trim(i.Path.Value, `"`); strings.HasPrefix(path, "vicreg/internal/") {
			internal = append(internal, path[strings.LastIndex(path, "/")+1:])
		}
	}
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(internal, x.Name) {
				found = x.Name + "." + s.Sel.Name
			}
		}
		return true
	})
	return found
}

// go doc answers for every exported name: each has words of its own, and shows no type that
// nobody can look up.
func TestEveryNameIsTold(t *testing.T) {
	seen := 0
	tell := func(name string, doc ...*ast.CommentGroup) {
		seen++
		for _, d := range doc {
			if strings.TrimSpace(d.Text()) != "" {
				return
			}
		}
		t.Errorf("%s has no words", name)
	}
	for _, f := range source(t) {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					of := d.Recv.List[0].Type
					if p, ok := of.(*ast.StarExpr); ok {
						of = p.X
					}
					if !of.(*ast.Ident).IsExported() || of.(*ast.Ident).Name == "Silent" {
						continue
					}
					name = of.(*ast.Ident).Name + "." + name
				}
				if !d.Name.IsExported() {
					continue
				}
				tell(name, d.Doc)
				if x := stranger(f, d.Type); x != "" {
					t.Errorf("%s shows %s", name, x)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.ValueSpec:
						for _, n := range s.Names {
							if n.IsExported() {
								tell(n.Name, d.Doc, s.Doc, s.Comment)
							}
						}
					case *ast.TypeSpec:
						if !s.Name.IsExported() {
							continue
						}
						tell(s.Name.Name, d.Doc, s.Doc)
						if s.Assign != token.NoPos {
							t.Errorf("%s is another name of a type; make it one of its own", s.Name.Name)
						}
						for _, x := range members(s.Type) {
							var names []string
							for _, n := range x.Names {
								if n.IsExported() {
									names = append(names, n.Name)
								}
							}
							if len(names) == 0 {
								continue
							}
							tell(s.Name.Name+"."+strings.Join(names, ", "), x.Doc, x.Comment)
							if y := stranger(f, x); y != "" {
								t.Errorf("%s.%s shows %s", s.Name.Name, names[0], y)
							}
						}
					}
				}
			}
		}
	}
	if seen < 300 {
		t.Errorf("only %d names were looked at", seen)
	}
}

// members returns the fields of a struct or the methods of an interface.
func members(t ast.Expr) []*ast.Field {
	switch t := t.(type) {
	case *ast.StructType:
		return t.Fields.List
	case *ast.InterfaceType:
		return t.Methods.List
	}
	return nil
}

// The defaults that Config's words name are those of the recipe quick.
func TestDefaults(t *testing.T) {
	docs := map[string]string{} // of a field, by Type.Field
	for _, f := range source(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok {
				for _, x := range members(s.Type) {
					for _, n := range x.Names {
						docs[s.Name.Name+"."+n.Name] = strings.Join(strings.Fields(x.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	c, err := Recipe("")
	if err != nil {
		t.Fatal(err)
	}
	for field, names := range map[string][]string{"Encoder.Arch": Encoders(), "Optimizer.Name": {"lars", "sgd", "adamw"}} {
		for _, name := range names {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(docs[field]) {
				t.Errorf("the words on %s leave out %s", field, name)
			}
		}
	}
	told := regexp.MustCompile(`(?:^| )Default: (.*)$`)
	checked := 0
	var walk func(name string, all []reflect.Value)
	walk = func(name string, all []reflect.Value) {
		v := all[0]
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				var of []reflect.Value
				for _, v := range all {
					of = append(of, v.Field(i))
				}
				walk(v.Type().Name()+"."+v.Type().Field(i).Name, of)
			}
			return
		}
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Len() > 0 {
			var items []reflect.Value
			for i := range v.Len() {
				items = append(items, v.Index(i))
			}
			walk(name, items)
			return
		}
		var words []string
		for _, v := range all {
			if word := spell(v); !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
		checked++
		m := told.FindStringSubmatch(docs[name])
		if want := strings.Join(words, " and "); m == nil || m[1] != want {
			t.Errorf("the words on %s should end in \"Default: %s\", but are %q", name, want, docs[name])
		}
	}
	walk("Config", []reflect.Value{reflect.ValueOf(c)})
	if checked < 90 {
		t.Errorf("only %d defaults were looked at", checked)
	}
}

// spell writes a value as words do.
func spell(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Array:
		return fmt.Sprint(v.Index(0), " and ", v.Index(1))
	case reflect.Slice, reflect.String:
		if v.Len() == 0 {
			return "none"
		}
	case reflect.Pointer:
		if v.IsNil() {
			return "none"
		}
	}
	return fmt.Sprint(v)
}
