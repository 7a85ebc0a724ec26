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
		l := loan{a.Get(device.Float32, n), float32(i)}
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
		if len(c.spans) != 1 || c.spans[0].n != 4*c.mem.Len() {
			t.Errorf("chunk %d did not join again: %v", i, c.spans)
		}
	}
	if a.total > 2*a.Peak()+minChunk {
		t.Errorf("%d bytes of memory for at most %d lent", a.total, a.Peak())
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
			lent = append(lent, a.Get(device.Float32, 1000*(i%7+1)))
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
	if n := testing.AllocsPerRun(5, func() { a.Put(a.Get(device.Float32, 12345)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// elsewhere is a device that has nothing but addresses, and counts its memory.
type elsewhere struct {
	device.CPU
	next, held int
}

func (e *elsewhere) Shared() bool { return false }

func (e *elsewhere) Alloc(t device.Type, n int) device.Array {
	a := device.At(uintptr(e.next), t, n)
	e.next += (n*t.Size() + 255) / 256 * 256
	e.held += n * t.Size()
	return a
}

func (e *elsewhere) Up(device.Array, []float32) {}

func (e *elsewhere) Free(a device.Array) { e.held -= a.Len() * a.Type().Size() }

// On another device too, whatever their types: no two buffers overlap, each begins at a
// multiple of 256 bytes, and all memory goes back.
func TestArenaTypes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	d := &elsewhere{next: 1 << 20}
	a := NewArena(d)
	w := NewParam("w", 64, 100)
	w.To(d)
	own := d.held
	l := NewLater(a, []*Param{w})
	l.Zero() // the arena has the gradient's memory
	var lent []device.Array
	for range 3000 {
		if len(lent) > 0 && rng.IntN(3) == 0 {
			j := rng.IntN(len(lent))
			a.Put(lent[j])
			lent[j] = lent[len(lent)-1]
			lent = lent[:len(lent)-1]
			continue
		}
		typ, n := device.Type(rng.IntN(5)), 1+rng.IntN(5000)
		b := a.Get(typ, n)
		if b.Type() != typ || b.Len() != n || b.Addr()%256 != 0 {
			t.Fatalf("asked for %d of %s, got %d of %s at %d", n, typ, b.Len(), b.Type(), b.Addr())
		}
		for _, o := range lent {
			if b.Addr() < o.Addr()+uintptr(o.Len()*o.Type().Size()) && o.Addr() < b.Addr()+uintptr(n*typ.Size()) {
				t.Fatalf("%d of %s at %d overlap %d of %s at %d", n, typ, b.Addr(), o.Len(), o.Type(), o.Addr())
			}
		}
		lent = append(lent, b)
	}
	for _, b := range lent {
		a.Put(b)
	}
	if a.Lent() != 0 {
		t.Errorf("%d bytes lent after all came back", a.Lent())
	}
	if a.Close(); d.held != own {
		t.Errorf("%d bytes were not given back", d.held-own)
	}
}
