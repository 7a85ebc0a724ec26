package pretrained

import (
	"fmt"

	"vicreg/internal/device"
	"vicreg/internal/host"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// On returns the model on a device: itself where it is there. Each device has one, which
// is kept.
func (m *Model) On(d device.Device) (on *Model, err error) {
	if d == nil {
		d = device.Local
	}
	if at := model.DeviceOf(m.Encoder); at == d || at.Shared() && d.Shared() {
		return m, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if there := m.on[d]; there != nil {
		return there, nil
	}
	defer device.Catch(&err)
	c := &Model{Meta: m.Meta, Path: m.Path, Notes: m.Notes, norm: m.norm}
	if c.Encoder, err = model.New(m.Meta.Encoder, nil); err != nil {
		return nil, err
	}
	if c.Expander, err = m.newExpander(c.Encoder.Dim()); err != nil {
		return nil, err
	}
	from := parts(m.Encoder, m.Expander)
	for i, to := range parts(c.Encoder, c.Expander) {
		values := arrays(from[i])
		for k, p := range arrays(to) {
			p.Freeze()
			p.To(d)
			p.Set(values[k].Read())
		}
	}
	c.engine = newEngine(nn.NewArena(d))
	if m.on == nil {
		m.on = map[device.Device]*Model{}
	}
	m.on[d] = c
	return c, nil
}

// bring takes an encoder, and a head unless that is nil, for inference to a device. What
// it returns gives that memory back, and that of an arena (or nil) that lends for them.
func bring(e model.Encoder, head *model.Expander, arena *nn.Arena, d device.Device) (free func(), err error) {
	defer device.Catch(&err)
	if model.DeviceOf(e) == d {
		return func() {}, nil
	}
	var all []*nn.Param
	for _, p := range parts(e, head) {
		all = append(all, arrays(p)...)
	}
	for _, p := range all {
		p.Freeze()
		p.To(d)
	}
	return func() {
		var err error // the device has failed: who uses it next is told
		defer device.Catch(&err)
		for _, p := range all {
			p.Free()
		}
		if arena != nil && arena.Lent() == 0 { // else something was broken off
			arena.Close()
		}
	}, nil
}

// fitsDevice is fitsMemory on a device, whose activations are of float32 at the most.
func (m *Model) fitsDevice(d device.Device, n int, lent model.Lent) error {
	s, ok := d.(device.Sized)
	if !ok {
		return nil
	}
	free, total := s.Room()
	input := m.Meta.Encoder.Input
	// Beside the activations: the batches that are ready, and the largest two of the
	// activations as products read and write them.
	need := 4 * (2*lent.Target + lent.Aside + waiting*float64(n)*float64(tensor.Count(input.Shape)))
	if need <= float64(free) {
		return nil
	}
	return fmt.Errorf("%s: embedding %d of its %s, %v values each, takes about %s of the memory of %s, of whose %s %s are free; take a smaller batch",
		m.Path, n, input.Kind, input.Shape, host.Bytes(need), d.Name(), host.Bytes(float64(total)),
		host.Bytes(float64(free)))
}
