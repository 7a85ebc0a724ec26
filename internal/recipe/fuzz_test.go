package recipe

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"vicreg/internal/audio"
	"vicreg/internal/check"
	"vicreg/internal/pairs"
)

// again checks that a configuration that is accepted is the same when it is
// written, read and written.
func again(t *testing.T, c Config) {
	t.Helper()
	raw, err := c.YAML()
	if err != nil {
		t.Fatalf("cannot be written: %v\n%+v", err, c)
	}
	next := base()
	if err := next.merge(raw, "config.yaml"); err != nil {
		t.Fatalf("cannot be read again: %v\n%s", err, raw)
	}
	if err := next.Validate(); err != nil {
		t.Fatalf("is refused when it is read again: %v\n%s", err, raw)
	}
	second, err := next.YAML()
	if err != nil || !bytes.Equal(raw, second) {
		t.Fatalf("reads back as (%v)\n%s\nnot\n%s", err, second, raw)
	}
	if !reflect.DeepEqual(tidy(next), tidy(c)) {
		t.Fatalf("reads back as\n%+v\nnot\n%+v", next, c)
	}
}

// tidy makes nil of lists without items, which a file cannot tell apart.
func tidy(c Config) Config {
	none := func(x *[]float64) {
		if len(*x) == 0 {
			*x = nil
		}
	}
	none(&c.Normalize.Mean)
	none(&c.Normalize.Std)
	if len(c.Data.Bands) == 0 {
		c.Data.Bands = nil
	}
	if len(c.Prototypes.Counts) == 0 {
		c.Prototypes.Counts = nil
	}
	return c
}

// FuzzYAML lays bytes over a recipe's form for a method. What comes out is refused
// with a line, or can be written and read again.
func FuzzYAML(f *testing.F) {
	for _, name := range Names() {
		raw, _ := files.ReadFile("recipes/" + name + ".yaml")
		f.Add(raw, uint8(0))
	}
	for i, name := range known() {
		c, err := LoadFor(names[i%len(names)], name)
		if err != nil {
			f.Fatal(err)
		}
		raw, _ := c.YAML()
		f.Add(raw, uint8(i))
	}
	for _, text := range []string{
		"", "views:\n", "views: [null, null]\n", "encoder:\n", "pairs:\n", "normalize: {mean: null}\n", "epochs: 2.9\nbatch: 8.7\nseed: 1.5\n",
		"epochs: 1\nbatch: 8\n---\nepochs: 3\nsize: 32\n", "views:\n  - {count: 1000000000}\n  - {count: 1}\n", "encoder: {width: 1000000000}\n",
		"method: moco-v2\nqueue: {size: 100000000000}\n", "expander: 1000000-1000000-1000000\n", "batch: 8000\nsize: 512\n",
		"pairs: {a: {type: image, columns: [photo]}, b: {type: text, columns: [caption], length: 64}}\nbranches: separate\n",
		"pairs: {a: {type: spectrogram, columns: [wav], rate: 16000, mel: {window: 0.025, hop: 0.01, bands: 64, floor: 1e-10}}, b: {type: numeric, columns: [x, y], numeric: {drop: 0.1}}}\nbranches: separate\nencoder_b: {arch: mlp}\n",
		"views: [&v {flip: 0.1}, {<<: *v, grey: 1}]\n", "data: {source: !!binary /w==}\n", "loss: {mu_b: 0, nu_b: 1}\nbranches: separate\n",
		"data: {source: x, bands: [4, 3, 2], values: raw}\nchannels: 3\n", "data: {bands: [0]}\nchannels: 13\n", "out: \"a\\u0085\\u2028\\0\\x7f\\t\\\\ b\"\n", "description: |\n  a\n   b\n\n", "description: 'no'\n", "seed: 0x7fffffffffffffff\n", "loss: {lambda: -0}\n",
	} {
		for i := range 3 {
			f.Add([]byte(text), uint8(5*i))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, which uint8) {
		methods := known()
		c, err := LoadFor(names[int(which)/len(methods)%len(names)], methods[int(which)%len(methods)])
		if err != nil {
			t.Fatal(err)
		}
		before := c
		check.Bounded(t, 300, 2*time.Second, func() {
			if err := c.merge(raw, "f.yaml"); err != nil {
				if !strings.HasPrefix(err.Error(), "f.yaml") || strings.ContainsAny(err.Error(), "\n\r") ||
					len(err.Error()) > 10_000 {
					t.Fatalf("the error is %q", err)
				}
				if !reflect.DeepEqual(c, before) {
					t.Fatal("what is refused changed the configuration")
				}
				return
			}
			if c.Validate() == nil {
				again(t, c)
			}
		})
	})
}

// Many configurations, of every method and with changes anywhere in them.
func TestWhatIsAcceptedCanBeReadAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for _, name := range Names() {
		for _, method := range known() {
			for change := range 15 {
				c, err := LoadFor(name, method)
				if err != nil {
					t.Fatal(err)
				}
				c.Views = append(Views(nil), c.Views...)
				for range change % 5 {
					mutate(r, reflect.ValueOf(&c).Elem())
				}
				if c.Validate() == nil {
					accepted++
					again(t, c)
				}
			}
		}
	}
	if accepted < 250 {
		t.Errorf("only %d configurations were accepted", accepted)
	}
	c, _ := Load("quick")
	c.Branches = "separate"
	mel := audio.DefaultMelConfig()
	c.Pairs = &Pairs{Label: "null", Split: "1e3",
		A: pairs.Side{Type: "spectrogram", Columns: []string{"~"}, Rate: 16000, Mel: &mel},
		B: pairs.Side{Type: "numeric", Columns: []string{"yes", "1.0", "", " a", "a: b", "#", "\xff", "\u2028", "- x",
			"2001-12-14"}[:2], Mean: []float64{1e-300, -5}, Std: []float64{5e-324, math.MaxFloat64}}}
	c.EncoderB = &Encoder{Arch: "mlp"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	again(t, c)
	c.Pairs.B.Columns = []string{"yes", "1.0", " a", "a: b", "#", "\xff", "\u2028", "- x", "2001-12-14", "\r\n", "\x00", "\ufeff", "<<", "'", "\"", "012", "1_0", "0x1", "=", "!!str a", "&a", "*a", "{", "[", "%", "@", "`", "true", ".inf", "12:30"}
	c.Pairs.B.Mean, c.Pairs.B.Std = nil, nil
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	again(t, c)
}

// mutate changes one value somewhere in v.
func mutate(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		mutate(r, v.Field(r.IntN(v.NumField())))
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		} else if r.IntN(2) == 0 {
			v.SetZero()
			return
		}
		mutate(r, v.Elem())
	case reflect.Slice:
		if v.Len() == 0 || r.IntN(4) == 0 {
			v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		}
		if v.Len() > 0 {
			mutate(r, v.Index(r.IntN(v.Len())))
		}
	case reflect.Array:
		mutate(r, v.Index(r.IntN(v.Len())))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt([]int64{0, 1, 2, 3, 8, 64, -1, 1 << 40, math.MaxInt64}[r.IntN(9)])
	case reflect.Uint64:
		v.SetUint([]uint64{0, 1, 1 << 53, math.MaxUint64}[r.IntN(4)])
	case reflect.Float64:
		v.SetFloat([]float64{0, 0.5, 1, 2, 0.1, 1e-9, 1e300, -1, math.Copysign(0, -1), 1.0 / 3,
			math.NaN(), math.Inf(1)}[r.IntN(12)])
	case reflect.String:
		v.SetString([]string{"", "no", "~", "\xff", "a b", "shared", "separate", "lars", "sgd", "adamw", "none", "512", "64-32", "small", "bf16", "\u0085\n", fmt.Sprint(r.Uint64())}[r.IntN(17)])
	}
}
