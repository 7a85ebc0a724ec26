package reckon

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/host"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
)

func load(t testing.TB, name, method string, change func(*recipe.Config)) recipe.Config {
	t.Helper()
	c, err := recipe.LoadFor(name, method)
	if err != nil {
		t.Fatal(err)
	}
	c.Threads, c.Workers, c.Channels = 2, 2, 3
	if change != nil {
		change(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// What vicreg bench step printed as its peak, in MiB, on two threads of an EPYC
// with AVX-512. It has one set of views and scores nothing.
func TestRunIsWhatWasMeasured(t *testing.T) {
	network := func(arch string, width, size, batch int, expander string) func(*recipe.Config) {
		return func(c *recipe.Config) {
			c.Encoder.Arch, c.Encoder.Width, c.Size, c.Batch = arch, width, size, batch
			if size >= 224 {
				c.Encoder.Stem = "imagenet"
			}
			if expander != "" {
				c.Expander = expander
			}
		}
	}
	inHalf := func(change func(*recipe.Config)) func(*recipe.Config) {
		return func(c *recipe.Config) {
			change(c)
			c.Precision = "bf16"
		}
	}
	for _, tt := range []struct {
		method   string
		change   func(*recipe.Config)
		measured float64
	}{
		{"vicreg", network("resnet18", 16, 28, 256, "512-512-512"), 397},
		{"vicreg", network("resnet18", 64, 32, 128, ""), 1057},
		{"vicreg", network("resnet18", 64, 32, 256, ""), 1711},
		{"vicreg", inHalf(network("resnet18", 64, 32, 128, "")), 712},
		{"vicreg", inHalf(network("resnet50", 64, 224, 16, "")), 1346},
		{"vicreg", inHalf(network("resnet50", 64, 224, 16, "8192-8192-8192")), 2411},
		{"vicreg", inHalf(network("vit-tiny", 64, 224, 16, "")), 480},
		{"vicreg", network("resnet18", 64, 32, 64, "8192-8192-8192"), 1832},
		{"vicreg", network("resnet50", 64, 224, 16, ""), 2063},
		{"vicreg", network("resnet50", 64, 224, 8, "8192-8192-8192"), 2392},
		{"vicreg", network("vit-tiny", 64, 32, 128, ""), 1721},
		{"vicreg", network("vit-tiny", 64, 224, 16, ""), 777},
		{"byol", network("resnet18", 64, 32, 128, ""), 1075},
		{"moco-v2", func(c *recipe.Config) { network("resnet18", 32, 32, 128, "")(c); c.Queue.Size = 65536 }, 683},
		{"moco-v3", network("resnet18", 32, 32, 128, ""), 603},
	} {
		c := load(t, "cifar", tt.method, tt.change)
		need, err := Run(c, Data{Items: 50000})
		if err != nil {
			t.Fatal(err)
		}
		need.Features = 0
		need.Batches /= 3
		if got := need.Total() / (1 << 20); math.Abs(got/tt.measured-1) > 0.15 {
			t.Errorf("%s, %s: %.0f MiB reckoned, %.0f measured: %+v", tt.method, about(c), got, tt.measured, need)
		}
	}
}

func TestCheckSaysWhatWouldFit(t *testing.T) {
	container := host.Memory{Bytes: 6e9, Limit: "this container may use"}
	for _, tt := range []struct {
		c    recipe.Config
		d    Data
		want string // of the error, or else of the note; "": neither
	}{
		{load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = 256 }), Data{},
			"resnet50 at 224 px, expander 8192-8192-8192, with batch 256 needs about 27 GB of memory, and this container may use 6.0 GB: a batch of 40 would fit"},
		{load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = 38 }), Data{}, "the run needs about 5.8 GB of memory, and this container may use 6.0 GB; if it is killed"},
		{load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = 16 }), Data{}, ""},
		{load(t, "quick", "vicreg", nil), Data{Items: 60000, Scored: 10000}, ""},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Batch, c.Size, c.Encoder.Arch = 8000, 512, "resnet50" }), Data{}, "would fit with the stem imagenet"},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Expander = "1000000-1000000-1000000" }), Data{}, ": an expander of "},
		{load(t, "quick", "moco-v2", func(c *recipe.Config) { c.Queue.Size = min(100_000_000_000, math.MaxInt) }), Data{}, ": a queue of "},
		{load(t, "quick", "swav", func(c *recipe.Config) { c.Prototypes.Counts = []int{1_000_000_000} }), Data{}, " prototypes would fit"},
		{load(t, "quick", "deepcluster", nil), Data{Items: 20_000_000}, "needs about 32 GB of memory, and this container may use 6.0 GB: a limit of "},
		{load(t, "imagenet-100ep", "swav", nil), Data{}, ": a batch of "},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Encoder.Arch, c.Encoder.Width = "resnet200x2", 4096 }), Data{}, "an encoder of width "},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Size = 4096 }), Data{}, " would fit"},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Encoder.Width = 1_000_000_000 }), Data{}, "encoder width is 1000000000"},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Encoder.Stem = "large" }), Data{}, `unknown stem "large"`},
		{load(t, "quick", "vicreg", func(c *recipe.Config) { c.Encoder.Arch, c.Size = "vit-tiny", 30 }), Data{}, "do not divide into patches"},
		{load(t, "quick", "vicreg", func(c *recipe.Config) {
			c.Branches = "separate"
			c.Pairs = &recipe.Pairs{A: pairs.Side{Type: "text", Columns: []string{"a"}, Length: 50_000_000},
				B: pairs.Side{Type: "numeric", Columns: []string{"b"}}}
			c.Encoder, c.EncoderB = recipe.Encoder{Arch: "text", Stem: "small"}, &recipe.Encoder{Arch: "mlp"}
		}), Data{}, "text beside mlp"},
	} {
		var note string
		var err error
		check.Bounded(t, 100, time.Second, func() { note, err = checkIn(tt.c, tt.d, container) })
		got := note
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", about(tt.c), got, tt.want)
		}
	}
	if note, err := checkIn(load(t, "imagenet-100ep", "vicreg", nil), Data{}, host.Memory{Bytes: math.Inf(1)}); err != nil || note != "" {
		t.Errorf("without a limit: %q, %v", note, err)
	}
}

// What is said to fit does, and one more does not.
func TestWhatWouldFitFits(t *testing.T) {
	for _, bytes := range []float64{2e9, 6e9, 20e9} {
		c := load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Expander = "512-512" })
		_, err := checkIn(c, Data{}, host.Memory{Bytes: bytes})
		var batch int
		if _, scan := fmt.Sscanf(err.Error()[strings.Index(err.Error(), ": a batch")+2:], "a batch of %d would fit", &batch); scan != nil {
			t.Fatal(err)
		}
		for _, b := range []int{batch, batch + 1} {
			c.Batch = b
			if _, err := checkIn(c, Data{}, host.Memory{Bytes: bytes}); (err == nil) != (b == batch) {
				t.Errorf("%v bytes, batch %d: %v", bytes, b, err)
			}
		}
	}
}

// Numbers of any size give an answer soon, and nothing that is no number.
func TestAnyNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := func() int {
		return []int{2, 8, 64, 512, 16_384, 1 << 20, min(1_000_000_000_000, math.MaxInt)}[r.IntN(7)]
	}
	for range 300 {
		methods := recipe.Methods()
		c, err := recipe.LoadFor(recipe.Names()[r.IntN(5)], methods[r.IntN(len(methods))])
		if err != nil {
			t.Fatal(err)
		}
		archs := recipe.Archs()
		c.Encoder.Arch, c.Encoder.Width, c.Batch, c.Size = archs[r.IntN(len(archs))], odd(), odd(), min(odd(), 16_384)
		c.Expander = fmt.Sprintf("%d-%d", odd(), odd())
		if c.Queue.Size > 0 {
			c.Queue.Size = odd()
		}
		if r.IntN(2) == 0 {
			c.MicroBatch = odd()
		}
		if len(c.Prototypes.Counts) > 0 {
			c.Prototypes.Counts = []int{odd()}
		}
		if c.Validate() != nil {
			continue
		}
		check.Bounded(t, 200, 2*time.Second, func() {
			need, err := Run(c, Data{Items: odd()})
			if total := need.Total(); err == nil && !(total > 0 && total < math.Inf(1)) {
				t.Fatalf("%+v: %v", c, total)
			}
			if _, err := checkIn(c, Data{}, host.Memory{Bytes: 1e9, Limit: "this machine has"}); err != nil && len(err.Error()) > 500 {
				t.Fatal(err)
			}
		})
	}
}

// Heads that are much wider than the rest of the network: what was live in their
// third step, measured by a heap profile (two threads).
func TestWideHeads(t *testing.T) {
	for _, x := range []struct {
		method, expander, predictor string
		queue                       int
		live                        float64 // MiB
	}{
		{"vicreg", "1000000-16", "", 0, 3721},
		{"vicreg", "8192-8192-8192", "", 0, 1590},
		{"byol", "16-16", "300000", 0, 841},
		{"moco-v2", "128", "", 640000, 979e6 / (1 << 20)}, // at its start
	} {
		c, err := recipe.LoadFor("quick", x.method)
		if err != nil {
			t.Fatal(err)
		}
		c.Encoder.Arch, c.Encoder.Width, c.Size, c.Data.Limit, c.Batch, c.Threads, c.Workers = "resnet10", 4, 16, 256, 64, 2, 2
		c.Expander = x.expander
		if x.predictor != "" {
			c.Heads.Predictor = x.predictor
		}
		if x.queue > 0 {
			c.Queue.Size = x.queue
		}
		need, err := Run(c, Data{Items: 256, Scored: 2000})
		if ratio := need.Total() / (x.live * (1 << 20)); err != nil || ratio < 1 || ratio > 1.3 {
			t.Errorf("%s, expander %s: %.0f MiB reckoned, %.0f live (%v)", x.method, x.expander, need.Total()/(1<<20), x.live, err)
		}
	}
}

// Features of very many images are no reason to refuse a run: they are fitted on from a file.
func TestFeaturesMayBeInAFile(t *testing.T) {
	c := load(t, "cifar", "vicreg", nil)
	d := Data{Items: 2_000_000, Scored: 1000}
	need, err := Run(c, d)
	if err != nil {
		t.Fatal(err)
	}
	if need.Least() > need.Total()/2 {
		t.Fatalf("%v of %v without the features", need.Least(), need.Total())
	}
	for _, tt := range []struct {
		bytes float64
		fits  bool
	}{{need.Total(), true}, {1.1 * need.Least(), true}, {0.9 * need.Least(), false}} {
		if _, err := checkIn(c, d, host.Memory{Bytes: tt.bytes, Limit: "this machine has"}); (err == nil) != tt.fits {
			t.Errorf("in %v bytes: %v", tt.bytes, err)
		}
	}
	c.Eval.Limit = 0 // neighbours of all images between epochs
	if need, err = Run(c, d); err != nil || need.Least() != need.Total() {
		t.Errorf("%v, %v of %v", err, need.Least(), need.Total())
	}
}

// A linear probe keeps nothing for backward and has no gradients of the encoder: it takes a
// fraction of the memory, whatever it is scored on.
func TestFrozenEncoderTakesLittle(t *testing.T) {
	c, err := recipe.LoadProtocol("semi-1percent")
	if err != nil {
		t.Fatal(err)
	}
	c.Channels, c.Encoder = 3, recipe.Encoder{Arch: "resnet50", Width: 64, Stem: "imagenet"}
	need := func(freeze ...string) Need {
		c.Tune.Freeze = freeze
		n, err := Run(c, Data{Items: 12_811, Scored: 50_000})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all, probe := need(), need(recipe.All)
	if probe.Activations > all.Activations/5 || probe.Network > 0.4*all.Network || probe.Features > 3e9 {
		t.Errorf("a probe takes %.3g, %.3g and %.3g bytes, the whole network %.3g, %.3g", probe.Activations, probe.Network,
			probe.Features, all.Activations, all.Network)
	}
}
