package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// fused is what the own kernels of convolutions need.
type fused struct {
	forced    [3]string // a form's name for each kind, "library", or "": as the table says
	foldAbove int       // pieces; tests change it
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

// name is the size of a form's tiles, with w where products are wgmma's.
func (f *form) name() string {
	s := fmt.Sprintf("%dx%d", f.bm, f.bn)
	if f.hopper {
		s += "w"
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
	name := d.fused.forced[k]
	if name == "" {
		name = best(k, s)
	}
	for i := range count(k) {
		if f := formOf(k, i); f.name() == name && (d.hopper() || !f.hopper) {
			return i
		}
	}
	return -1
}

// best is what measured best on an H100.
func best(k Kind, s device.Conv) string {
	switch {
	case s.R > 1 && s.S == 1 && !s.Sequence: // of few channels, see windows
		if k == Forward {
			return "128x64"
		}
		return "256x64"
	case s.R*s.S > 1:
		return "library"
	}
	switch k {
	case Forward:
		if s.K <= 64 {
			return "128x64"
		}
		return "128x128"
	case InputGrad:
		if s.C <= 64 {
			return "128x64"
		}
		return "128x128"
	}
	switch {
	case s.C <= 64 && s.K <= 64:
		return "64x64"
	case s.C <= 64:
		return "64x128"
	case s.K <= 64:
		return "128x64"
	}
	return "128x128"
}
