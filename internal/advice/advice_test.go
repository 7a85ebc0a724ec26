package advice

import (
	"math"
	"strings"
	"testing"

	"vicreg/internal/recipe"
)

// open is the recipe photos with some changes.
func open(t *testing.T, change func(*recipe.Config)) recipe.Config {
	t.Helper()
	c, err := recipe.Load(recipe.Photos)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	return c
}

func TestChoices(t *testing.T) {
	const roomy = 64e9
	for _, tt := range []struct {
		name        string
		facts       Facts
		change      func(*recipe.Config)
		size, batch int
		stem        string
	}{
		{"thumbnails", Facts{Images: 5000, Side: 28, Threads: 2, Memory: roomy}, nil, 28, 128, "small"},
		{"odd thumbnails", Facts{Images: 5000, Side: 33, Threads: 2, Memory: roomy}, nil, 32, 128, "small"},
		{"the tiniest", Facts{Images: 5000, Side: 1, Threads: 2, Memory: roomy}, nil, 8, 128, "small"},
		{"small pictures", Facts{Images: 5000, Side: 80, Threads: 2, Memory: roomy}, nil, 64, 128, "small"},
		{"5 photos", Facts{Images: 5, Side: 400, Threads: 2, Memory: roomy}, nil, 128, 4, "imagenet"},
		{"50 photos", Facts{Images: 50, Side: 400, Threads: 2, Memory: roomy}, nil, 128, 16, "imagenet"},
		{"300 photos", Facts{Images: 300, Side: 400, Threads: 2, Memory: roomy}, nil, 128, 32, "imagenet"},
		{"300 photos on one thread", Facts{Images: 300, Side: 400, Threads: 1, Memory: roomy}, nil, 96, 32, "imagenet"},
		{"1000 photos on 64 threads", Facts{Images: 1000, Side: 400, Threads: 64, Memory: roomy}, nil, 128, 64, "imagenet"},
		{"5000 photos", Facts{Images: 5000, Side: 400, Threads: 2, Memory: roomy}, nil, 96, 128, "imagenet"},
		{"a million photos", Facts{Images: 1_000_000, Side: 400, Threads: 64, Memory: roomy}, nil, 96, 128, "imagenet"},
		{"unknown sizes", Facts{Images: 5000, Threads: 2, Memory: roomy}, nil, 96, 128, "imagenet"},
		{"few that divide badly", Facts{Images: 255, Side: 400, Threads: 1, Memory: roomy}, nil, 96, 16, "imagenet"},
		{"half a gigabyte", Facts{Images: 5000, Scored: 0, Side: 400, Threads: 2, Memory: 0.5e9}, nil, 96, 64, "imagenet"},
		{"no memory at all", Facts{Images: 5000, Side: 400, Threads: 2, Memory: 1e8}, nil, 32, 16, "small"},
		{"a size of one's own", Facts{Images: 5000, Side: 400, Threads: 2, Memory: roomy},
			func(c *recipe.Config) { c.Size = 48 }, 48, 128, "small"},
		{"a batch of one's own", Facts{Images: 5000, Side: 400, Threads: 2, Memory: roomy},
			func(c *recipe.Config) { c.Batch = 20 }, 96, 20, "imagenet"},
		{"a stem of one's own", Facts{Images: 5000, Side: 400, Threads: 2, Memory: roomy},
			func(c *recipe.Config) { c.Encoder.Stem = "small" }, 96, 128, "small"},
		{"an hour", Facts{Images: 1000, Side: 400, Threads: 2, Memory: roomy},
			func(c *recipe.Config) { c.Minutes = 60 }, 128, 64, "imagenet"},
	} {
		c := open(t, tt.change)
		made := Choose(&c, tt.facts)
		if c.Size != tt.size || c.Batch != tt.batch || c.Encoder.Stem != tt.stem {
			t.Errorf("%s: size %d, batch %d, stem %s; want %d, %d, %s: %v", tt.name, c.Size, c.Batch, c.Encoder.Stem, tt.size, tt.batch, tt.stem, made)
		}
		for _, m := range made {
			if m.Reason == "" || strings.Contains(m.Reason, "%!") {
				t.Errorf("%s: %s", tt.name, m)
			}
		}
		own := 0
		if tt.change != nil && c.Minutes == 10 {
			own = 1
		}
		if len(made) != 3-own {
			t.Errorf("%s: %d choices: %v", tt.name, len(made), made)
		}
	}
}

// Every method gets a batch that it takes.
func TestEveryMethodGetsItsBatch(t *testing.T) {
	for _, method := range recipe.Methods() {
		for _, images := range []int{200, 5000} {
			c, err := recipe.LoadFor(recipe.Photos, method)
			if err != nil {
				t.Fatal(err)
			}
			Choose(&c, Facts{Images: images, Side: 400, Threads: 2, Memory: 64e9})
			c.Epochs = Epochs(c, Facts{Images: images}, Speed{}).Value.(int)
			c.Warmup, _ = Rise(c)
			if !possible(c, Facts{Images: images}, c.Batch) {
				t.Errorf("%s does not take a batch of %d for %d images", method, c.Batch, images)
			}
		}
	}
}

func TestEpochs(t *testing.T) {
	facts := Facts{Images: 1000, Scored: 200}
	for _, tt := range []struct {
		name    string
		minutes float64
		facts   Facts
		speed   Speed
		want    int
	}{
		{"10 minutes", 10, facts, Speed{Step: 0.5}, 79}, // 15 steps an epoch, and the first one's memory
		{"an hour", 60, facts, Speed{Step: 0.5}, 300},
		{"a second", 1.0 / 60, facts, Speed{Step: 0.5}, 10},
		{"fast", 10, facts, Speed{Step: 1e-6}, 300},
		{"slow", 10, facts, Speed{Step: 1e9}, 10},
		{"decoding as well", 10, facts, Speed{Step: 1, Decode: 0.5}, 39},
		{"a checkpoint as well", 10, facts, Speed{Step: 0.5, Save: 7}, 40},
		{"figures as well", 10, facts, Speed{Step: 0.5, Epoch: 7}, 41},
		// A score every 7 epochs, which makes 9, and two at the end, each of 7.5 s.
		{"scores as well", 10, facts, Speed{Step: 0.5, Embed: 7.5 / 1200}, 68},
		{"much before and after", 10, Facts{Images: 1000, Retrieved: 100},
			Speed{Step: 0.5, Before: 100, Build: 50, Look: 0.1, Embed: 0.25}, 39},
		{"longer before than there is time", 10, facts, Speed{Step: 0.5, Before: 1000}, 10},
		{"a million", 10, Facts{Images: 1_000_000}, Speed{Step: 0.3}, 10},
		{"not measured", 10, facts, Speed{}, 100},
	} {
		c := open(t, func(c *recipe.Config) { c.Minutes, c.Batch = tt.minutes, 64 })
		got := Epochs(c, tt.facts, tt.speed)
		if got.Value != tt.want || got.Reason == "" {
			t.Errorf("%s: %v, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	c := open(t, func(c *recipe.Config) { c.Batch, c.Epochs, c.Eval.Every = 50, 20, 10 })
	whole, epoch := Seconds(c, Facts{Images: 100, Scored: 20, Retrieved: 30},
		Speed{Before: 3, Build: 1, Step: 1, Decode: 0.1, Look: 0.1, Embed: 0.05, EmbedB: 0.01, Epoch: 0.2, Save: 0.4})
	// 2 steps, what an epoch takes beside them, a checkpoint and a tenth of 120 images
	// scored by the first branch.
	if want := 2 + 0.2 + 0.4 + 0.6; !same(epoch, want) {
		t.Errorf("an epoch takes %v, want %v", epoch, want)
	}
	// Once: what comes before, the network, its first checkpoint, the first step's
	// memory, 120 looked at, and scored twice by both branches, and 30 retrieved.
	if want := 20*3.2 + 3 + 1 + 0.4 + 1 + 12 + 2*120*0.06 + 30*0.06; !same(whole, want) {
		t.Errorf("the run takes %v, want %v", whole, want)
	}
	after := After(Facts{Images: 100, Scored: 20, Retrieved: 30, Judged: 40},
		Speed{Step: 1, Look: 1, Embed: 0.05, EmbedB: 0.01})
	if want := 2*120*0.06 + 30*0.06 + 40*0.06; !same(after, want) {
		t.Errorf("%v after the last step, want %v", after, want)
	}
	if whole, _ := Seconds(c, Facts{Images: 1000}, Speed{}); whole != 0 {
		t.Errorf("%v, though nothing is known", whole)
	}
}

// A run that scores itself ten times says so whatever its length: how often it does so
// is open where its epochs are.
func TestSecondsOfScores(t *testing.T) {
	for _, epochs := range []int{10, 20, 100, 300} {
		c := open(t, func(c *recipe.Config) { c.Batch, c.Epochs = 50, epochs })
		facts, speed := Facts{Images: 100, Scored: 20}, Speed{Step: 1, Embed: 0.1}
		whole, _ := Seconds(c, facts, speed)
		// 2 steps an epoch, and the first; ten scores on the way and two at the end.
		if want := float64(2*epochs) + 1 + 12*120*0.1; !same(whole, want) {
			t.Errorf("%d epochs take %v, want %v", epochs, whole, want)
		}
	}
}

func same(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) }

// Looks at views count: ten on the way and one of the untrained encoder, of two views each.
func TestSecondsOfVerdict(t *testing.T) {
	c := open(t, func(c *recipe.Config) { c.Batch, c.Epochs = 50, 100 })
	f, s := Facts{Images: 1000}, Speed{Step: 1, Embed: 0.01}
	without, _ := Seconds(c, f, s)
	f.Judged = 200
	with, _ := Seconds(c, f, s)
	if got, want := with-without, 11*200*2*0.01; got < want-1e-9 || got > want+1e-9 {
		t.Errorf("looks take %v, want %v", got, want)
	}
}

func TestDecoding(t *testing.T) {
	c := open(t, func(c *recipe.Config) { c.Size, c.Batch = 96, 50 })
	for _, tt := range []struct {
		speed Speed
		want  string
	}{
		{Speed{Step: 1, Decode: 0.5}, "takes about 50% of the time"},
		{Speed{Step: 1, Look: 1}, ""},
		{Speed{Step: 1, Decode: 0.05}, ""},
		{Speed{}, ""},
	} {
		got := Decoding(c, Facts{Images: 100}, tt.speed)
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.speed, got, tt.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		images int
		change func(*recipe.Config)
		want   []string // beginnings of warnings, "" for none
	}{
		{"all is well", 4000, func(c *recipe.Config) {}, nil},
		{"few steps", 4000, func(c *recipe.Config) { c.Epochs = 5 }, []string{"the run has only 155 steps in all"}},
		{"few steps an epoch", 400, func(c *recipe.Config) { c.Epochs = 1000 }, []string{"an epoch of 400 images has only 3 steps of 128; a smaller --batch"}},
		{"few images", 50, func(c *recipe.Config) { c.Epochs, c.Batch = 1000, 16 }, []string{"an epoch of 50 images has only 3 steps of 16; more images"}},
		{"one step", 200, func(c *recipe.Config) { c.Epochs = 6 }, []string{"an epoch of 200 images has only 1 step of 128", "the run has only 6 steps", "72 of 200 images (36%)"}},
		{"small stem", 4000, func(c *recipe.Config) { c.Encoder.Stem = "small" }, []string{"the stem small is for images of up to 64 pixels"}},
		{"large stem", 4000, func(c *recipe.Config) { c.Size = 40 }, []string{"the stem imagenet leaves little of 40 pixels"}},
		{"no stem", 4000, func(c *recipe.Config) { c.Encoder.Arch, c.Encoder.Stem = "vit-tiny", "small" }, nil},
	} {
		c := open(t, func(c *recipe.Config) {
			c.Size, c.Batch, c.Epochs, c.Encoder.Stem = 96, 128, 100, "imagenet"
			tt.change(c)
		})
		got := Warnings(c, tt.images)
		for i, w := range got {
			if i >= len(tt.want) || !strings.HasPrefix(w, tt.want[i]) {
				t.Errorf("%s: unexpected: %s", tt.name, w)
			}
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d warnings, want %d", tt.name, len(got), len(tt.want))
		}
	}
}

func TestRise(t *testing.T) {
	for _, tt := range []struct {
		epochs       int
		warmup, want float64
		says         bool
	}{
		{100, recipe.Automatic, 10, false},
		{20, recipe.Automatic, 2, false},
		{1000, recipe.Automatic, 10, false},
		{20, 5, 5, false},
		{20, 20, 20, false},
		{20, 0, 0, false},
		{5, 10, 0.5, true},
	} {
		c := open(t, func(c *recipe.Config) { c.Epochs, c.Warmup = tt.epochs, tt.warmup })
		if got, why := Rise(c); got != tt.want || (why != "") != tt.says {
			t.Errorf("%v of %d: %v (%s), want %v", tt.warmup, tt.epochs, got, why, tt.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[float64]string{0.5: "0.5s", 9: "9s", 61: "1m1s", 154: "2m30s", 599: "10m",
		600: "10m", 640: "11m", 3600: "1h", 5400: "1h30m", 86400 * 3: "3.0 days", 1e12: "more than 30 years"} {
		if got := Span(seconds); got != want {
			t.Errorf("%v: %s, want %s", seconds, got, want)
		}
	}
}
