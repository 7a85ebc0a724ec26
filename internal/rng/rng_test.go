package rng

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A seed must mean the same run for ever: these values never change.
func TestPinned(t *testing.T) {
	for _, c := range []struct {
		keys []uint64
		want [2]uint64
	}{
		{nil, [2]uint64{0x7655d15c919ef624, 0xb87a4210b4edc8b7}},
		{[]uint64{0}, [2]uint64{0x3553928d9e223008, 0xc2af34e6ad086346}},
		{[]uint64{1, Shuffle, 0}, [2]uint64{0x279cc49951efed8e, 0xff668f66862a633e}},
		{[]uint64{1, Augment, 3, 59999, 1}, [2]uint64{0x373a02ecd11cf220, 0x569e2c5354c016e0}},
		{[]uint64{1 << 63, Augment, 999, 1281166, 0}, [2]uint64{0xe379215598ab5016, 0xc396823499d81097}},
	} {
		r := New(c.keys...)
		if got := [2]uint64{r.Uint64(), r.Uint64()}; got != c.want {
			t.Errorf("New(%v) draws %#x, want %#x", c.keys, got, c.want)
		}
	}
	if got, want := Perm(10, 7, Shuffle, 2), []int{2, 3, 5, 8, 6, 9, 7, 4, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("Perm = %v, want %v", got, want)
	}
	r := New(5, Augment)
	got := []float64{r.Float64(), r.NormFloat64(), float64(r.IntN(1000)), float64(r.Float32())}
	if want := []float64{0.011472448294985838, -0.7309043335410748, 694, 0.6190718412399292}; !slices.Equal(got, want) {
		t.Errorf("draws %v, want %v", got, want)
	}
}

func TestKeysSeparateStreams(t *testing.T) {
	seen := map[uint64][]uint64{}
	add := func(keys ...uint64) {
		v := New(keys...).Uint64()
		if other, ok := seen[v]; ok {
			t.Fatalf("keys %v and %v give the same stream", keys, other)
		}
		seen[v] = keys
	}
	add()
	for a := range uint64(10) {
		add(a)
		for b := range uint64(10) {
			add(a, b)
			for c := range uint64(20) {
				add(a, b, c)
				add(a, b, c, 0)
				add(a, b, c, 1)
			}
		}
	}
}

// First draws of neighbouring streams must look independent and uniform.
func TestNeighboursIndependent(t *testing.T) {
	const n = 20000
	var p rand.PCG
	r := rand.New(&p)
	var sum, prod, last float64
	var bins [16]int
	for i := range uint64(n) {
		Seed(&p, 1, Augment, 0, i, 0)
		x := r.Float64()
		bins[int(x*16)]++
		sum += x
		prod += (x - 0.5) * (last - 0.5)
		last = x
	}
	if m := sum / n; math.Abs(m-0.5) > 5*math.Sqrt(1.0/12/n) {
		t.Errorf("mean of first draws is %v", m)
	}
	if c := prod / n * 12; math.Abs(c) > 5/math.Sqrt(n) {
		t.Errorf("neighbouring streams correlate: %v", c)
	}
	var chi float64
	for _, b := range bins {
		d := float64(b) - n/16
		chi += d * d / (n / 16)
	}
	if chi > 45 { // 15 degrees of freedom: P(χ² > 45) < 1e-4
		t.Errorf("first draws are not uniform: χ² = %.1f %v", chi, bins)
	}
}

func TestSeedDoesNotAllocate(t *testing.T) {
	var p rand.PCG
	i := uint64(0)
	if a := testing.AllocsPerRun(100, func() { Seed(&p, 1, Augment, 0, i, 1); i++ }); a != 0 {
		t.Errorf("Seed allocates %v times", a)
	}
}
