package vorbis

import "testing"

// The example of section 3.2.1, and trees that are none.
func TestGrow(t *testing.T) {
	var c codebook
	if err := c.grow([]uint8{2, 4, 4, 4, 4, 2, 3, 3}); err != nil {
		t.Fatal(err)
	}
	for entry, word := range []string{"00", "0100", "0101", "0110", "0111", "10", "110", "111"} {
		var b byte
		for i, bit := range word {
			b |= byte(bit-'0') << i // the first bit is the lowest
		}
		r := &reader{data: []byte{b}}
		if got := c.entry(r); got != entry || r.over || r.have != 8-uint(len(word)) {
			t.Errorf("%s is entry %d, want %d", word, got, entry)
		}
		if r := (&reader{}); c.entry(r) != -1 || !r.over {
			t.Errorf("an entry of nothing")
		}
	}
	long := make([]uint8, 33) // 1, 2, … 31, 32, 32: codewords beyond the fast table
	for i := range long {
		long[i] = uint8(min(i+1, 32))
	}
	var deep codebook
	if err := deep.grow(long); err != nil {
		t.Fatal(err)
	}
	if got := deep.entry(&reader{data: []byte{0xff, 0xff, 0xff, 0xff}}); got != 32 {
		t.Errorf("32 ones are entry %d", got)
	}
	if got := deep.entry(&reader{data: []byte{0xff, 0xff, 0xff, 0x7f}}); got != 31 {
		t.Errorf("31 ones and a zero are entry %d", got)
	}
	var single codebook
	if err := single.grow([]uint8{0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	for _, b := range []byte{0, 1} {
		if r := (&reader{data: []byte{b}}); single.entry(r) != 2 || r.have != 7 {
			t.Errorf("the only entry takes one bit, of either value")
		}
	}
	var none codebook
	if err := none.grow([]uint8{0, 0}); err != nil || none.entry(&reader{data: []byte{0}}) != -1 {
		t.Errorf("no entries: %v", err)
	}
	for _, lengths := range [][]uint8{{1, 1, 1}, {1, 2}, {2, 2, 2}, {3}, {1, 2, 3}, {1, 1, 32}} {
		if err := new(codebook).grow(lengths); err == nil {
			t.Errorf("%v makes no tree, but is taken", lengths)
		}
	}
}

func TestRoot(t *testing.T) {
	for _, c := range []struct{ n, dims, want int }{
		{81, 4, 3}, {80, 4, 2}, {82, 4, 3}, {625, 4, 5}, {6561, 8, 3}, {6560, 8, 2}, {1, 1, 1}, {1 << 20, 1, 1 << 20},
		{100, 100, 1}, {1, 65535, 1}, {16777216, 24, 2},
	} {
		if got := root(c.n, c.dims); got != c.want {
			t.Errorf("root %d of %d is %d, want %d", c.dims, c.n, got, c.want)
		}
	}
}

// Values of libvorbis's own books.
func TestUnpack(t *testing.T) {
	for packed, want := range map[uint32]float32{0: 0, 1611661312: 1, 1616117760: 5, 1616117760 | 1<<31: -5} {
		if got := unpack(packed); got != want {
			t.Errorf("%d is %v, want %v", packed, got, want)
		}
	}
}
