package nn

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/device"
)

// TestArena lends and takes back at random: no two lent buffers may overlap.
func TestArena(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := new(Arena)
	type loan struct {
		b    device.Array
		mark float32
	}
	var lent []loan
	for i := range 3000 {
		if len(lent) > 0 && rng.IntN(3) == 0 {
			j := rng.IntN(len(lent))
			for _, v := range lent[j].b.Host() {
				if v != lent[j].mark {
					t.Fatalf("loan %v was overwritten by %v", lent[j].mark, v)
				}
			}
			a.Put(lent[j].b)
			lent[j] = lent[len(lent)-1]
			lent = lent[:len(lent)-1]
			continue
		}
		n := 1 + rng.IntN(5000)
		l := loan{a.Get(n), float32(i)}
		if l.b.Len() != n {
			t.Fatalf("asked for %d, got %d", n, l.b.Len())
		}
		for k := range l.b.Host() {
			l.b.Host()[k] = l.mark
		}
		lent = append(lent, l)
	}
	for _, l := range lent {
		a.Put(l.b)
	}
	if a.Lent() != 0 {
		t.Errorf("%d lent after all came back", a.Lent())
	}
	for i, c := range a.chunks {
		if len(c.spans) != 1 || c.spans[0].n != c.mem.Len() {
			t.Errorf("chunk %d did not join again: %v", i, c.spans)
		}
	}
	if a.total > 2*a.Peak()+minChunk {
		t.Errorf("%d floats of memory for at most %d lent", a.total, a.Peak())
	}
	defer func() {
		if recover() == nil {
			t.Error("a foreign buffer was taken")
		}
	}()
	a.Put(device.Of(make([]float32, 3)))
}

// TestArenaRepeats: the same calls find the same buffers.
func TestArenaRepeats(t *testing.T) {
	a := new(Arena)
	step := func() (at []*float32) {
		var lent []device.Array
		for i := range 40 {
			lent = append(lent, a.Get(1000*(i%7+1)))
			at = append(at, &lent[i].Host()[0])
			if i%3 == 2 {
				a.Put(lent[i-1])
			}
		}
		for i, b := range lent {
			if i%3 != 1 || i == 40-1 {
				a.Put(b)
			}
		}
		return at
	}
	step()
	first := step()
	for i, p := range step() {
		if p != first[i] {
			t.Fatalf("buffer %d moved", i)
		}
	}
	if n := testing.AllocsPerRun(5, func() { a.Put(a.Get(12345)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
