package method

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/group"
	"vicreg/internal/group/local"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
	"vicreg/internal/tensor"
)

// shareOf returns the part of a batch that a rank has, of every piece of so many rows.
func shareOf(g group.Group, b *batch.Batch, piece int) *batch.Batch {
	n := len(b.Items)
	if piece == 0 {
		piece = n
	}
	own := &batch.Batch{Epoch: b.Epoch, Step: b.Step}
	for _, v := range b.Views {
		x := tensor.Tensor{Shape: append([]int{n / g.Size()}, v.Shape[1:]...)}
		values := tensor.Count(v.Shape[1:])
		for at := 0; at < n; at += piece {
			from, to := group.Share(g, min(piece, n-at))
			x.Data = append(x.Data, v.Data[(at+from)*values:(at+to)*values]...)
		}
		own.Views = append(own.Views, &x)
	}
	for at := 0; at < n; at += piece {
		from, to := group.Share(g, min(piece, n-at))
		own.Items = append(own.Items, b.Items[at+from:at+to]...)
	}
	return own
}

// course is what a few steps came to.
type course struct {
	losses []float64
	terms  []float64
	grads  [][]float32 // of the first step that learns
	arrays [][]float32 // in the end
	seen   []float32   // the last embeddings
}

// together takes a few steps on several ranks, and returns what each saw.
func together(t *testing.T, c recipe.Config, processes, steps int, dev func(group.Group) device.Device) []course {
	t.Helper()
	ran := make([]course, processes)
	errs := local.Run(processes, func(g group.Group) (err error) {
		d := many
		if processes > 1 {
			d.Group = g
		}
		if dev != nil {
			d.Device = dev(g)
			defer d.Device.Close()
		}
		ran[g.Rank()], err = follow(c, d, steps)
		return err
	})
	if err := local.First(errs); err != nil {
		t.Fatal(err)
	}
	return ran
}

// rate is one at which a few steps do not blow rounding up. AdamW makes a whole step, one way or the other, of a
// gradient that is nothing but rounding.
func rate(c recipe.Config) float64 {
	if c.Optimizer.Name == "adamw" {
		return 3e-6
	}
	return 3e-4
}

// follow takes a few steps on one rank.
func follow(c recipe.Config, d Data, steps int) (got course, err error) {
	m, err := New(c, d)
	if err != nil {
		return got, err
	}
	defer m.Close()
	o, err := NewOptimizer(c, m.Params())
	if err != nil {
		return got, err
	}
	for step := range steps {
		if step%4 == 0 {
			m.StartEpoch(step / 4)
		}
		outcome, err := Queue(m, shareOf(group.Or(d.Group), noise(c, c.Batch, step/4, step%4), c.MicroBatch))
		if err != nil {
			return got, err
		}
		loss, terms := outcome.Read()
		got.losses = append(got.losses, loss)
		for _, x := range terms {
			got.terms = append(got.terms, x.Value)
		}
		if learns := c.Method != "deepcluster" || step >= 4; learns && got.grads == nil {
			for _, p := range m.Params() {
				got.grads = append(got.grads, slices.Clone(p.ReadGrad()))
			}
		}
		o.Norm().Read()
		o.Step(rate(c))
		m.AfterStep(step+1, 100)
	}
	for _, p := range append(all(m), o.State()...) {
		got.arrays = append(got.arrays, slices.Clone(p.Read()))
	}
	z := m.Embeddings()[0]
	got.seen = slices.Clone(device.Lower(z.Device, new([]float32), z.Values))
	return got, nil
}

// Several processes train as one does: every loss, term, embedding and gradient. All ranks
// end with the same bits, and get them again.
func TestRanks(t *testing.T) {
	cases := map[string]func(*recipe.Config){}
	for _, name := range every() {
		cases[name] = nil
	}
	pieces := func(c *recipe.Config) { c.MicroBatch = 12 }
	for _, name := range []string{"vicreg", "moco-v2", "byol", "wmse", "deepcluster", "supervised"} {
		cases[name+" in pieces"] = pieces
	}
	cases["vicreg with separate branches"] = func(c *recipe.Config) { c.Branches, c.ExpanderB = "separate", "12-8" }
	cases["vicreg with a predictor"] = func(c *recipe.Config) { c.Heads.Predictor = "12" }
	cases["vicreg with a transformer"] = func(c *recipe.Config) {
		c.Encoder = recipe.Encoder{Arch: "vit", Stem: "small", Patch: 8, Dim: 24, Blocks: 2, Heads: 2}
	}
	cases["simsiam regularised"] = func(c *recipe.Config) { c.Regularize = recipe.Regularize{Variance: 1, Covariance: 1} }
	cases["swav with four views"] = func(c *recipe.Config) {
		more := c.Views[1]
		more.Count = 2
		c.Views = append(slices.Clone(c.Views), more)
	}
	cases["supervised by running statistics"] = func(c *recipe.Config) {
		c.Tune = &recipe.Tune{EncoderLR: 0.1, Statistics: recipe.Running}
	}
	cases["supervised after a frozen encoder"] = func(c *recipe.Config) {
		c.Tune = &recipe.Tune{Freeze: []string{recipe.All}}
	}
	was := model.DeferFrom
	model.DeferFrom = 100
	defer func() { model.DeferFrom = was }()
	for what, change := range cases {
		t.Run(what, func(t *testing.T) {
			var name string
			fmt.Sscan(what, &name)
			c := config(t, name)
			c.Batch = 2 * rows
			if c.Queue.Size > 0 {
				c.Queue.Size = 2 * c.Batch
			}
			if change != nil {
				change(&c)
			}
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			const steps = 10
			one := together(t, c, 1, steps, nil)[0]
			for _, processes := range []int{2, 4} {
				if processes > 2 && change != nil && c.MicroBatch == 0 {
					break
				}
				many := together(t, c, processes, steps, nil)
				for rank, got := range many {
					what := fmt.Sprintf("rank %d of %d: ", rank, processes)
					for i, loss := range got.losses {
						tol := 1e-5 * max(1, math.Abs(one.losses[i])) // cosines may be near 0
						if math.Abs(loss-one.losses[i]) > tol {
							t.Errorf("%sloss %d is %v, want %v", what, i, loss, one.losses[i])
						}
					}
					check.Close64(t, what+"terms", got.terms, one.terms, 1e-4)
					largest := 0.0
					for _, g := range one.grads {
						largest = max(largest, vector.Length(g))
					}
					for i, g := range got.grads {
						off := slices.Clone(g)
						vector.Axpy(off, -1, one.grads[i])
						if l := vector.Length(off); l > 1e-3*vector.Length(one.grads[i])+1e-5*largest {
							t.Errorf("%sgradient %d of length %g is off by %g", what, i, vector.Length(one.grads[i]), l)
						}
					}
					for i := range got.arrays {
						if !same(got.arrays[i], many[0].arrays[i]) {
							t.Errorf("%sarray %d differs from that of rank 0", what, i)
						}
					}
				}
				if processes == 2 && change == nil {
					again := together(t, c, processes, steps, nil)
					for i := range again[0].arrays {
						if !same(again[0].arrays[i], many[0].arrays[i]) {
							t.Errorf("array %d is another the second time", i)
						}
					}
				}
			}
		})
	}
}

func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// On another device the ranks train as on the CPU: where it computes as the CPU does, to
// the same bits.
func TestRanksElsewhere(t *testing.T) {
	for _, name := range []string{"vicreg", "simsiam", "swav", "moco-v2", "vicreg in pieces"} {
		var kind string
		fmt.Sscan(name, &kind)
		c := config(t, kind)
		if name != kind {
			c.MicroBatch = 12
		}
		want := together(t, c, 2, 3, nil)
		got := together(t, c, 2, 3, func(group.Group) device.Device { return far.New() })
		for rank := range want {
			for i := range want[rank].arrays {
				if !same(got[rank].arrays[i], want[rank].arrays[i]) {
					t.Errorf("%s: array %d of rank %d differs from that on the CPU", name, i, rank)
				}
			}
		}
	}
}

// Cards that compute VICReg's loss do so of the rows of all ranks, and those that are linked
// have nothing of them cross by way of the host.
func TestRanksOnCards(t *testing.T) {
	for i, pieces := range []int{0, 6, 0, 6} {
		c, linked := config(t, "vicreg"), i > 1
		c.MicroBatch = pieces
		var launched []int
		var mu sync.Mutex
		var sums atomic.Int64 // that cards made among themselves
		card := func(g group.Group) device.Device {
			driver := sim.New(sim.Options{Seed: 1, Fail: func(call string, _ int) error {
				if call == "ncclAllReduce" {
					sums.Add(1)
				}
				return nil
			}})
			d, err := cuda.New(driver)
			if err != nil {
				panic(err)
			}
			if linked {
				if why, err := d.Join(g); why != "" || err != nil {
					t.Errorf("a card is not linked: %s, %v", why, err)
				}
			}
			return counting{d, func() {
				mu.Lock()
				defer mu.Unlock()
				launched = append(launched, driver.Launches("loss_terms"))
			}}
		}
		want := together(t, c, 1, 2, nil)[0]
		for rank, got := range together(t, c, 2, 2, card) {
			check.Close64(t, fmt.Sprintf("losses of rank %d", rank), got.losses, want.losses, 1e-4)
			check.Close(t, fmt.Sprintf("embeddings of rank %d", rank), got.seen, want.seen, 1e-3)
		}
		if linked != (sums.Load() > 0) {
			t.Errorf("linked %v, the cards made %d sums", linked, sums.Load())
		}
		if !slices.Equal(launched, []int{2, 2}) {
			t.Errorf("the cards computed the loss %d times", launched)
		}
	}
}

// counting is a card that says when it is closed.
type counting struct {
	*cuda.Device
	closed func()
}

func (c counting) Close() {
	c.closed()
	c.Device.Close()
}

// Without common statistics each rank normalises by its own rows, and all the same the
// parameters stay the same everywhere.
func TestRanksApart(t *testing.T) {
	c := config(t, "vicreg")
	one := together(t, c, 1, 2, nil)[0]
	c.SyncNorm = false
	two := together(t, c, 2, 2, nil)
	if two[0].losses[0] == one.losses[0] || math.Abs(two[0].losses[0]-one.losses[0]) > 0.2*one.losses[0] {
		t.Errorf("loss %v, of common statistics %v", two[0].losses[0], one.losses[0])
	}
	m := build(t, c)
	params, buffers := len(m.Params()), len(m.Buffers())
	differ := 0
	for i := range two[0].arrays {
		running := i >= params && i < params+buffers
		equal := same(two[0].arrays[i], two[1].arrays[i])
		if !equal && !running {
			t.Errorf("array %d differs", i)
		}
		if !equal {
			differ++
		}
	}
	if differ == 0 {
		t.Error("running statistics are the same")
	}
}

// A batch that cannot be divided is refused, and what can be is named.
func TestDivides(t *testing.T) {
	for _, x := range []struct {
		batch, piece, processes int
		want                    string // but for the end
	}{
		{16, 0, 4, ""},
		{16, 6, 2, ""},
		{16, 16, 3, "a batch of 16 cannot be divided equally among 3 processes; take 15 or 18"},
		{16, 6, 4, "a micro_batch of 6 cannot be divided equally among 4 processes; take 4 or 8"},
		{4, 0, 8, "a batch of 4 cannot be divided equally among 8 processes; take 8"},
	} {
		if x.want != "" {
			x.want += ", or another number of processes"
		}
		c := config(t, "vicreg")
		c.Batch, c.MicroBatch = x.batch, x.piece
		local.Run(x.processes, func(g group.Group) error {
			d := data
			d.Group = g
			if err := Check(c, d); err == nil && x.want != "" || err != nil && err.Error() != x.want {
				t.Errorf("%d in pieces of %d: %v, want %s", x.batch, x.piece, err, x.want)
			}
			return nil
		})
	}
}

// counter counts what a rank gives to sums and gathers, in bytes, and how often.
type counter struct {
	group.Group
	sums, wide, gathered, calls int
}

func (c *counter) Sum(arrays ...[]float32) {
	for _, x := range arrays {
		c.sums += 4 * len(x)
	}
	c.Group.Sum(arrays...)
}

func (c *counter) SumWide(x []float64) {
	c.wide, c.calls = c.wide+8*len(x), c.calls+1
	c.Group.SumWide(x)
}

func (c *counter) Gather(to, from []float32) {
	c.gathered += 4 * len(from)
	c.Group.Gather(to, from)
}

// What crosses in a step is what docs/scaling.md says.
func TestRanksTraffic(t *testing.T) {
	for _, x := range []struct {
		name          string
		maps, forward int // of embeddings and the like; of views, beside those that go backward
		pieces        int
	}{{"vicreg", 2, 0, 0}, {"simsiam", 4, 0, 0}, {"byol", 6, 2, 0}, {"vicreg", 2, 2, 2}} {
		c := config(t, x.name)
		if x.pieces > 0 {
			c.MicroBatch = c.Batch / x.pieces
		}
		const processes = 2
		counts := make([]counter, processes)
		errs := local.Run(processes, func(g group.Group) error {
			count := &counts[g.Rank()]
			count.Group = g
			d := many
			d.Group = count
			m, err := New(c, d)
			if err != nil {
				return err
			}
			if _, _, err = m.Step(shareOf(g, noise(c, c.Batch, 0, 0), c.MicroBatch)); err != nil {
				return err
			}
			values, channels, layers, keys, keyLayers := 0, 0, 0, 0, 0
			for _, p := range m.Params() {
				values += p.Grad.Len()
			}
			for _, p := range m.Buffers() {
				if strings.HasSuffix(p.Name, ".running_mean") {
					channels, layers = channels+p.Value.Len(), layers+1
				}
			}
			for _, p := range m.State() {
				if strings.HasSuffix(p.Name, ".running_mean") {
					keys, keyLayers = keys+p.Value.Len(), keyLayers+1
				}
			}
			rounds := max(1, x.pieces)
			if x.forward > 0 && keys == 0 { // the pieces go forward twice
				keys, keyLayers = channels, layers
			}
			embedding := m.Embeddings()[0].D
			want := counter{count.Group, 4 * values, rounds * 16 * (4*channels + x.forward*keys),
				4 * x.maps * c.Batch / processes * embedding, rounds * (4*layers + x.forward*keyLayers)}
			if *count != want {
				t.Errorf("%s: %+v, want %+v", x.name, *count, want)
			}
			return nil
		})
		if err := local.First(errs); err != nil {
			t.Fatal(err)
		}
	}
}
