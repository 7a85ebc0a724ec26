package reckon

import (
	"fmt"

	"vicreg/internal/device"
	"vicreg/internal/host"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
)

// Card is a device whose memory is its own.
type Card struct {
	Name        string
	Free, Total float64 // bytes

	device    device.Device // nil: one that keeps what the processor does
	precision device.Precision
}

// CardOf is what a device tells of its memory; nil of the processor, and of a device that
// does not tell.
func CardOf(d device.Device, p device.Precision) *Card {
	s, ok := d.(device.Sized)
	if !ok {
		return nil
	}
	free, total := s.Room()
	return &Card{d.Name(), float64(free), float64(total), d, p}
}

// lent is what a view takes where a run's precision is the named one, in floats; nil is the
// processor.
func (c *Card) lent(named string, encoder model.Config, head model.Head, predictor *model.Head, n int) model.Lent {
	d, precision := device.Local, device.Precision(0)
	if c != nil && c.device != nil {
		d, precision = c.device, c.precision
	} else if p, err := device.ParsePrecision(named); err == nil {
		precision = p
	}
	l := model.LentOn(d, precision, encoder, head, predictor, n)
	for _, v := range []*float64{&l.Kept, &l.Forward, &l.Backward, &l.Target, &l.Aside} {
		*v /= float
	}
	return l
}

// What a device holds besides arrays: its kernels and those of its libraries, and room
// for their products.
const (
	libraries = 600e6
	products  = 300e6
)

// OnCard returns how many bytes of a run a device holds.
func (n Need) OnCard() float64 {
	// The largest activation is written out as a product reads it, and so is a gradient;
	// weights are kept in the order that products read them in as well.
	return libraries + products + n.Network*5/4 + n.Momentum*5/4 + n.Prototypes + n.Loss + n.Batches + n.twins +
		n.Activations + n.inference + n.forward
}

// OnHost returns how many bytes the host holds of a run on a device; nil is the
// processor.
func (n Need) OnHost(c *Card) float64 {
	if c == nil {
		return n.Total()
	}
	const drivers = 1500e6 // the libraries themselves, and what they keep
	n.Features -= n.inference
	n.Activations = 0
	return n.Total() + drivers
}

func (c Card) String() string {
	return fmt.Sprintf("%s of the %s of %s are free", host.Bytes(c.Free), host.Bytes(c.Total), c.Name)
}

// CheckOn is Check of a run on a device; nil is the processor.
func CheckOn(c recipe.Config, d Data, card *Card) (note string, err error) {
	if card == nil {
		return Check(c, d)
	}
	d.Card = card
	need, err := Run(c, d)
	if err != nil {
		return "", err
	}
	limit := d.limit()
	if total := need.OnHost(card) - need.movable; total > min(limit.Bytes, anyMachine.Bytes) {
		return "", fmt.Errorf("%s needs about %s of memory beside the device's, and %s: %s", about(c), host.Bytes(total), limit,
			fitting(c, d, func(n Need) bool { return n.OnHost(card)-n.movable <= limit.Bytes }))
	}
	total := need.OnCard()
	if total > card.Free {
		return "", fmt.Errorf("%s needs about %s of the device's memory, and %s: %s", about(c), host.Bytes(total), card,
			fitting(c, d, func(n Need) bool { return n.OnCard() <= card.Free }))
	}
	if total > near*card.Free {
		note = fmt.Sprintf("the run needs about %s of the device's memory, and %s; if that does not suffice, take a smaller batch%s",
			host.Bytes(total), card, orPieces(c))
	}
	return note, nil
}

// Smaller says what would fit where a device's memory did not suffice for a run,
// whatever was reckoned; nil is a device that does not tell how much it has.
func Smaller(c recipe.Config, d Data, card *Card) string {
	if card == nil {
		card = &Card{Total: anyMachine.Bytes}
	}
	d.Card = card
	need, err := Run(c, d)
	if err != nil {
		return ""
	}
	const less, fixed = 0.8, libraries + products // of what was too much
	limit := fixed + less*(min(need.OnCard(), card.Total)-fixed)
	return fitting(c, d, func(n Need) bool { return n.OnCard() <= limit })
}

// InferenceOn is Inference on a device; nil is the processor.
func InferenceOn(c recipe.Config, card *Card) error {
	if card == nil {
		return Inference(c)
	}
	v, err := ofBranch(c, 0)
	if err != nil {
		return err
	}
	l := card.lent(c.Precision, v.config, model.Head{Widths: "2"}, nil, c.Batch)
	values := float64(c.Batch)
	for _, s := range v.input.Shape {
		values *= float64(s)
	}
	need := libraries + products + float*(v.encoder+values) + 2*float*l.Target
	if need > card.Free {
		return fmt.Errorf("%s with batch %d needs about %s of the device's memory, and %s; take a smaller batch",
			describe(c, 0), c.Batch, host.Bytes(need), card)
	}
	return nil
}
