package cuda

import (
	"fmt"
	"strings"

	"vicreg/internal/device"
)

// fused is what the own kernels of convolutions need.
type fused struct {
	forced    [3]string        // a form's name for each kind, "library", or "": as the table says
	apart     bool             // gradients are computed one after the other, even where both fit in one kernel
	foldAbove int              // pieces; tests change it
	blocks    int              // of a gradient of weights; 0: as many as keep a card busy
	preferred map[layer]string // see Prefer
}

// layer is what the choice of a form depends on.
type layer struct {
	kind               string
	size, stride, c, k int
}

// blocksOr returns how many blocks a gradient of weights is to have.
func (f *fused) blocksOr(n int) int {
	if f.blocks > 0 {
		return f.blocks
	}
	return n
}

// Forms returns the names of the own kernels of a kind that the card can run.
func (d *Device) Forms(k Kind) (names []string) {
	for i := range count(k) {
		if f := formOf(k, i); d.hopper() || !f.hopper {
			names = append(names, f.name())
		}
	}
	return names
}

// Force has all convolutions of a kind computed by the form of this name where it can, by
// the libraries if it is "library", or again as the card does best if it is "". It is for
// tests and measurements: another form sums in another order.
func (d *Device) Force(k Kind, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fused.forced[k] = name
}

// Prefer has convolutions computed as a table says, for measurements. A line has a kind
// (forward, input-gradient, weight-gradient), the filter's size, stride, channels in and out,
// and the name of a form.
func (d *Device) Prefer(table string) error {
	preferred := map[layer]string{}
	for line := range strings.Lines(table) {
		var l layer
		var name string
		if _, err := fmt.Sscan(line, &l.kind, &l.size, &l.stride, &l.c, &l.k, &name); err != nil {
			return fmt.Errorf("line %q of the table of forms: %w", strings.TrimSpace(line), err)
		}
		preferred[l] = name
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fused.preferred = preferred
	return nil
}

// Apart has the two gradients of a convolution computed by kernels of their own, or again by
// one where there is one. It is for tests and measurements.
func (d *Device) Apart(apart bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fused.apart = apart
}

// together says whether one kernel may compute both gradients.
func (d *Device) together() bool { return !d.fused.apart }

// name is the size of a form's tiles, with w where products are wgmma's and r for runs.
func (f *form) name() string {
	s := fmt.Sprintf("%dx%d", f.bm, f.bn)
	if f.hopper {
		s += "w"
	}
	if f.run {
		s += "r"
	}
	return s
}

func count(k Kind) int {
	return [...]int{len(forwardForms), len(inputGradForms), len(weightGradForms)}[k]
}

func formOf(k Kind, i int) *form {
	switch k {
	case Forward:
		return &forwardForms[i].form
	case InputGrad:
		return &inputGradForms[i].form
	}
	return &weightGradForms[i].form
}

// pick returns which form computes a convolution, or -1: the libraries do. It depends on
// the shape alone, so that a run which goes on later gets the same bits.
func (d *Device) pick(k Kind, s device.Conv) int {
	name := d.chosen(k, s)
	if !d.hopper() {
		name = strings.Replace(name, "w", "", 1)
	}
	return d.formNamed(k, name)
}

// formNamed returns the number of a form that the card can run, or -1.
func (d *Device) formNamed(k Kind, name string) int {
	for i := range count(k) {
		if f := formOf(k, i); f.name() == name && (d.hopper() || !f.hopper) {
			return i
		}
	}
	return -1
}

// chosen returns the name of the form that computes a convolution.
func (d *Device) chosen(k Kind, s device.Conv) string {
	name := d.fused.forced[k]
	if name == "" && d.fused.preferred != nil {
		name = d.fused.preferred[layer{strings.ReplaceAll(k.String(), " ", "-"), s.R, s.Stride, s.C, s.K}]
	}
	if name == "" {
		name = best(k, s)
	}
	if !d.hopper() {
		name = strings.Replace(name, "w", "", 1)
	}
	return name
}

// best is what measured best on an H100, for the convolutions of ResNet-50 in a batch of
// 256 (docs/performance.md); without wgmma, the form of the same size.
//
// Wide tiles read less, and small ones leave fewer channels unused. Where both numbers of
// channels are large, a product is bound by arithmetic, and there the libraries win even
// with passes of their own around it.
func best(k Kind, s device.Conv) string {
	large := s.C*s.K >= 512*1024
	switch {
	case s.R > 1 && s.S == 1 && !s.Sequence: // of few channels, see windows
		if k == Forward {
			return "128x64w"
		}
		return "256x64w"
	case s.R*s.S > 1:
		if k == Forward && s.Stride > 1 && max(s.C, s.K) <= 256 {
			return wider(s.K, "128x64w", "128x128w", "128x256w")
		}
		return "library"
	case k == Forward:
		if large && (max(s.C, s.K) > 1024 || s.Stride > 1 && s.C >= 1024) {
			return "library"
		}
		name := wider(min(s.C, s.K), "128x128w", "128x128w", "128x256w")
		if s.K <= 64 {
			name = "128x64w"
		}
		if pointwise(s) && s.C <= 64 { // a tile takes no longer than its start and its end
			name += "r"
		}
		return name
	case large:
		return "library"
	case k == InputGrad && pointwise(s) && s.K > 64 && s.K <= mostRunGrad && s.C >= 512:
		return "128x128r" // makes the gradient once for all its many channels
	case k == InputGrad && s.K <= 128:
		return "128x64w"
	case k == InputGrad:
		return wider(s.C, "128x64w", "128x128w", "128x256w")
	case s.C <= 64:
		return wider(s.K, "64x64w", "64x128w", "64x128w")
	case s.K <= 64:
		return "128x64w"
	}
	return wider(s.C, "", "128x128w", "256x128w")
}

// wider returns one of three by a number of channels.
func wider(c int, few, more, many string) string {
	switch {
	case c <= 64:
		return few
	case c <= 128:
		return more
	}
	return many
}
