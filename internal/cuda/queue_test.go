package cuda_test

import (
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// step is a stretch of operations of every kind, on the same arrays each time.
type step struct {
	s            device.Conv
	src          device.Source
	w, y, dw, up device.Array
	one          device.Conv
	w1, y1       device.Array
}

func newStep(x *side) *step {
	p := &step{s: shapes[2], one: shapes[0]}
	p.src = x.source(device.BFloat16, p.s.InLen(), p.s.C, true, true)
	p.w, p.y = x.channels(p.s.WeightLen()), x.empty(device.BFloat16, p.s.OutLen())
	p.dw, p.up = x.channels(p.s.WeightLen()), x.channels(p.s.WeightLen())
	p.w1, p.y1 = x.channels(p.one.WeightLen()), x.empty(device.Float32, p.one.OutLen())
	return p
}

func (p *step) do(x *side) {
	for range 4 {
		x.Fill(p.dw, 0)
		x.ConvForward(p.y, p.s, p.src, p.w, device.Sums{})
		x.ConvWeightGrad(p.dw, p.s, device.Grad{D: p.y}, p.src)
		x.Axpy(p.w, -1e-3, p.dw)
		x.Copy(p.up, p.w)
	}
}

// A stretch that comes again is replayed, with the values of the time; another one is not
// taken for it.
func TestReplay(t *testing.T) {
	d := open(t)
	d.Collect(true)
	agree(t, d, func(x *side) {
		p := newStep(x)
		for i := range 7 {
			x.Up(p.src.X, check.Random(uint64(i), p.s.InLen()))
			p.do(x)
			if i == 5 { // not the same stretch
				x.Axpy(p.w, 0.25, p.up)
			}
			x.show("w", p.w, 2e-2)
		}
	})
	if n := d.Graphs(); n != 1 {
		t.Errorf("%d stretches were recorded, want 1", n)
	}
}

// The queue never shows in the results: the same bits with it and without.
func TestCollectedBits(t *testing.T) {
	var want []float32
	for _, collect := range []bool{false, true} {
		d := open(t)
		if collect {
			d.Collect(true)
		}
		x := &side{Device: d, rand: newRand()}
		p := newStep(x)
		for range 6 {
			p.do(x)
			d.Wait()
		}
		got := make([]float32, p.w.Len())
		d.Down(got, p.w)
		if !collect {
			want = got
			continue
		}
		check.SameBits(t, "w", got, want)
		if d.Graphs() == 0 {
			t.Error("nothing was recorded")
		}
	}
}

// What is collected is done before the memory it needs is given to others.
func TestCollectedBeforeFree(t *testing.T) {
	d := open(t)
	d.Collect(true)
	a, b := d.Alloc(device.Float32, 100), d.Alloc(device.Float32, 100)
	d.Up(a, check.Ramp(100))
	d.Copy(b, a)
	d.Free(a)
	c := d.Alloc(device.Float32, 100) // takes the place of a
	got := make([]float32, 100)
	d.Down(got, b)
	check.SameBits(t, "b", got, check.Ramp(100))
	d.Down(got, c)
	check.SameBits(t, "c", got, make([]float32, 100))
}

// A card that is lost can still be closed.
func TestCloseLost(t *testing.T) {
	lost := false
	driver := sim.New(sim.Options{Fail: func(call string, n int) error {
		if !lost {
			return nil
		}
		return &cuda.Error{Call: call, Code: 719, Name: "CUDA_ERROR_LAUNCH_FAILED", Free: -1}
	}})
	d, err := cuda.New(driver)
	if err != nil {
		t.Fatal(err)
	}
	d.Collect(true)
	x := &side{Device: d, rand: newRand()}
	p := newStep(x)
	for range 5 {
		p.do(x)
		d.Wait()
	}
	if d.Graphs() == 0 {
		t.Fatal("nothing was recorded")
	}
	p.do(x)
	lost = true
	d.Close()
}
