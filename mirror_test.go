package vicreg

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/eval"
	"vicreg/internal/export"
	"vicreg/internal/foreign"
	"vicreg/internal/loss"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

// mirrors are the public types and what each stands for.
var mirrors = []struct{ public, internal any }{
	{Config{}, recipe.Config{}},
	{Side{}, pairs.Side{}},
	{Loss{}, loss.VICReg{}},
	{Terms{}, loss.Terms{}},
	{Plan{}, train.Plan{}},
	{Step{}, runlog.Step{}},
	{Epoch{}, runlog.Epoch{}},
	{Warning{}, runlog.Warning{}},
	{Summary{}, runlog.Summary{}},
	{Retrieval{}, runlog.Retrieval{}},
	{Outcome{}, eval.Outcome{}},
	{Forecast{}, train.Forecast{}},
	{Exported{}, export.Result{}},
	{Imported{}, foreign.Result{}},
}

// fields lists the paths of all values in a type, each with its kind.
func fields(t reflect.Type, path string, all map[string]reflect.Kind) map[string]reflect.Kind {
	sign, list := map[reflect.Kind]string{reflect.Pointer: "*", reflect.Slice: "[]", reflect.Array: "[n]"}[t.Kind()]
	switch {
	case list:
		fields(t.Elem(), path+sign, all)
	case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
		for i := range t.NumField() {
			switch f := t.Field(i); {
			case f.Anonymous:
				fields(f.Type, path, all)
			case f.Name != event:
				fields(f.Type, strings.TrimPrefix(path+"."+f.Name, "."), all)
			}
		}
	default:
		all[path] = t.Kind()
	}
	return all
}

func TestEveryFieldHasItsCounterpart(t *testing.T) {
	for _, m := range mirrors {
		public, internal := reflect.TypeOf(m.public), reflect.TypeOf(m.internal)
		ours, theirs := fields(public, "", map[string]reflect.Kind{}), fields(internal, "", map[string]reflect.Kind{})
		if len(ours) == 0 {
			t.Fatalf("%s has no fields", public)
		}
		for path, kind := range theirs {
			if ours[path] != kind {
				t.Errorf("%s has a field %s (%s), but %s has none; give it one, with its meaning, unit and default",
					internal, path, kind, public)
			}
		}
		for path := range ours {
			if _, ok := theirs[path]; !ok {
				t.Errorf("%s has a field %s that %s does not have", public, path, internal)
			}
		}
	}
}

// fill gives every value in v one of its own, and every slice and pointer something to
// hold.
func fill(v reflect.Value, next *int) {
	*next++
	switch v.Kind() {
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = time.Unix(int64(*next), 0)
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Name != event {
				fill(v.Field(i), next)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), next)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), next)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{fmt.Sprint(*next): "x"}))
	case reflect.String:
		v.SetString(fmt.Sprint("s", *next))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*next) + 0.5)
	case reflect.Interface:
		v.Set(reflect.ValueOf(*next))
	case reflect.Uint64:
		v.SetUint(uint64(*next))
	default:
		v.SetInt(int64(*next))
	}
}

// What goes there and back is what it was, and shares nothing with it.
func TestRoundTrips(t *testing.T) {
	for _, m := range mirrors {
		next := 0
		first := reflect.New(reflect.TypeOf(m.internal)).Elem()
		fill(first, &next)
		public, second := reflect.New(reflect.TypeOf(m.public)).Elem(), reflect.New(first.Type()).Elem()
		mirror(public, first)
		mirror(second, public)
		if !reflect.DeepEqual(first.Interface(), second.Interface()) {
			t.Errorf("%s:\n%+v became\n%+v", first.Type(), first, second)
		}
	}
	var c recipe.Config
	next := 0
	fill(reflect.ValueOf(&c).Elem(), &next)
	public := outer[Config](c)
	public.Views[0].Flip, *public.Data.MaxBad, public.Pairs.A.Mean[0] = -1, -1, -1
	if c.Views[0].Flip == -1 || *c.Data.MaxBad == -1 || c.Pairs.A.Mean[0] == -1 {
		t.Error("the two share memory")
	}
}

// Every recipe, for every method, is the same configuration here and below, and comes back
// from its file.
func TestRecipesRoundTrip(t *testing.T) {
	for _, name := range Recipes() {
		for _, method := range append(Methods(), "", "supervised") {
			want, err := recipe.LoadFor(name, method)
			if err != nil {
				t.Fatal(err)
			}
			c, err := RecipeFor(name, method)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.inner(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s:\n%+v, want\n%+v", name, method, got, want)
			}
			text, err := c.YAML()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "config.yaml")
			write(t, path, text)
			again, err := ReadConfig(path)
			if err != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("%s, %s, read again: %v\n%+v, want\n%+v", name, method, err, again, c)
			}
		}
	}
	if _, err := Recipe("nosuch"); err == nil || !strings.Contains(err.Error(), `unknown recipe "nosuch"`) {
		t.Error(err)
	}
	c, err := Recipe("")
	if err != nil || c.Recipe != Recipes()[0] {
		t.Errorf("recipe %q, %v", c.Recipe, err)
	}
}

// Names and numbers that stand here once more are those below.
func TestConstants(t *testing.T) {
	if Learned != runlog.Learned || Longer != runlog.Longer || Little != runlog.Little ||
		Collapsed != runlog.Collapsed {
		t.Error("verdicts have other names here")
	}
	for name, c := range map[string]Convention{"released": Released, "formula": Formula, "pseudocode": Pseudocode} {
		if c.String() != name {
			t.Errorf("%s is called %s", name, c)
		}
		if got, err := ParseConvention(c.String()); got != c || err != nil {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
}

// Sides get branches and encoders of their own, as from the command's flags.
func TestSetPairs(t *testing.T) {
	side := func(spec string) Side {
		s, err := ParseSide(spec)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, want := range []struct{ a, b, branches, archA, stemA, archB string }{
		{"image=photo", "text=caption", "separate", "resnet18", "small", "text"},
		{"waveform=wav", "spectrogram=wav", "separate", "resnet1d-18", "large", "resnet18"},
		{"series=path", "numeric=temp,load", "separate", "resnet1d-18", "small", "mlp"},
		{"image=left", "image=right", "shared", "resnet18", "small", ""},
		{"numeric=temp", "numeric=load,rpm", "separate", "mlp", "small", ""},
		{"text=title", "text=caption", "separate", "text", "small", ""},
	} {
		c, err := Recipe("")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetPairs("pairs.csv", side(want.a), side(want.b)); err != nil {
			t.Fatal(err)
		}
		got := []string{c.Data.Source, c.Branches, c.Encoder.Arch, c.Encoder.Stem, ""}
		if c.EncoderB != nil {
			got[4] = c.EncoderB.Arch
		}
		if want := []string{"pairs.csv", want.branches, want.archA, want.stemA, want.archB}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if err := Check(c); err != nil {
			t.Errorf("%s and %s: %v", want.a, want.b, err)
		}
	}
	c, _ := Recipe("")
	before := c.inner()
	err := c.SetPairs("pairs.csv", Side{Type: "picture", Columns: []string{"x"}}, side("text=caption"))
	if err == nil || !strings.Contains(err.Error(), "unknown type") {
		t.Error(err)
	}
	if !reflect.DeepEqual(before, c.inner()) {
		t.Error("sides that are refused changed the configuration")
	}
	if got := Encoders(); !slices.Contains(got, "vit-tiny") || !slices.Contains(got, "text") {
		t.Errorf("encoders %v", got)
	}
}
