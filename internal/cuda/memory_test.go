package cuda_test

import (
	"errors"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

func TestUpAndDown(t *testing.T) {
	d := open(t)
	const n = 1<<22 + 5 // more than a buffer of the host's
	x := check.Random(1, n)
	for _, at := range []device.Type{device.Float32, device.BFloat16} {
		a, got, want := d.Alloc(at, n), make([]float32, n), x
		d.Up(a, x)
		d.Down(got, a)
		if at == device.BFloat16 {
			want = make([]float32, n)
			for i, v := range x {
				want[i] = bf16(v)
			}
		}
		check.SameBits(t, at.String(), got, want)
		d.Free(a)
	}
}

func TestAhead(t *testing.T) {
	d := open(t)
	const n = 1000
	room, y := d.Hold(n), d.Alloc(device.Float32, n)
	for i := range 3 {
		want := check.Random(uint64(i), n-i)
		copy(room, want)
		if _, ok := d.Sent(room[:n-i]); ok {
			t.Fatal("something was sent before Send")
		}
		if err := d.Send(room[:n-i]); err != nil {
			t.Fatal(err)
		}
		if _, ok := d.Sent(room[:5]); ok {
			t.Fatal("values that were not sent")
		}
		a, ok := d.Sent(room[:n-i])
		if !ok {
			t.Fatal("nothing was sent")
		}
		d.Copy(y.Slice(0, n-i), a)
		d.Reuse(room)
		clear(room)
		got := make([]float32, n-i)
		d.Down(got, y.Slice(0, n-i))
		check.SameBits(t, "sent", got, want)
	}
	before, _, _ := d.Used()
	d.Drop(room)
	if after, _, _ := d.Used(); after >= before {
		t.Errorf("%d bytes in use before Drop, %d after", before, after)
	}
}

// Memory that was given back serves again, for the same size or, when the card is full,
// for another.
func TestMemoryServesAgain(t *testing.T) {
	d, err := cuda.New(sim.New(sim.Options{Memory: 64 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	for range 3 {
		for _, mib := range []int{24, 40, 50} {
			a := d.Alloc(device.Float32, mib<<18)
			d.Free(a)
		}
	}
	if now, peak, held := d.Used(); now != 0 || peak != 50<<20 || held > 64<<20 {
		t.Errorf("%d bytes in use, %d at most, %d of the card's", now, peak, held)
	}
}

func TestOutOfMemory(t *testing.T) {
	d, err := cuda.New(sim.New(sim.Options{Memory: 64 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	a := d.Alloc(device.Float32, 8<<20)
	err = func() (err error) {
		defer device.Catch(&err)
		d.Alloc(device.Float32, 16<<20)
		return nil
	}()
	var e *cuda.Error
	if !errors.As(err, &e) || !e.OutOfMemory() || !strings.Contains(err.Error(), "0.1 GiB beside the 0.0 GiB in use") {
		t.Errorf("%v", err)
	}
	d.Free(a) // it goes on
	d.Free(d.Alloc(device.Float32, 12<<20))
}

// Sums cross whole, be their pieces added up yet or not, and what comes back counts.
func TestSumsCross(t *testing.T) {
	d := open(t)
	const n, c = 3000, 24
	x, y := check.Random(3, n*c), check.Random(4, n*c)
	want := make([]float64, 2*c)
	for i := range x {
		want[i%c] += float64(x[i])
		want[c+i%c] += float64(x[i]) * float64(y[i])
	}
	dx, dot, s := d.Alloc(device.Float32, n*c), d.Alloc(device.Float32, n*c), device.NewSums(d, c)
	d.Up(dx, x)
	d.Up(dot, y)
	d.FinishGrad(dx, c, device.Finish{Dot: dot, Sums: s})
	var room []float64
	s.Cross(d, &room, func(x []float64) {
		check.Close64(t, "sums", x, want, 1e-6)
		for i := range x {
			x[i] = float64(i)
		}
	})
	s.Cross(d, &room, func(x []float64) {
		for i := range x {
			if x[i] != float64(i) {
				t.Fatalf("sum %d is %v", i, x[i])
			}
		}
	})
}
