package model

import (
	"math"
	"slices"

	"vicreg/internal/nn"
)

// maxPool2D is the pooling of images: 3 × 3 windows at every second pixel.
var maxPool2D = new(nn.MaxPool)

// lentBlock is what a residual block holds.
type lentBlock struct {
	below *lentBlock // or nil
	in    float64    // its input
	convs []float64
	down  float64 // 0: none
	few   float64 // of the pixels of the input that down reads, in numbers; 0: all of them count
	join  float64 // the sum; held unless backward is to make it again
	size  float64 // of the sum, in numbers
	held  bool
}

// lentResNet takes n images of h × w, or sequences with w = 1, through a residual
// network.
func lentResNet(m *meter, a arch, planes float64, stem stem1D, n float64, h, w int) (y float64, back func()) {
	sequence := w == 1 && stem.name != ""
	after := func(x, size, stride, pad int) int { return (x+2*pad-size)/stride + 1 }
	shrink := func(size, stride, pad int) {
		h = after(h, size, stride, pad)
		if !sequence {
			w = after(w, size, stride, pad)
		}
	}
	area := func() float64 { return n * float64(h) * float64(w) }

	shrink(stem.size, stem.stride, stem.pad)
	first := m.acts(area() * planes)
	x, pooled := first, 0.0
	if stem.pool != nil {
		if stem.pool.Size > 0 {
			shrink(stem.pool.Size, stem.pool.Size, 0)
		} else {
			shrink(3, 2, 1)
		}
		pooled = m.acts(area() * planes)
		m.aside += area() * planes // a byte each: which of the window was the largest
		m.drop(x)
		x = pooled
	}
	var blocks []*lentBlock
	var below *lentBlock
	in := planes
	for stage, count := range a.blocks {
		planes := planes * float64(int(1)<<stage)
		for block := range count {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			b := &lentBlock{below: below, in: x}
			out := planes
			if a.bottleneck {
				out = 4 * planes
				b.convs = append(b.convs, m.acts(area()*planes))
				shrink(3, stride, 1)
				b.convs = append(b.convs, m.acts(area()*planes))
				m.drop(b.convs[0])
			} else {
				shrink(3, stride, 1)
				b.convs = append(b.convs, m.acts(area()*planes))
			}
			b.convs = append(b.convs, m.acts(area()*out))
			m.drop(b.convs[len(b.convs)-2])
			if stride != 1 || in != out {
				b.down = m.acts(area() * out)
				if m.sparse && !sequence && stride > 1 && math.Mod(in, 8) == 0 {
					b.few = area() * in
				}
			}
			b.join, b.size = b.convs[len(b.convs)-1], area()*out
			if m.target {
				m.put(x)
				m.put(b.down)
			} else {
				m.get(b.join)
				b.held = true
				if m.signed && math.Mod(b.size, 8) == 0 {
					m.aside += b.size / 8
				}
				if below != nil && below.size > m.keptSum {
					m.put(below.join)
					below.held = false
				}
			}
			blocks, below, x, in = append(blocks, b), b, b.join, out
		}
	}
	mean := m.acts(n * in)
	m.drop(x)
	return mean, func() {
		d := m.get(x)
		m.put(mean)
		for _, b := range slices.Backward(blocks) {
			d = b.back(m, d)
		}
		if pooled > 0 {
			dx := m.get(first)
			m.put(d)
			m.put(pooled)
			d = dx
		}
		m.put(first)
		m.put(d)
	}
}

// live makes the sum of a block again if it is not held, and the sums that went into it.
func (b *lentBlock) live(m *meter) {
	if b == nil || b.held {
		return
	}
	if b.down == 0 {
		b.below.live(m)
	}
	m.get(b.join)
	b.held = true
}

// back is Residual.Backward.
func (b *lentBlock) back(m *meter, d float64) float64 {
	if b.held {
		m.put(b.join)
	}
	id := d
	if b.down > 0 {
		b.below.live(m)
		if b.few > 0 {
			id = m.acts(b.few)
		} else {
			id = m.get(b.in)
		}
		m.put(b.down)
	}
	last := len(b.convs) - 1
	for i := last; i >= 0; i-- {
		if i == 0 {
			b.below.live(m)
			if b.few > 0 {
				few := id
				id = m.get(b.in)
				m.put(few)
			}
			m.put(b.convs[0])
			break
		}
		dx := m.get(b.convs[i-1])
		m.put(b.convs[i])
		if i < last || b.down > 0 {
			m.put(d)
		}
		d = dx
	}
	m.put(d)
	return id
}
