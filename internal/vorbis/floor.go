package vorbis

import (
	"cmp"
	"math"
	"slices"
)

// floor1 is a curve of straight lines in dB (section 7). Floors of type 0 are those
// of encoders before Vorbis 1.0, and not read.
type floor1 struct {
	parts   []uint8 // the class of each partition
	classes []floorClass
	mult    int
	x       []int // where lines may begin and end
	order   []int // of x, ascending
	low     []int // of each of x from the third on, its neighbours among those before
	high    []int
}

type floorClass struct {
	dims, bits int
	master     int
	books      []int // -1: none, and a value of 0
}

// decibels are 256 steps of 140/256 dB up to 1.
var decibels = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(math.Pow(10, float64(i-255)*140/256/20))
	}
	return t
}()

func readFloor(b *reader, books int) (*floor1, error) {
	f := &floor1{parts: make([]uint8, b.int(5))}
	classes := 0
	for i := range f.parts {
		f.parts[i] = uint8(b.int(4))
		classes = max(classes, int(f.parts[i])+1)
	}
	for range classes {
		c := floorClass{dims: b.int(3) + 1, bits: b.int(2)}
		if c.bits > 0 {
			if c.master = b.int(8); c.master >= books {
				return nil, errSetup
			}
		}
		for range 1 << c.bits {
			book := b.int(8) - 1
			if book >= books {
				return nil, errSetup
			}
			c.books = append(c.books, book)
		}
		f.classes = append(f.classes, c)
	}
	f.mult = b.int(2) + 1
	width := uint(b.int(4))
	f.x = []int{0, 1 << width}
	for _, p := range f.parts {
		for range f.classes[p].dims {
			f.x = append(f.x, b.int(width))
		}
	}
	if b.over || len(f.x) > 65 {
		return nil, errSetup
	}
	for i := range f.x {
		f.order = append(f.order, i)
	}
	slices.SortFunc(f.order, func(i, j int) int { return cmp.Compare(f.x[i], f.x[j]) })
	for k, i := range f.order[1:] {
		if f.x[i] == f.x[f.order[k]] {
			return nil, errSetup // a line of no length
		}
	}
	f.low, f.high = make([]int, len(f.x)), make([]int, len(f.x))
	for i := 2; i < len(f.x); i++ {
		low, high := 0, 1
		for j := range i {
			if f.x[j] < f.x[i] && f.x[j] > f.x[low] {
				low = j
			}
			if f.x[j] > f.x[i] && f.x[j] < f.x[high] {
				high = j
			}
		}
		f.low[i], f.high[i] = low, high
	}
	return f, nil
}

// read reads the heights of a curve into y, which has room for them; false if the
// channel is silent, or the packet ends first.
func (f *floor1) read(b *reader, books []codebook, y []int) bool {
	if !b.flag() {
		return false
	}
	width := [...]uint{8, 7, 7, 6}[f.mult-1]
	y[0], y[1] = b.int(width), b.int(width)
	at := 2
	for _, p := range f.parts {
		c := &f.classes[p]
		value := 0
		if c.bits > 0 {
			value = books[c.master].entry(b)
		}
		for range c.dims {
			book := c.books[value&(1<<c.bits-1)]
			value >>= c.bits
			y[at] = 0
			if book >= 0 {
				y[at] = books[book].entry(b)
			}
			at++
			if b.over {
				return false
			}
		}
	}
	return !b.over
}

// apply multiplies a spectrum by the curve of heights y, which it changes.
func (f *floor1) apply(x []float32, y []int) {
	var ends [65]bool
	ends[0], ends[1] = true, true
	span := [...]int{256, 128, 86, 64}[f.mult-1]
	for i := 2; i < len(f.x); i++ {
		low, high := f.low[i], f.high[i]
		guess := point(f.x[low], y[low], f.x[high], y[high], f.x[i])
		value := y[i]
		y[i] = guess
		if value == 0 {
			continue // on the line
		}
		ends[low], ends[high], ends[i] = true, true, true
		above, below := span-guess, guess
		switch room := 2 * min(above, below); {
		case value >= room && above > below:
			y[i] = value
		case value >= room:
			y[i] = guess - value + above - 1
		case value%2 == 1:
			y[i] = guess - (value+1)/2
		default:
			y[i] = guess + value/2
		}
		y[i] = min(max(y[i], 0), span-1)
	}
	from, height := 0, y[0]*f.mult
	for _, i := range f.order[1:] {
		if ends[i] {
			line(x, from, height, f.x[i], y[i]*f.mult)
			from, height = f.x[i], y[i]*f.mult
		}
	}
	if from < len(x) {
		scale := decibels[min(max(height, 0), 255)]
		for i := from; i < len(x); i++ {
			x[i] *= scale
		}
	}
}

// point returns the height at x of the line from (x0, y0) to (x1, y1).
func point(x0, y0, x1, y1, x int) int {
	up := y1 - y0
	off := max(up, -up) * (x - x0) / (x1 - x0)
	if up < 0 {
		return y0 - off
	}
	return y0 + off
}

// line multiplies x[x0:x1] by a line in dB, drawn in whole numbers (section 9.2.6).
func line(x []float32, x0, y0, x1, y1 int) {
	dx, dy := x1-x0, y1-y0
	base := dy / dx
	step := base + 1
	if dy < 0 {
		step = base - 1
	}
	rest := max(dy, -dy) - max(base, -base)*dx
	y, err := y0, 0
	for i := x0; i < min(x1, len(x)); i++ {
		x[i] *= decibels[min(max(y, 0), 255)]
		if err += rest; err >= dx {
			err -= dx
			y += step
		} else {
			y += base
		}
	}
}
