package nn

import "vicreg/internal/device"

// Residual is a block relu(convs(x) + x), or relu(convs(x) + down(x)).
type Residual struct {
	Convs []*ConvNorm // all but the last with ReLU
	Down  *ConvNorm   // without ReLU, or nil
}

// units returns the block's layers in the order of torchvision's modules.
func (b *Residual) units() []*ConvNorm {
	if b.Down == nil {
		return b.Convs
	}
	return append(b.Convs[:len(b.Convs):len(b.Convs)], b.Down)
}

// Params and Buffers return those of all layers.
func (b *Residual) Params() (ps []*Param) {
	for _, u := range b.units() {
		ps = append(ps, u.Params()...)
	}
	return ps
}

func (b *Residual) Buffers() (ps []*Param) {
	for _, u := range b.units() {
		ps = append(ps, u.Buffers()...)
	}
	return ps
}

// Forward returns relu(a + b), where a is what the convolutions make of x, and b is x
// itself or what Down makes of it. The sum is stored as it is read: its own sign is the
// mask of the ReLU, and is kept apart where a device would rather have it so. The sums of
// its gradient serve a's normalisation.
func (b *Residual) Forward(p *Pass, x Act) Act {
	if p.ready && x.Scale.None() && !x.ReLU {
		return b.infer(p, x)
	}
	a := x
	for i, u := range b.Convs {
		next := u.Forward(p, a)
		if i > 0 {
			p.Drop(a)
		}
		a = next
	}
	id := x
	if b.Down != nil {
		id = b.Down.Forward(p, x)
	}
	out := a
	signed, _ := p.dev.(device.Signed)
	if p.train {
		r := p.push(b, a, p.act, a.Len())
		r.id = id
		out.Source, out.Cut, out.join = device.Source{X: r.y}, true, r
		if signed != nil && a.Len()%8 == 0 {
			out.Signs = device.Room(p.dev, &r.signs, device.Uint8, a.Len()/8)
		}
		r.out = out
	} else {
		out.Source, out.Cut = device.Source{X: a.X}, true // in place
	}
	if out.Signs.None() {
		p.dev.AddReLU(out.X, a.Source, id.Source, a.C, true)
	} else {
		signed.AddSigned(out.X, out.Signs, a.Source, id.Source, a.C)
	}
	if x.join != nil && x.Len() > p.dev.KeptSum(x.X.Type()) {
		p.done(x.join)
	}
	p.Drop(x)
	p.Drop(id)
	return out
}

// infer is Forward for passes that store activations as they are read: the last
// convolution adds x, or what Down makes of it.
func (b *Residual) infer(p *Pass, x Act) Act {
	id, a := x, x
	for i, u := range b.Convs {
		add, relu := device.Array{}, u.ReLU
		if i == len(b.Convs)-1 {
			if b.Down != nil {
				id = b.Down.forward(p, x, device.Array{}, false)
				p.Drop(x)
			}
			add, relu = id.X, true
		}
		next := u.forward(p, a, add, relu)
		if i > 0 {
			p.Drop(a)
		}
		a = next
	}
	p.Drop(id)
	return a
}

// Backward takes d, the gradient of the block's output where its ReLU let it through,
// and returns the gradient of its input. d is a buffer of the arena; Backward takes it
// over and returns it or another.
func (b *Residual) Backward(p *Pass, d device.Array) device.Array {
	p.done(p.pop(b)) // the gradient of the sum is that of what was added
	id, at := d, device.Pixels{}
	if b.Down != nil {
		id, at = b.Down.roomRead(p)
		b.Down.sumGrad(p, d)
		b.Down.Backward(p, d, id, device.Finish{})
	}
	// The identity's gradient is added to that of the first convolution's input, in place
	// unless it is of some pixels alone.
	for i := len(b.Convs) - 1; i >= 0; i-- {
		u := b.Convs[i]
		in := u.In(p)
		if i == 0 {
			f, to := in.Finish(id), id
			if at.Step > 0 {
				f.At, to = at, p.Room(in)
			}
			u.Backward(p, d, to, f)
			if at.Step > 0 {
				p.arena.Put(id)
				id = to
			}
		} else {
			dx := p.Room(in)
			u.Backward(p, d, dx, in.Finish(device.Array{}))
			if i < len(b.Convs)-1 || b.Down != nil {
				p.arena.Put(d)
			}
			d = dx
		}
	}
	p.arena.Put(d)
	return id
}
