package cuda

import "vicreg/internal/device"

// Convolutions of 3 × 3 with stride 1 by own kernels, a block of which brings pixels with their
// border into shared memory once for all positions of the filter: an area of images, or a piece
// of the line that all their rows make.

// haloForm is a kernel for so many pixels and columns of a product.
type haloForm struct {
	name            string // begins with halo, of areas, or with line
	rows, columns   int
	threads, shared int
	pixels          int // of a block with their border, at most
	line            bool
	short           bool // is for sums over 64 channels alone
	hopper          bool
	forward, infer  kernel[haloForwardParams]
	inputGrad       kernel[haloInputGradParams]
}

// made declares a form's kernels, which keep so many buffers of pixels and slots of weights.
func (f haloForm) made(buffers, slots int) haloForm {
	f.shared = f.pixels*(buffers*128+4) + slots*f.columns*128
	module, kind, size := "halo", f.name[:4], f.name[4:]
	if f.hopper {
		module = "halohopper"
	}
	f.forward = declare[haloForwardParams](module, kind+"_forward_"+size, f.shared)
	f.infer = declare[haloForwardParams](module, kind+"_infer_"+size, f.shared)
	f.inputGrad = declare[haloInputGradParams](module, kind+"_input_grad_"+size, f.shared)
	return f
}

// haloPixels is how many pixels an area has with its border, at most.
const haloPixels = 349

var haloForms = []haloForm{
	haloForm{name: "halo256x64", rows: 256, columns: 64, threads: 128, pixels: haloPixels}.made(2, 3),
	haloForm{name: "halo224x64", rows: 224, columns: 64, threads: 128, pixels: haloPixels}.made(2, 3),
	haloForm{name: "halo128x64", rows: 128, columns: 64, threads: 128, pixels: haloPixels}.made(2, 3),
	haloForm{name: "line192x64", rows: 192, columns: 64, threads: 128, pixels: 309, line: true, short: true}.made(2, 3),
	haloForm{name: "line256x128", rows: 256, columns: 128, threads: 256, pixels: 389, line: true}.made(3, 4),
	haloForm{name: "line192x64w", rows: 192, columns: 64, threads: 128, pixels: 309, line: true, short: true,
		hopper: true}.made(2, 3),
	haloForm{name: "line256x128w", rows: 256, columns: 128, threads: 256, pixels: 389, line: true,
		hopper: true}.made(3, 4),
}

// areaParams is Area of halo.h.
type areaParams struct{ images, rows, cols, down, across, pitch, tall, pixels uint32 }

type haloForwardParams struct {
	p    forwardParams
	area areaParams
}

type haloInputGradParams struct {
	p    inputGradParams
	area areaParams
}

// taps says that a convolution is one of those.
func taps(s device.Conv) bool {
	return s.R == 3 && s.S == 3 && s.Stride == 1 && s.Pad == 1 && s.PadW() == 1
}

// shortLine says that places of the line of all rows can be counted.
func shortLine(s device.Conv) bool { return int64(s.N)*int64(s.H+1)*int64(s.W+1) < 1<<31 }

// lineOf is what blocks of so many places of the line have in shared memory.
func lineOf(rows int, s device.Conv) areaParams {
	return areaParams{pitch: uint32(s.W + 1), tall: uint32(s.H + 1), pixels: uint32(rows + 2*s.W + 4)}
}

// halo returns the form that computes a convolution, or nil.
func (d *Device) halo(k Kind, s device.Conv) *haloForm {
	if !taps(s) {
		return nil
	}
	columns, depth := s.K, s.C
	if k == InputGrad {
		columns, depth = s.C, s.K
	}
	name := d.chosen(k, s)
	for i := range haloForms {
		f := &haloForms[i]
		if f.name == name && columns%f.columns == 0 && depth%64 == 0 && (depth == 64 || !f.short) &&
			(!f.line || f.rows+2*s.W+4 <= f.pixels && shortLine(s)) {
			return f
		}
	}
	return nil
}

// place returns the blocks' pixels for a form, and how many blocks there are. It depends on the
// shape alone, since sums are added by blocks.
func (d *Device) place(f *haloForm, s device.Conv) (areaParams, int) {
	if !f.line {
		return d.area(f.rows, s)
	}
	return lineOf(f.rows, s), ceil((s.N*(s.H+1)-2)*(s.W+1)+s.W, f.rows) // up to the last pixel
}

// areaKey is what an area depends on.
type areaKey struct{ rows, n, h, w int }

// area returns the areas of up to so many pixels that images are cut into, and how many there are.
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
	area, areas := d.place(h, s)
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
	k.launch(d, [3]int{areas * s.K / h.columns, 1, 1}, h.threads, h.shared, haloForwardParams{p, area})
	d.fold(p.partials, sums, areas, s.K)
	return true
}

// haloInputGrad is fusedInputGrad by a form.
func (d *Device) haloInputGrad(h *haloForm, dx device.Array, s device.Conv, g device.Grad, w device.Array,
	f device.Finish) bool {
	mask := f.Mask
	if !f.Signs.None() {
		mask = device.Source{} // is not read
	}
	values := [...]device.Array{dx, g.D, g.Y, f.Add, mask.X, f.Dot}
	if dx.Same(g.D) || !fits(s, values[:], g.A, g.B, g.K, mask.Scale, mask.Shift) {
		return false
	}
	area, areas := d.place(h, s)
	p := inputGradParams{g: d.grad(g), w: uint64(d.weight(w, s, asStored, device.BFloat16)), dx: d.addr(dx),
		add: d.addr(f.Add), mask: d.mask(f), dot: d.addr(f.Dot),
		partials: d.fusedPartials(f.Sums, areas, s.C), shape: shapeOf(s, dx.Len()/s.C)}
	h.inputGrad.launch(d, [3]int{areas * s.C / h.columns, 1, 1}, h.threads, h.shared, haloInputGradParams{p, area})
	d.fold(p.partials, f.Sums, areas, s.C)
	return true
}
