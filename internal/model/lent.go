package model

import (
	"math"

	"vicreg/internal/device"
	"vicreg/internal/nn"
)

// Lent says how much memory the arena of a [Joint] lends in a step of training. It is
// computed from the shapes alone, by going through the layers' Forward and Backward with
// nothing but their Get and Put. No item may be shorter than its shape says.
type Lent struct {
	Kept     float64 // for backward, by one view
	Forward  float64 // at most, while that view goes forward,
	Backward float64 // and while it goes backward, what was kept included
	Target   float64 // at most, while a momentum encoder takes the view forward
	Aside    float64 // beside the arena, by one view
}

// LentBy returns what a view of n items takes on its way through an encoder, an expander,
// if there is one, and, unless it is nil, a predictor, on the CPU, in floats. The configuration must be one
// that [Arrays] lists.
func LentBy(c Config, expander Head, predictor *Head, n int) Lent {
	l := LentOn(device.Local, device.Precision(0), c, expander, predictor, n)
	for _, v := range []*float64{&l.Kept, &l.Forward, &l.Backward, &l.Target, &l.Aside} {
		*v /= 4
	}
	return l
}

// LentOn is LentBy on a device and for products of a precision, in bytes.
func LentOn(d device.Device, p device.Precision, c Config, expander Head, predictor *Head, n int) Lent {
	var l Lent
	act := d.Activations(p)
	on := meter{act: float64(act.Size()), line: float64(nn.Line(d)), keptSum: float64(d.KeptSum(act))}
	_, on.signed = d.(device.Signed)
	_, on.sparse = d.(device.Sparse)
	target := on
	target.target = true
	y, _ := lentEncoder(&target, c, n)
	widths, _ := ParseExpander(expander.Widths)
	lentHead(&target, expander, float64(n), y, float64(dimOf(c)), widths)
	l.Target = target.most

	m := on
	y, back := lentEncoder(&m, c, n)
	backHead := lentHead(&m, expander, float64(n), y, float64(dimOf(c)), widths)
	var backPredictor func() float64
	if predictor != nil {
		to, _ := ParseExpander(predictor.Widths)
		backPredictor = lentHead(&m, *predictor, float64(n), 0, float64(widths[len(widths)-1]), to)
	}
	l.Kept, l.Forward, l.Aside = m.now, m.most, m.aside
	m.most = m.now
	below := 0.0
	if backPredictor != nil {
		below = backPredictor()
	}
	dy := backHead()
	m.put(below)
	back()
	m.put(dy)
	l.Backward = m.most
	return l
}

// meter counts as an arena does, in bytes.
type meter struct {
	now, most float64
	aside     float64
	target    bool // of a pass that keeps nothing

	act     float64 // bytes of an activation
	line    float64 // where buffers begin
	keptSum float64 // the device's, in numbers
	signed  bool    // keeps the signs of sums
	sparse  bool    // keeps gradients of pixels that are read alone
}

func (m *meter) get(bytes float64) float64 {
	bytes = m.line * math.Ceil(bytes/m.line)
	m.now += bytes
	m.most = max(m.most, m.now)
	return bytes
}

// acts gets room for activations, floats for numbers of float32.
func (m *meter) acts(n float64) float64   { return m.get(m.act * n) }
func (m *meter) floats(n float64) float64 { return m.get(4 * n) }

// both gets room for activations and for values of rows, which are float32: one buffer if
// the activations are that too.
func (m *meter) both(n, stats float64) float64 {
	if m.act == 4 {
		return m.floats(n + stats)
	}
	return m.acts(n) + m.floats(stats)
}

func (m *meter) put(bytes float64) { m.now -= bytes }

// drop gives back what forward has read, unless backward will.
func (m *meter) drop(bytes float64) {
	if m.target {
		m.put(bytes)
	}
}

// lentEncoder takes n items through an encoder. It returns how much their
// representations hold, and a function for the way back.
func lentEncoder(m *meter, c Config, n int) (y float64, back func()) {
	in := c.Input.Shape
	for _, a := range archs {
		if a.name == c.Arch {
			stem, _ := stem2D(c.Stem)
			return lentResNet(m, a, float64(c.Width*a.widen), stem, float64(n), in[0], in[1])
		}
	}
	for _, a := range archs1D {
		for _, s := range stems1D {
			if a.name == c.Arch && s.name == c.Stem {
				return lentResNet(m, arch{blocks: a.blocks}, float64(c.Width), s, float64(n), in[0], 1)
			}
		}
	}
	if c.isViT() {
		return lentViT(m, c, float64(n))
	}
	if c.Arch == "text" {
		rows := float64(n) * float64(in[0])
		t := transformer{m, textDepth, float64(n), rows, textDim, textHeads}
		x, block := t.forward(m.acts(rows * textDim))
		norm := m.both(rows*textDim, 2*rows)
		m.drop(x)
		mean := m.acts(float64(n) * textDim)
		m.drop(norm)
		return mean, func() {
			g := m.acts(rows * textDim)
			m.put(mean)
			m.put(norm)
			block(g)
		}
	}
	return lentMLP(m, float64(n), mlpWidths(c.Width))
}

// lentViT is a vision transformer.
func lentViT(m *meter, config Config, n float64) (y float64, back func()) {
	c, v, _ := config.vit().filled()
	d, rows, patches := float64(v.dim), n*float64(c.tokens()), n*float64(c.Height/c.Patch*(c.Width/c.Patch))
	x := m.acts(rows * d)
	m.put(m.acts(patches * d)) // before positions are added
	t := transformer{m, v.depth, n, rows, d, float64(v.heads)}
	x, block := t.forward(x)
	if c.Pool == "mean" {
		norm := m.both(rows*d, 2*rows)
		m.drop(x)
		mean := m.acts(n * d)
		m.drop(norm)
		return mean, func() {
			g := m.acts(rows * d)
			m.put(mean)
			m.put(norm)
			block(g)
		}
	}
	first := m.acts(n * d)
	m.drop(x)
	norm := m.both(n*d, 2*n)
	m.drop(first)
	return norm, func() {
		own := m.acts(n * d)
		m.put(norm)
		g := m.acts(rows * d)
		m.put(first)
		m.put(own)
		block(g)
	}
}

// dimOf returns the width of an encoder's representations.
func dimOf(c Config) int {
	_, dim, err := Arrays(c)
	if err != nil {
		panic("model: " + err.Error())
	}
	return dim
}

// transformer is a stack of blocks over rows tokens of c channels.
type transformer struct {
	m                *meter
	depth            int
	n, rows, c, head float64
}

// forward returns the last tokens and a function for the way back, which takes the
// gradient of these and gives back everything down to the first tokens, whose memory is
// x.
func (t transformer) forward(x float64) (last float64, back func(d float64)) {
	m, first := t.m, x
	var kept []float64
	for range t.depth {
		for _, stats := range []float64{t.head + 2, 2} { // attention, MLP
			y := m.both(t.rows*5*t.c, t.rows*stats)
			m.drop(x)
			x, kept = y, append(kept, y)
		}
	}
	return x, func(d float64) {
		for i := range t.depth {
			du := m.acts(t.rows * 4 * t.c)
			m.put(du)
			m.put(kept[2*(t.depth-i)-1])
			do := m.acts(t.rows * t.c)
			dqkv := m.acts(t.rows * 3 * t.c)
			m.put(dqkv)
			m.put(do)
			m.put(kept[2*(t.depth-i)-2])
		}
		m.put(d)
		m.put(first)
	}
}

// lentMLP is a perceptron.
func lentMLP(m *meter, n float64, widths []int) (y float64, back func()) {
	var kept []float64
	for i, w := range widths {
		kept = append(kept, m.acts(n*float64(w)))
		if i > 0 {
			m.drop(kept[i-1])
		}
	}
	whole := m.acts(n * float64(widths[len(widths)-1]))
	m.drop(kept[len(kept)-1])
	return whole, func() {
		d := m.get(whole)
		m.put(whole)
		for i := len(kept) - 1; i > 0; i-- {
			below := m.get(kept[i-1])
			m.put(kept[i])
			m.put(d)
			d = below
		}
		m.put(kept[0])
		m.put(d)
	}
}

// lentHead takes n rows of width in, which hold y, through a head. It returns a function
// for the way back, on which the gradient of the embeddings stays with its owner, and which
// returns how much the gradient of the rows holds.
func lentHead(m *meter, h Head, n, y, in float64, widths []int) func() float64 {
	var kept []float64
	last := len(widths) - 1
	if last < 0 { // no head: the gradient of the rows is the loss's
		return func() float64 { return m.acts(n * in) }
	}
	for i, w := range widths {
		get := m.acts
		if i == last { // what a loss reads
			get = m.floats
		}
		kept = append(kept, get(n*float64(w)))
		if i == 0 {
			m.drop(y)
		} else {
			m.drop(kept[i-1])
		}
	}
	whole := 0.0
	if h.Last != Plain && h.Last != "" {
		whole = m.floats(n * float64(widths[last]))
		m.drop(kept[last])
	}
	below := m.acts // the gradient of the rows is of their type
	if y == 0 {
		below = m.floats
	}
	return func() (d float64) {
		owned := whole > 0
		if owned {
			d = m.get(whole)
			m.put(whole)
		}
		for i := last; i >= 0; i-- {
			var dx float64
			if i > 0 {
				dx = m.acts(n * float64(widths[i-1]))
			} else {
				dx = below(n * in)
			}
			m.put(kept[i])
			if owned {
				m.put(d)
			}
			d, owned = dx, true
		}
		return d
	}
}
