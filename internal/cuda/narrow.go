package cuda

import (
	"vicreg/internal/device"
)

// Convolutions of few channels are slow in bfloat16: libraries want eight at least. So an
// image's channels are filled up with zeros to eight; and where the stride is 2, blocks of
// 2 × 2 pixels become the channels, which makes of ResNet's 7 × 7 convolution with stride
// 2 a 4 × 4 one with stride 1 and 16 channels (12, filled up).

type narrowParams struct {
	src        source
	to         arr
	n, h, w, c uint32
	hw, ww, cw uint32
	b, off     uint32
	_          uint32
}

type narrowWeightsParams struct {
	wide, narrow              arr
	r, c, k, rw, cw, b, shift uint32
	stored                    uint32
}

var (
	narrowSource      = declare[narrowParams]("narrow", "narrow_source", 0)
	narrowThree       = declare[narrowParams]("narrow", "narrow_three", 0)
	narrowWeights     = declare[narrowWeightsParams]("narrow", "narrow_weights", 0)
	narrowWeightsBack = declare[narrowWeightsParams]("narrow", "narrow_weights_back", 0)
)

// widened is a convolution of few channels as one of more.
type widened struct {
	conv       device.Conv // of the wide image, without padding
	b          int         // pixels of a block, each way
	off, shift int         // of rows and columns, of taps
}

// isNarrow says that a convolution of products of a type has too few channels.
func isNarrow(s device.Conv, t device.Type) bool {
	return t == device.BFloat16 && s.C < 8 && s.R == s.S && s.Stride <= 2 && !s.Sequence
}

// widen returns the wide form of s.
//
// Row b·o − pad + r of the image meets tap r for output o. The wide form takes rows in
// blocks of b, the first at row b·o − off where off is pad rounded up to whole blocks, so
// that tap a of b rows is taps b·a − shift and on, with shift = off − pad.
func widen(s device.Conv) widened {
	b := s.Stride
	off := (s.Pad + b - 1) / b * b
	shift := off - s.Pad
	taps := (s.R + shift + b - 1) / b
	w := widened{b: b, off: off, shift: shift, conv: s}
	w.conv.R, w.conv.S, w.conv.Stride, w.conv.Pad = taps, taps, 1, 0
	w.conv.C = (b*b*s.C + 7) / 8 * 8
	w.conv.H, w.conv.W = s.OutH()+taps-1, s.OutW()+taps-1
	return w
}

// windows returns the wide convolution as one whose filter has a single column: what one of
// its rows reads lies side by side in the wide image, and is the channels of a pixel that
// overlaps the next.
func (w widened) windows() device.Conv {
	s := w.conv
	s.C, s.S = s.C*s.S, 1
	return s
}

// readNarrow returns where the wide image is.
func (d *Device) readNarrow(src device.Source, s device.Conv, w widened, t device.Type) uintptr {
	n := w.conv.InLen()
	to := device.At(d.room(forSource, n*t.Size()), t, n)
	k, threads := narrowSource, n/8
	if s.C == 3 && w.b == 2 && s.W%2 == 0 && plain(src) && src.X.Addr()%16 == 0 && n/w.conv.C < 1<<30 {
		k, threads = narrowThree, n/w.conv.C
	}
	k.launch(d, d.grid1(threads, 256), 256, 0, narrowParams{src: d.source(src), to: d.arr(to),
		n: uint32(s.N), h: uint32(s.H), w: uint32(s.W), c: uint32(s.C),
		hw: uint32(w.conv.H), ww: uint32(w.conv.W), cw: uint32(w.conv.C), b: uint32(w.b), off: uint32(w.off)})
	return to.Addr()
}

func (d *Device) narrowWeights(wide, narrow device.Array, s device.Conv, w widened) narrowWeightsParams {
	return narrowWeightsParams{wide: d.arr(wide), narrow: d.arr(narrow), r: uint32(s.R), c: uint32(s.C), k: uint32(s.K),
		rw: uint32(w.conv.R), cw: uint32(w.conv.C), b: uint32(w.b), shift: uint32(w.shift)}
}

// forwardNarrow is forward for few channels.
func (d *Device) forwardNarrow(y device.Array, s device.Conv, src device.Source, w device.Array, t device.Type) {
	wide := widen(s)
	to, done := d.product(y, t)
	d.convolve(Convolution{Kind: Forward, Shape: wide.conv, Type: t, X: d.readNarrow(src, s, wide, t),
		W: d.weight(w, s, filled, t), Y: to})
	done()
}

// weightGradNarrow is weightGrad for few channels.
func (d *Device) weightGradNarrow(dw device.Array, s device.Conv, dy uintptr, src device.Source, t device.Type) {
	wide := widen(s)
	n := wide.conv.WeightLen()
	to := device.At(d.room(forProduct, n*t.Size()), t, n)
	d.convolve(Convolution{Kind: WeightGrad, Shape: wide.conv, Type: t, X: d.readNarrow(src, s, wide, t), Y: dy,
		W: to.Addr()})
	narrowWeightsBack.launch(d, d.grid1(n, 256), 256, 0, d.narrowWeights(to, dw, s, wide))
}
