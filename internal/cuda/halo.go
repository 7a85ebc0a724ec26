package cuda

import "vicreg/internal/device"

// Convolutions of 3 × 3 with stride 1 by own kernels, a block of which brings an area of pixels
// with its border into shared memory once for all positions of the filter.

// haloForm is a kernel for areas of up to rows pixels.
type haloForm struct {
	rows, threads  int
	forward, infer kernel[haloForwardParams]
	inputGrad      kernel[haloInputGradParams]
}

const (
	haloColumns = 64  // that a block computes
	haloPixels  = 349 // of an area with its border, at most
	haloShared  = haloPixels*(2*128+4) + 3*haloColumns*128
)

func newHalo(name string, rows, threads int) haloForm {
	return haloForm{rows, threads,
		declare[haloForwardParams]("halo", "halo_forward_"+name, haloShared),
		declare[haloForwardParams]("halo", "halo_infer_"+name, haloShared),
		declare[haloInputGradParams]("halo", "halo_input_grad_"+name, haloShared)}
}

var (
	haloForms = []haloForm{
		newHalo("256x64", 256, 128),
		newHalo("224x64", 224, 128),
		newHalo("128x64", 128, 128),
	}
	haloNames = []string{"halo256x64", "halo224x64", "halo128x64"}
)

// areaParams is Area of halo.h.
type areaParams struct{ images, rows, cols, pitch, tall, pixels, down, across uint32 }

type haloForwardParams struct {
	p    forwardParams
	area areaParams
}

type haloInputGradParams struct {
	p    inputGradParams
	area areaParams
}

// halo returns the form that computes a convolution, or nil.
func (d *Device) halo(k Kind, s device.Conv) *haloForm {
	if s.R != 3 || s.S != 3 || s.Stride != 1 || s.Pad != 1 || s.PadW() != 1 || s.C%64 != 0 || s.K%64 != 0 {
		return nil
	}
	name := d.chosen(k, s)
	for i, n := range haloNames {
		if n == name {
			return &haloForms[i]
		}
	}
	return nil
}

// areaKey is what an area depends on.
type areaKey struct{ rows, n, h, w int }

// area returns the areas of up to so many pixels that images are cut into, and how many there
// are. It depends on the shape alone, since sums are added by areas.
func (d *Device) area(rows int, s device.Conv) (areaParams, int) {
	key := areaKey{rows, s.N, s.H, s.W}
	a, ok := d.fused.areas[key]
	if !ok {
		a = areaOf(rows, s.N, s.H, s.W)
		if d.fused.areas == nil {
			d.fused.areas = map[areaKey]areaParams{}
		}
		d.fused.areas[key] = a
	}
	return a, ceil(s.N, int(a.images)) * int(a.down*a.across)
}

// areaOf returns the cheapest area for images: rows of a product that stand for no pixel cost as
// much as others, and each pixel with those of the border must be brought and converted.
func areaOf(product, n, h, w int) (best areaParams) {
	least := 0
	for cols := 1; cols <= min(w, product); cols++ {
		for rows := 1; rows <= min(h, product/cols); rows++ {
			for images := 1; images <= min(n, product/(rows*cols)); images++ {
				pitch, tall, pixels := cols+2, rows+2, 0
				if cols == w {
					pitch, pixels = cols+1, 1 // the border at the end of the last row
				}
				if rows == h {
					tall, pixels = rows+1, pixels+pitch
				}
				if pixels += images * tall * pitch; pixels > haloPixels {
					break
				}
				down, across := ceil(h, rows), ceil(w, cols)
				cost := ceil(n, images) * down * across * (8*product + pixels)
				if cols%8 != 0 { // eight pixels that are read at once may share banks
					cost += cost / 32
				}
				if best.images == 0 || cost < least {
					least = cost
					best = areaParams{images: uint32(images), rows: uint32(rows), cols: uint32(cols),
						pitch: uint32(pitch), tall: uint32(tall), pixels: uint32(pixels),
						down: uint32(down), across: uint32(across)}
				}
			}
		}
	}
	return best
}

// haloForward is fusedForward by a form.
func (d *Device) haloForward(h *haloForm, y device.Array, s device.Conv, src device.Source, w device.Array,
	sums device.Sums, t *device.Tail) bool {
	values := [...]device.Array{y, src.X, {}}
	if t != nil {
		values[2] = t.Add
	}
	if !fits(s, values[:], src.Scale, src.Shift) || t != nil && !wide(8, t.Scale, t.Shift) {
		return false
	}
	area, areas := d.area(h.rows, s)
	p := forwardParams{x: d.source(src), w: uint64(d.weight(w, s, asStored, device.BFloat16)), y: d.addr(y),
		partials: d.fusedPartials(sums, areas, s.K), pitch: uint32(s.C), shape: shapeOf(s, y.Len()/s.K)}
	k := h.forward
	if t != nil {
		k = h.infer
		p.scale, p.shift, p.add = d.f32(t.Scale), d.f32(t.Shift), d.addr(t.Add)
		if t.ReLU {
			p.relu = 1
		}
	}
	k.launch(d, [3]int{areas * s.K / haloColumns, 1, 1}, h.threads, haloShared, haloForwardParams{p, area})
	d.fold(p.partials, sums, areas, s.K)
	return true
}

// haloInputGrad is fusedInputGrad by a form.
func (d *Device) haloInputGrad(h *haloForm, dx device.Array, s device.Conv, g device.Grad, w device.Array,
	f device.Finish) bool {
	values := [...]device.Array{dx, g.D, g.Y, f.Add, f.Mask.X, f.Dot}
	if dx.Same(g.D) || !fits(s, values[:], g.A, g.B, g.K, f.Mask.Scale, f.Mask.Shift) {
		return false
	}
	area, areas := d.area(h.rows, s)
	p := inputGradParams{g: d.grad(g), w: uint64(d.weight(w, s, asStored, device.BFloat16)), dx: d.addr(dx),
		add: d.addr(f.Add), mask: d.source(f.Mask), dot: d.addr(f.Dot),
		partials: d.fusedPartials(f.Sums, areas, s.C), shape: shapeOf(s, dx.Len()/s.C)}
	h.inputGrad.launch(d, [3]int{areas * s.C / haloColumns, 1, 1}, h.threads, haloShared, haloInputGradParams{p, area})
	d.fold(p.partials, f.Sums, areas, s.C)
	return true
}
