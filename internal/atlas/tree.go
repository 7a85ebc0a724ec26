package atlas

import (
	"math/bits"
	"slices"
)

// tree is a quadtree of points in the plane (Barnes and Hut, 1986), whose cells stand in the
// order in which a walk meets them. It is made anew in the same memory.
type tree struct {
	order []uint64 // of each point its place along the Morton curve, and its index
	cells []cell
	side  float64 // of the square that holds all points
	y     []float64
}

// cell is a square with points. The first cell in it is the next one; a leaf holds points at
// the same place of the curve.
type cell struct {
	x, y  float64 // mean of the points
	mass  float64 // how many
	side2 float64 // square of its side
	place uint32  // of a leaf, on the curve
	skip  int32   // the first cell after those in it
}

// build takes points, n × 2.
func (t *tree) build(y []float64) {
	n := len(y) / 2
	lo, hi := [2]float64{y[0], y[1]}, [2]float64{y[0], y[1]}
	for i, v := range y {
		lo[i%2], hi[i%2] = min(lo[i%2], v), max(hi[i%2], v)
	}
	t.y, t.side = y, max(hi[0]-lo[0], hi[1]-lo[1], 1e-300)
	scale := float64(1<<16-1) / t.side
	t.order = slices.Grow(t.order[:0], n)[:n]
	for i := range n {
		x, y := uint32(scale*(y[2*i]-lo[0])), uint32(scale*(y[2*i+1]-lo[1]))
		t.order[i] = uint64(spread(x)|spread(y)<<1)<<32 | uint64(i)
	}
	slices.Sort(t.order)
	t.cells = t.cells[:0]
	t.cell(0, n)
}

// spread puts zeros between the 16 bits of x.
func spread(x uint32) uint32 {
	x = (x | x<<8) & 0x00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f
	x = (x | x<<2) & 0x33333333
	return (x | x<<1) & 0x55555555
}

// cell appends the smallest cell that holds the points lo to hi of the order, and those in it.
func (t *tree) cell(lo, hi int) {
	at := len(t.cells)
	first, last := uint32(t.order[lo]>>32), uint32(t.order[hi-1]>>32)
	if first == last {
		c := cell{mass: float64(hi - lo), place: first, skip: int32(at + 1)}
		for _, o := range t.order[lo:hi] {
			i := int(uint32(o))
			c.x += t.y[2*i]
			c.y += t.y[2*i+1]
		}
		c.x /= c.mass
		c.y /= c.mass
		t.cells = append(t.cells, c)
		return
	}
	level := bits.LeadingZeros32(first^last) / 2 // of the curve's 16
	side := t.side / float64(uint(1)<<level)
	t.cells = append(t.cells, cell{side2: side * side})
	shift := 32 + 2*(15-level)
	var x, y, mass float64
	for lo < hi {
		quarter := t.order[lo] >> shift
		end := lo + 1
		for end < hi && t.order[end]>>shift == quarter {
			end++
		}
		in := len(t.cells)
		t.cell(lo, end)
		c := &t.cells[in]
		x += c.mass * c.x
		y += c.mass * c.y
		mass += c.mass
		lo = end
	}
	c := &t.cells[at]
	c.x, c.y, c.mass, c.skip = x/mass, y/mass, mass, int32(len(t.cells))
}

// push returns what all other points do to one that has a place on the curve: the sum of
// q² (y − yj), and that of q.
func (t *tree) push(x, y float64, place uint32, theta2 float64) (px, py, z float64) {
	for at := int32(0); at < int32(len(t.cells)); {
		c := &t.cells[at]
		dx, dy := x-c.x, y-c.y
		d2 := dx*dx + dy*dy
		leaf := c.skip == at+1
		if !leaf && c.side2 >= theta2*d2 {
			at++
			continue
		}
		at = c.skip
		mass := c.mass
		if leaf && c.place == place {
			if mass == 1 {
				continue // the point itself
			}
			// The mean of the others.
			mass--
			dx, dy = dx*c.mass/mass, dy*c.mass/mass
			d2 = dx*dx + dy*dy
		}
		q := 1 / (1 + d2)
		z += mass * q
		q *= mass * q
		px += q * dx
		py += q * dy
	}
	return px, py, z
}
