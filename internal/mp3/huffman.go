package mp3

import "math"

// table decodes a Huffman code. The first bits lead to an entry or to a node of a
// tree, where the rest is looked up bit by bit.
type table struct {
	fast [1 << fastBits]branch
	tree [][2]int16 // a child below 0 is ^value
	wide int        // values of y for each x
}

type branch struct {
	to   int16 // a node, or ^value
	bits uint8
}

const fastBits = 8

var tables = func() (all [34]*table) {
	for n, list := range codes {
		t := &table{tree: make([][2]int16, 1), wide: 1}
		for t.wide*t.wide < len(list) {
			t.wide++
		}
		for value, c := range list {
			length := int(c >> 24)
			node := 0
			for i := length - 1; i > 0; i-- {
				child := &t.tree[node][c>>i&1]
				if *child == 0 {
					*child = int16(len(t.tree))
					t.tree = append(t.tree, [2]int16{})
				}
				node = int(t.tree[node][c>>i&1])
			}
			t.tree[node][c&1] = ^int16(value)
		}
		for i := range t.fast {
			f := &t.fast[i]
			for f.bits < fastBits && f.to >= 0 {
				f.to = t.tree[f.to][i>>(fastBits-1-f.bits)&1]
				f.bits++
			}
		}
		all[n] = t
	}
	for n := 17; n < 32; n++ {
		if all[n] == nil {
			all[n] = all[n-1]
		}
	}
	return all
}()

// value reads a codeword.
func (t *table) value(b *bits) int {
	f := t.fast[b.peek(fastBits)]
	b.at += int(f.bits)
	to := f.to
	for to >= 0 {
		to = t.tree[to][b.read(1)]
	}
	return int(^to)
}

// pow43 holds |n|^(4/3).
var pow43 = func() (t [8207]float32) {
	for i := range t {
		t[i] = float32(math.Pow(float64(i), 4.0/3))
	}
	return t
}()

// huffman reads the spectrum of a channel of a granule, up to the bit end, and
// returns how many of its lines are not all zero. Lines are not scaled yet.
func (g *granule) huffman(b *bits, end int, x *[576]float32) int {
	signed := func(n int) float32 {
		if n == 0 {
			return 0
		}
		if b.flag() {
			return -pow43[n]
		}
		return pow43[n]
	}
	clear(x[:])
	i := 0
	for region, until := range g.regions() {
		n := g.tables[region]
		t := tables[n]
		if t == nil { // all are zero
			i = max(i, until)
			continue
		}
		for ; i < until; i += 2 {
			v := t.value(b)
			p, q := v/t.wide, v%t.wide
			if p == 15 && linbits[n] > 0 {
				p += b.read(int(linbits[n]))
			}
			x[i] = signed(p)
			if q == 15 && linbits[n] > 0 {
				q += b.read(int(linbits[n]))
			}
			x[i+1] = signed(q)
			if b.at > end {
				x[i], x[i+1] = 0, 0
				b.at = end
				return i
			}
		}
	}
	t := tables[32]
	if g.count1 {
		t = tables[33]
	}
	for ; i+4 <= 576 && b.at < end; i += 4 {
		v := t.value(b)
		for k := range 4 {
			x[i+k] = signed(v >> (3 - k) & 1)
		}
		if b.at > end {
			clear(x[i : i+4])
			break
		}
	}
	b.at = end
	return i
}
