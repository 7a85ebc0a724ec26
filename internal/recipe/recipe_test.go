package recipe

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

func TestBuiltinRecipesAreValid(t *testing.T) {
	entries, err := files.ReadDir("recipes")
	if err != nil || len(entries) != len(Names()) {
		t.Fatalf("%d recipe files for %d names (%v)", len(entries), len(Names()), err)
	}
	for _, name := range Names() {
		c, err := Load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.Description == "" || c.Recipe != name {
			t.Errorf("%s: description %q, recipe %q", name, c.Description, c.Recipe)
		}
	}
	if _, err := Load("nosuch"); err == nil || !strings.Contains(err.Error(), "fashion-mnist") {
		t.Errorf("unknown recipe: %v", err)
	}
}

// What the recipes promise, from where they come: the released code (vicreg
// 4e12602, main_vicreg.py:42-63 and augmentations.py; the paper's appendix C.4 for
// 100 epochs) and solo-learn 9187ea3.
func TestRecipesAreThePublishedOnes(t *testing.T) {
	type promise struct {
		arch, stem, expander, convention string
		width, size, batch, epochs       int
		warmup                           float64
		optimizer                        Optimizer
		crop                             float64
		blur, solarize                   [2]float64
	}
	lars := func(lr, end, eta, decay float64, clip bool) Optimizer {
		return Optimizer{Name: "lars", BaseLR: lr, EndLRFactor: end, Momentum: 0.9, WeightDecay: decay, Eta: eta,
			Clip:  clip,
			Betas: [2]float64{0.9, 0.999}, Eps: 1e-8}
	}
	for name, want := range map[string]promise{
		"quick": {"resnet18", "small", "512-512-512", "released", 16, 28, 256, 6, 1,
			lars(0.3, 0.001, 0.02, 1e-4, false), 0.2, [2]float64{0, 0}, [2]float64{0, 0.2}},
		"fashion-mnist": {"resnet18", "small", "512-512-512", "released", 16, 28, 256, 10, 1,
			lars(0.3, 0.001, 0.02, 1e-4, false), 0.2, [2]float64{0, 0}, [2]float64{0, 0.2}},
		"cifar": {"resnet18", "small", "2048-2048-2048", "pseudocode", 64, 32, 256, 1000, 10,
			lars(0.3, 0, 0.02, 1e-4, true), 0.2, [2]float64{0, 0}, [2]float64{0.1, 0.1}},
		"imagenet-100ep": {"resnet50", "imagenet", "8192-8192-8192", "released", 64, 224, 2048, 100, 10,
			lars(0.3, 0.001, 0.001, 1e-6, false), 0.08, [2]float64{1, 0.1}, [2]float64{0, 0.2}},
		"imagenet-1000ep": {"resnet50", "imagenet", "8192-8192-8192", "released", 64, 224, 2048, 1000, 10,
			lars(0.2, 0.001, 0.001, 1e-6, false), 0.08, [2]float64{1, 0.1}, [2]float64{0, 0.2}},
	} {
		c, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		got := promise{c.Encoder.Arch, c.Encoder.Stem, c.Expander, c.Loss.Convention, c.Encoder.Width, c.Size, c.Batch,
			c.Epochs,
			c.Warmup, c.Optimizer, c.Views[0].CropMin,
			[2]float64{c.Views[0].Blur.P, c.Views[1].Blur.P}, [2]float64{c.Views[0].Solarize.P, c.Views[1].Solarize.P}}
		if got != want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
		if l := c.Loss; l.Lambda != 25 || l.Mu != 25 || l.Nu != 1 || l.Gamma != 1 || l.Eps != 1e-4 {
			t.Errorf("%s: loss %+v", name, l)
		}
		for i, v := range c.Views {
			if j := v.Jitter; v.CropMin != c.Views[0].CropMin || v.CropMax != 1 || v.Flip != 0.5 || v.Grey != 0.2 ||
				j.P != 0.8 || j.Brightness != 0.4 || j.Contrast != 0.4 || j.Saturation != 0.2 || j.Hue != 0.1 {
				t.Errorf("%s: view %d is %+v", name, i, v)
			}
		}
		if zero := strings.HasPrefix(name, "imagenet"); c.Encoder.ZeroInitResidual != zero {
			t.Errorf("%s: zero_init_residual is %v", name, !zero)
		}
	}
}

func TestYAMLRepeatsTheRun(t *testing.T) {
	c, err := Load("imagenet-1000ep")
	if err != nil {
		t.Fatal(err)
	}
	c.Out, c.Seed = "runs/x", 7
	raw, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, c) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, c)
	}
}

// A whole configuration says everything: laid over another recipe's form for the
// method it is the same, also where values are nothing that the method's are not.
func TestYAMLRepeatsTheRunOverAnyRecipe(t *testing.T) {
	for _, method := range known() {
		for _, name := range Names() {
			for _, over := range Names() {
				c, err := LoadFor(name, method)
				if err != nil {
					t.Fatal(err)
				}
				c.Views = slices.Clone(c.Views)
				c.Momentum, c.Temperature, c.Queue, c.Redundancy, c.Whitening = Momentum{}, 0, Queue{}, Redundancy{},
					Whitening{}
				c.Prototypes = Prototypes{}
				for i := range c.Views {
					c.Views[i].Size, c.Views[i].Count = 0, 0
				}
				raw, err := c.YAML()
				if err != nil {
					t.Fatal(err)
				}
				got, err := LoadFor(over, method)
				if err == nil {
					err = got.merge(raw, "f.yaml")
				}
				if err != nil || !reflect.DeepEqual(got, c) {
					t.Fatalf("%s of %s over %s: %v\n%+v\nwant\n%+v\n%s", name, method, over, err, got, c, raw)
				}
			}
		}
	}
}

func TestMergeKeepsWhatTheFileDoesNotName(t *testing.T) {
	c, _ := Load("fashion-mnist")
	want := c
	want.Views = slices.Clone(c.Views)
	want.Views[1].Flip = 0.25
	want.Epochs, want.Encoder.Width, want.Loss.Nu = 3, 8, 2
	if err := c.merge([]byte("epochs: 3\nencoder: {width: 8}\nloss:\n  nu: 2\nviews: [{}, {flip: 0.25}]\n"), "f.yaml"); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("merged\n%+v\nwant\n%+v", c, want)
	}
	if err := c.merge(nil, "f.yaml"); err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("an empty file changed something: %v", err)
	}
}

func TestMistakesInAFileNameItsLine(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"epochs: 3\nepcohs: 4\n", `f.yaml:2: unknown key "epcohs"`},
		{"epochs: 3\nencoder:\n  arch: resnet18\n  depth: 4\n", `f.yaml:4: unknown key "encoder.depth"; known here: arch, width`},
		{"epochs: many\n", "f.yaml:1: epochs is many, but must be a whole number"},
		{"epochs: 3\nepochs: 4\n", "f.yaml:2: key \"epochs\" is given twice, on line 1 and here"},
		{"epochs: [\n", "f.yaml:"},
		{"- epochs\n", "f.yaml:1: a configuration is a list of keys"},
		{"epochs: 2.9\n", "f.yaml:1: epochs is 2.9, but must be a whole number"},
		{"epochs: 1\nbatch: 8\n---\nepochs: 3\n", "f.yaml:3: a second document begins here"},
		{"views:\n", "f.yaml:1: views has no value"},
		{"encoder:\n  width: null\n", "f.yaml:2: encoder.width has no value"},
		{"views: [null, null]\n", "f.yaml:1: views[0] has no value"},
		{"views: []\n", "f.yaml:1: views is a list of two views"},
		{"views: [" + strings.Repeat("{},", 101) + "]\n", "f.yaml:1: views is a list of 101 views, more than 100"},
		{"normalize: {mean: null}\n", "f.yaml:1: normalize.mean has no value"},
		{"loss: {gamma: .inf}\n", "f.yaml:1: loss.gamma is .inf, but must be a finite number"},
		{"views: [{}]\n", "f.yaml:1: views is a list of two views"},
		{"views:\n- {}\n- {flap: 1}\n", `f.yaml:3: unknown key "views[1].flap"`},
	} {
		c := base()
		err := c.merge([]byte(tt.yaml), "f.yaml")
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s...", tt.yaml, err, tt.want)
		}
		if !reflect.DeepEqual(c, base()) {
			t.Errorf("%q: a failed merge changed the configuration", tt.yaml)
		}
	}
}

func TestValidateNamesTheMistake(t *testing.T) {
	for _, tt := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Batch = 1 }, "batch is 1, but must be at least 2"},
		{func(c *Config) { c.Encoder.Arch = "resnet19" }, `unknown encoder "resnet19"; known: resnet10, resnet18`},
		{func(c *Config) { c.Expander = "512-x" }, `expander "512-x": "x" is not a width`},
		{func(c *Config) { c.Expander = "" }, `expander "": "" is not a width`},
		{func(c *Config) { c.Expander = "512-1" }, "at least 2 dimensions"},
		{func(c *Config) { c.Warmup = -1 }, "warmup is -1, but must be 0 or more epochs"},
		{func(c *Config) { c.Minutes, c.Warmup = 10, -2 }, "warmup is -2, but must be 0 or more epochs"},
		{func(c *Config) { c.Epochs = 0 }, "epochs is 0, but must be at least 1"},
		{func(c *Config) { c.Encoder.Stem = "" }, `unknown stem ""`},
		{func(c *Config) { c.Minutes = math.NaN() }, "minutes is NaN"},
		{func(c *Config) { c.Minutes, c.Size, c.Pairs = 10, 0, new(Pairs) }, "what suits pairs is not chosen by itself"},
		{func(c *Config) { c.Minutes, c.Batch, c.Pairs = 10, 0, new(Pairs) }, "what suits pairs is not chosen by itself"},
		{func(c *Config) { c.Optimizer.Name = "sgd"; c.Optimizer.Clip = true }, "clip is true"},
		{func(c *Config) { c.Optimizer.Nesterov = true }, "nesterov is true"},
		{func(c *Config) { c.Data.Limit = 100 }, "a batch of 256 is larger than the 100 images"},
		{func(c *Config) { c.Normalize.Mean = []float64{0.5} }, "1 means and 0 standard deviations"},
		{func(c *Config) { c.Channels = 17 }, "channels is 17"},
		{func(c *Config) { c.Data.Bands = []int{4, 3, 4} }, "bands has channel 4 twice"},
		{func(c *Config) { c.Data.Bands = []int{0} }, "bands has channel 0, but channels are numbered from 1 to 64"},
		{func(c *Config) { c.Channels, c.Data.Bands = 4, []int{3, 2, 1} }, "bands has 3 channels, but channels is 4"},
		{func(c *Config) { c.Data.Values = "float" }, `values is "float", but must be raw`},
		{func(c *Config) { c.Views[1].Flip = 2 }, "views[1].flip is 2"},
		{func(c *Config) { c.Precision = "float16" }, `unknown precision "float16"`},
		{func(c *Config) { c.Views = nil }, "views has 0 views"},
		{func(c *Config) { c.Views = make(Views, 2) }, "views[0].crop_max is 0"},
		{func(c *Config) { c.Views[1].Count = 1_000_000_000 }, "views[1].count is 1000000000, but must be at most 100"},
		{func(c *Config) { c.Views[0].Count, c.Views[1].Count = 60, 60 }, "more than 100 views"},
		{func(c *Config) { c.Views[1].Size = min(1<<40, math.MaxInt) }, "views[1].size is 1099511627776"},
		{func(c *Config) { c.Views[0].CropMin = 0.9; c.Views[0].CropMax = 0.1 }, "crop_min 0.9 is greater than crop_max 0.1"},
		{func(c *Config) { c.Views[0].Flip = math.NaN() }, "views[0].flip is NaN, but must be a finite number"},
		{func(c *Config) { c.Loss.Lambda = math.Inf(1) }, "loss.lambda is +Inf, but must be a finite number"},
		{func(c *Config) { c.Optimizer.Betas[1] = math.NaN() }, "optimizer.betas[1] is NaN"},
		{func(c *Config) { c.Optimizer.Betas[1] = 1 }, "betas is [0.9 1]"},
		{func(c *Config) { c.Normalize = Normalize{make([]float64, 17), make([]float64, 17)} }, "normalize has 17 channels"},
		{func(c *Config) { c.Normalize = Normalize{[]float64{0}, nil} }, "1 means and 0 standard deviations"},
		{func(c *Config) { c.Normalize = Normalize{[]float64{0}, []float64{0}} }, "standard deviation of 0"},
		{func(c *Config) { c.Normalize = Normalize{[]float64{0}, []float64{math.NaN()}} }, "normalize.std[0] is NaN"},
		{func(c *Config) { c.Workers = 1 << 20 }, "workers is 1048576, but must be at most 4096"},
		{func(c *Config) { c.Threads = min(1<<40, math.MaxInt) }, "threads is 1099511627776, but must be at most 4096"},
		{func(c *Config) { c.Epochs = min(1<<40, math.MaxInt) }, "epochs is 1099511627776, but must be at most 1000000"},
		{func(c *Config) { c.Batch = min(1<<62, math.MaxInt) }, "batch is 4611686018427387904, but must be at most"},
		{func(c *Config) { c.Encoder.Width = min(1<<62, math.MaxInt) }, "encoder width is 4611686018427387904, but must be at most"},
		{func(c *Config) { c.Encoder.Patch = -7 }, "encoder patch is -7"},
		{func(c *Config) { c.Queue.Size = min(1<<62, math.MaxInt) }, "queue size is 4611686018427387904"},
		{func(c *Config) { c.Expander = strings.Repeat("8-", 200) + "8" }, "the expander has 201 layers"},
		{func(c *Config) { c.Expander = "8-9000000000000000000-8" }, "a layer of width 9000000000000000000"},
		{func(c *Config) { c.Heads.Predictor = "9000000000000000000" }, "the predictor has 2 layers of width 9000000000000000000"},
		{func(c *Config) { c.Recipe = "../../x" }, "unknown recipe"},
		{func(c *Config) { c.Data.Source = strings.Repeat("x", 5000) }, "data.source is a text of 5000 bytes"},
		{func(c *Config) { c.Encoder.Stem = "big" }, `unknown stem "big"`},
		{func(c *Config) { c.Branches = "separate"; c.EncoderB = &Encoder{Stem: "big"} }, `unknown stem of the second branch "big"`},
		{func(c *Config) { c.Branches = "separate"; c.EncoderB = &Encoder{Width: -1} }, "width of the second encoder is -1"},
		{func(c *Config) { c.Loss.Convention = "paper" }, `unknown loss convention "paper"`},
	} {
		c, _ := Load("fashion-mnist")
		tt.change(&c)
		var err error
		check.Bounded(t, 10, time.Second, func() { err = c.Validate() })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// Every method has a form of every recipe that is valid, and whose loss's
// constants are the published ones.
func TestEveryMethodHasEveryRecipe(t *testing.T) {
	for _, method := range Methods() {
		for _, name := range Names() {
			c, err := LoadFor(name, method)
			if err == nil {
				err = c.Validate()
			}
			if err != nil {
				t.Errorf("%s for %s: %v", name, method, err)
			}
			if c.Method != method || c.Recipe != name {
				t.Errorf("%s for %s is %s for %s", name, method, c.Recipe, c.Method)
			}
			if plain, _ := Load(name); method == "vicreg" && !reflect.DeepEqual(c, plain) {
				t.Errorf("%s for vicreg is not the recipe itself", name)
			}
		}
	}
	if _, err := LoadFor("quick", "nosuch"); err == nil || !strings.Contains(err.Error(), "known: vicreg, barlow-twins") {
		t.Errorf("unknown method: %v", err)
	}
}

// solo-learn 9187ea3, scripts/pretrain/cifar.
func TestMethodsAreThePublishedOnes(t *testing.T) {
	for method, want := range map[string]struct {
		expander    string
		lr, decay   float64
		crop, blur  float64
		temperature float64
	}{
		"barlow-twins": {"2048-2048-2048", 0.3, 1e-4, 0.08, 0, 0},
		"wmse":         {"1024-64", 2e-3, 1e-6, 0.2, 0, 0},
		"simclr":       {"2048-256", 0.4, 1e-4, 0.08, 0.5, 0.2},
		"moco-v2":      {"2048-256", 0.3, 1e-4, 0.08, 0.5, 0.2},
		"moco-v3":      {"4096-256", 0.3, 1e-6, 0.08, 0, 0.2},
		"deepcluster":  {"2048-128", 0.6, 1e-6, 0.08, 0.5, 0.1},
		"swav":         {"2048-128", 0.6, 1e-6, 0.08, 0.5, 0.1},
		"byol":         {"4096-256", 1, 1e-5, 0.08, 0, 0},
		"simsiam":      {"2048-2048-2048", 0.5, 1e-5, 0.08, 0.5, 0},
	} {
		c, err := LoadFor("cifar", method)
		if err != nil {
			t.Fatal(err)
		}
		if c.Expander != want.expander || c.Optimizer.BaseLR != want.lr || c.Optimizer.WeightDecay != want.decay ||
			c.Views[0].CropMin != want.crop || c.Views[0].Blur.P != want.blur || c.Temperature != want.temperature ||
			c.Batch != 256 || c.Epochs != 1000 {
			t.Errorf("%s: %+v", method, c)
		}
	}
}
