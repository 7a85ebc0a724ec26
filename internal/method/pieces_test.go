package method

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/tensor"
)

// unnormalised is config for a larger batch and a network without batch normalisation: a
// transformer, whose heads have none.
func unnormalised(t testing.TB, name string) recipe.Config {
	c := config(t, name)
	c.Batch = 2 * rows
	if name == "vicreg" {
		c.Batch = 64
	}
	c.Encoder = recipe.Encoder{Arch: "vit-tiny", Stem: "small", Patch: 16}
	c.Heads.Norm, c.Heads.PredictorNorm = false, false
	if l := c.Heads.PredictorLast; l == model.Norm || l == model.Affine {
		c.Heads.PredictorLast = model.Bias
	}
	if c.Queue.Size > 0 {
		c.Queue.Size = 2 * c.Batch
	}
	return c
}

// sizes are those of pieces to try: such that divide the batch, and such that do not.
func sizes(name string) []int {
	if name == "vicreg" {
		return []int{8, 27}
	}
	return []int{13}
}

var many = Data{Items: 4 * 64, Steps: 4, Labels: slices.Repeat(labels(), 4), Classes: 8}

// noise returns a batch of n random images, with as many views as c says.
func noise(c recipe.Config, n, epoch, step int) *batch.Batch {
	r := rng.New(2, rng.Bench, uint64(step))
	b := &batch.Batch{Epoch: epoch, Step: step, Items: make([]int, n)}
	for _, crop := range c.Crops() {
		x := tensor.New(n, crop.Size, crop.Size, 1)
		for i := range x.Data {
			x.Data[i] = float32(r.NormFloat64())
		}
		b.Views = append(b.Views, x)
	}
	for i := range b.Items {
		b.Items[i] = step*n + i
	}
	return b
}

// Without batch normalisation a batch in pieces is the batch: loss, terms, embeddings and
// the gradient of every parameter.
func TestPiecesAreTheBatch(t *testing.T) {
	cases := map[string]func(*recipe.Config){}
	for _, name := range every() {
		cases[name] = nil
	}
	cases["vicreg with separate branches"] = func(c *recipe.Config) { c.Branches, c.ExpanderB = "separate", "12-8" }
	cases["vicreg with a predictor"] = func(c *recipe.Config) { c.Heads.Predictor = "12" }
	cases["simsiam regularised"] = func(c *recipe.Config) { c.Regularize = recipe.Regularize{Variance: 1, Covariance: 1} }
	cases["swav with four views"] = func(c *recipe.Config) {
		more := c.Views[1]
		more.Count = 2
		c.Views = append(slices.Clone(c.Views), more)
	}
	// Normalised by running statistics, or frozen, a convolutional network does not see the
	// batch either.
	tuned := func(tune recipe.Tune) func(*recipe.Config) {
		return func(c *recipe.Config) {
			c.Tune, c.Encoder = &tune, config(t, "supervised").Encoder
		}
	}
	cases["supervised by running statistics"] = tuned(recipe.Tune{EncoderLR: 0.1, Statistics: recipe.Running})
	cases["supervised after frozen stages"] = tuned(recipe.Tune{EncoderLR: 0.1, Statistics: recipe.Running, Freeze: []string{"stem", "layer1"}})
	cases["supervised after a frozen encoder"] = tuned(recipe.Tune{Freeze: []string{recipe.All}})
	was := model.DeferFrom
	model.DeferFrom = 1
	defer func() { model.DeferFrom = was }()
	for what, change := range cases {
		t.Run(what, func(t *testing.T) {
			var name string
			fmt.Sscan(what, &name)
			c := unnormalised(t, name)
			if change != nil {
				change(&c)
			}
			run := func(piece int) (m Method, loss float64, terms []float64) {
				c := c
				c.MicroBatch = piece
				if err := c.Validate(); err != nil {
					t.Fatal(err)
				}
				m, err := New(c, many)
				if err != nil {
					t.Fatal(err)
				}
				if name == "deepcluster" { // which has no labels in the first epoch
					m.StartEpoch(0)
					m.Step(noise(c, c.Batch, 0, 0))
					m.AfterStep(1, 100)
				}
				m.StartEpoch(1)
				loss, found, err := m.Step(noise(c, c.Batch, 1, 0))
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range found {
					terms = append(terms, x.Value)
				}
				return m, loss, terms
			}
			whole, loss, terms := run(0)
			largest := 0.0
			for _, p := range whole.Params() {
				largest = max(largest, vector.Length(p.Grad.Host()))
			}
			for _, piece := range sizes(name) {
				m, got, gotTerms := run(piece)
				check.Scalar(t, fmt.Sprintf("loss in pieces of %d", piece), got, loss, 1e-5)
				check.Close64(t, "terms", gotTerms, terms, 1e-5)
				for i, z := range m.Embeddings() {
					check.Close(t, "embeddings", z.Values.Host(), whole.Embeddings()[i].Values.Host(), 1e-5)
				}
				for i, p := range m.Params() {
					want := whole.Params()[i].Grad.Host()
					check.CloseAbs(t, p.Name, p.Grad.Host(), want, 1e-5, 1e-7*largest) // some are 0 but for rounding
				}
			}
		})
	}
}

// reference is a step of VICReg on pieces by hand: each piece of each view goes forward in a
// pass of its own, and backward from there.
func reference(t *testing.T, c recipe.Config, b *batch.Batch) (m *vicreg, loss float64) {
	whole := c
	whole.MicroBatch = 0
	m = build(t, whole).(*vicreg)
	br, n := m.branches[0], c.Batch
	var passes [2][]*nn.Pass
	var z, dz [2][]float32
	for from := 0; from < n; from += c.MicroBatch {
		to := min(from+c.MicroBatch, n)
		for i, x := range b.Views {
			p := nn.NewPass(new(nn.Arena), true)
			v := br.Expander.Forward(p, br.Encoder.Forward(p, tensor.From(x.Data[from*256:to*256], to-from, 16, 16, 1)))
			passes[i] = append(passes[i], p)
			z[i] = append(z[i], v.X.Host()...)
		}
	}
	for i := range dz {
		dz[i] = make([]float32, n*8)
	}
	loss = m.loss.Eval(&m.ws, z[0], z[1], n, 8, dz[0], dz[1]).Total
	m.joint.ZeroGrad()
	for k := range passes[0] {
		from, to := k*c.MicroBatch, min((k+1)*c.MicroBatch, n)
		for i := 1; i >= 0; i-- {
			p := passes[i][k]
			dy := br.Expander.Backward(p, device.Of(dz[i][from*8:to*8]))
			br.Encoder.Backward(p, dy, device.Array{})
		}
	}
	return m, loss
}

// With batch normalisation each piece has statistics of its own, and running statistics are
// updated once for each piece and view.
func TestPiecesByHand(t *testing.T) {
	for _, piece := range []int{4, 6} {
		c := config(t, "vicreg")
		c.MicroBatch = piece
		b := noise(c, c.Batch, 0, 0)
		want, loss := reference(t, c, b)
		m := build(t, c)
		got, _ := step(t, m, b)
		if got != loss {
			t.Errorf("pieces of %d: loss %v, by hand %v", piece, got, loss)
		}
		for i, p := range m.Params() {
			if !slices.Equal(p.Grad.Host(), want.Params()[i].Grad.Host()) {
				t.Errorf("pieces of %d: the gradient of %s differs", piece, p.Name)
			}
		}
		for i, p := range m.Buffers() {
			if !slices.Equal(p.Value.Host(), want.Buffers()[i].Value.Host()) {
				t.Errorf("pieces of %d: %s is %v, by hand %v", piece, p.Name, p.Value.Host(), want.Buffers()[i].Value.Host())
			}
		}
		whole := c
		whole.MicroBatch = 0
		if other, _ := step(t, build(t, whole), b); other == loss {
			t.Error("the statistics of pieces are those of the batch")
		}
	}
}

// The gradient of every method's loss is that of the loss, with batch normalisation in
// pieces. A second step on the same batch gives the same bits.
func TestPiecesDescend(t *testing.T) {
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			c := config(t, name)
			c.MicroBatch = 6
			m := build(t, c)
			epoch(t, m, 0)
			epoch(t, m, 1)
			m.StartEpoch(2)
			b := views(2, 0)
			before, _ := step(t, m, b)
			norm := 0.0
			var grads [][]float32
			for _, p := range m.Params() {
				grads = append(grads, slices.Clone(p.Grad.Host()))
				for _, g := range p.Grad.Host() {
					norm += float64(g) * float64(g)
				}
			}
			if again, _ := step(t, m, b); again != before {
				t.Errorf("the same batch gives %v, then %v", before, again)
			}
			for i, p := range m.Params() {
				if !slices.Equal(p.Grad.Host(), grads[i]) {
					t.Errorf("%s: the gradient of the same batch differs the second time", p.Name)
				}
			}
			descends(t, m, b, norm)
		})
	}
}

// Pieces are the same bits for any number of workers, and on a device whose memory the host
// cannot touch, whether or not views had gone up ahead.
func TestPiecesAnywhere(t *testing.T) {
	defer parallel.SetWorkers(0)
	for _, name := range every() {
		c := config(t, name)
		c.MicroBatch = 6
		parallel.SetWorkers(1)
		want, _, _ := trained(t, c, 2, device.Local, nil)
		parallel.SetWorkers(3)
		same := func(what string, got, want [][]float32) {
			for i, values := range got {
				if !slices.Equal(values, want[i]) {
					t.Errorf("%s %s: array %d of the method or its optimizer differs", name, what, i)
				}
			}
		}
		got, _, _ := trained(t, c, 2, device.Local, nil)
		same("on three workers", got, want)
		onFar := func(c recipe.Config, d *far.Device, want [][]float32) {
			got, _, _ := trained(t, c, 2, d, nil)
			same("on another device, in "+c.Precision, got, want)
			if d.Held != 0 {
				t.Errorf("%s: %d arrays were not given back", name, d.Held)
			}
			d.Close()
		}
		onFar(c, far.New(), want)
		if name == "byol" {
			device.KeepHalf = false // what the device is compared with
			defer func() { device.KeepHalf = true }()
			c.Precision = "bf16"
			want, _, _ := trained(t, c, 2, device.Local, nil)
			onFar(c, far.NewExact(), want)
		}
	}
}

// A view that has gone up ahead is not brought up again.
func TestPiecesOfViewsAhead(t *testing.T) {
	c := config(t, "byol")
	c.MicroBatch = 6
	d := far.New()
	defer d.Close()
	on := data
	on.Device = d
	m, err := New(c, on)
	if err != nil {
		t.Fatal(err)
	}
	here, b := build(t, c), views(0, 0)
	want, _ := step(t, here, b)
	for i, x := range b.Views {
		room := d.Hold(x.Len())
		copy(room, x.Data)
		b.Views[i] = tensor.From(room, x.Shape...)
		if err := d.Send(room); err != nil {
			t.Fatal(err)
		}
	}
	d.Ups = 0
	if got, _ := step(t, m, b); got != want {
		t.Errorf("loss %v, on the processor %v", got, want)
	}
	if pieces, maps := 3, 2; d.Ups != 2*pieces*maps { // the gradients
		t.Errorf("%d crossings up", d.Ups)
	}
	for i, p := range m.Params() {
		var room []float32
		if !slices.Equal(device.Lower(d, &room, p.Grad), here.Params()[i].Grad.Host()) {
			t.Errorf("the gradient of %s differs", p.Name)
		}
	}
	for _, x := range b.Views {
		d.Reuse(x.Data)
		d.Drop(x.Data)
	}
	m.Close()
}

// A loss that there is none of leaves nothing behind, and the next step is as ever.
func TestPiecesWithoutLoss(t *testing.T) {
	c := config(t, "wmse")
	c.MicroBatch = 6
	m := build(t, c).(*wmse)
	bad := views(0, 0)
	for _, x := range bad.Views {
		for i := range x.Data {
			x.Data[i] = float32(math.NaN())
		}
	}
	if _, _, err := m.Step(bad); err == nil {
		t.Fatal("not a number was whitened")
	}
	if lent := m.joint.Arena().Lent(); lent != 0 {
		t.Errorf("%d bytes are still lent", lent)
	}
	got, _ := step(t, m, views(0, 1))
	if want, _ := step(t, build(t, c), views(0, 1)); got != want {
		t.Errorf("the next loss is %v, want %v", got, want)
	}
}

// A card computes VICReg's loss of all pieces itself, and trains as the processor does.
func TestPiecesOnCard(t *testing.T) {
	for _, name := range []string{"vicreg", "byol"} {
		c := config(t, name)
		c.MicroBatch = 6
		driver := sim.New(sim.Options{Seed: 1})
		d, err := cuda.New(driver)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		run := func(on device.Device) (loss, norm float64) {
			data := data
			data.Device = on
			m, err := New(c, data)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			o, err := NewOptimizer(c, m.Params())
			if err != nil {
				t.Fatal(err)
			}
			out, err := Queue(m, views(0, 0))
			if err != nil {
				t.Fatal(err)
			}
			length := o.Norm()
			o.Step(0.002)
			loss, _ = out.Read()
			return loss, length.Read()
		}
		loss, norm := run(d)
		wantLoss, wantNorm := run(nil)
		check.Scalar(t, name+": loss", loss, wantLoss, 1e-4)
		check.Scalar(t, name+": norm of the gradient", norm, wantNorm, 1e-4)
		if n := driver.Launches("loss_terms"); (n == 1) != (name == "vicreg") {
			t.Errorf("the card computed VICReg's loss %d times", n)
		}
	}
}

// A batch that is no larger than a piece goes through whole, after others in pieces too.
func TestPiecesThenWhole(t *testing.T) {
	c := config(t, "vicreg")
	c.MicroBatch = 6
	m := build(t, c)
	step(t, m, noise(c, rows, 0, 0))
	got, _ := step(t, m, noise(c, 6, 0, 1))
	c.MicroBatch = 0
	whole := build(t, c)
	want, _ := step(t, whole, noise(c, 6, 0, 1))
	if got != want {
		t.Errorf("loss %v, of a run without pieces %v", got, want)
	}
	const first, batches = 2 * 3, 2 // views and pieces of the first batch, views of the second
	for _, p := range m.Buffers() {
		if strings.HasSuffix(p.Name, "num_batches_tracked") && p.Number() != first+batches {
			t.Fatalf("%s is %d", p.Name, p.Number())
		}
	}
}
