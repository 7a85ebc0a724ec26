package row

import (
	"math"
	"unsafe"

	"vicreg/internal/kernel/shape"
)

// The plain twins of passes over rows of which some are bfloat16, for channels [from, c).

func affineValues(dst shape.Values, ds int, src shape.Values, ss, rows, from, c int, scale, shift []float32,
	lo float32) {
	if from == c {
		return
	}
	for r := range rows {
		for i := from; i < c; i++ {
			dst.Set(r*ds+i, max(lo, src.At(r*ss+i)*scale[i]+shift[i]))
		}
	}
}

func gradValues(dst shape.Values, ds int, d, y shape.Values, ss, rows, from, c int, a, b, k []float32) {
	if from == c {
		return
	}
	for r := range rows {
		for i := from; i < c; i++ {
			dst.Set(r*ds+i, a[i]*d.At(r*ss+i)+b[i]*y.At(r*ss+i)+k[i])
		}
	}
}

func joinValues(dst shape.Values, ds int, a shape.Values, sa int, b shape.Values, sb, rows, from, c int, j *Joining) {
	if from == c {
		return
	}
	for r := range rows {
		for i := from; i < c; i++ {
			dst.Set(r*ds+i, max(j.Lo, max(j.LoA, a.At(r*sa+i)*j.AS[i]+j.AT[i])+
				max(j.LoB, b.At(r*sb+i)*j.BS[i]+j.BT[i])))
		}
	}
}

// storeValues: dst = prod, sum += Σ dst, square += Σ dst².
func storeValues(dst []uint16, ds int, prod []float32, ps, rows, from, c int, sum, square []float32) {
	if from == c {
		return
	}
	for r := range rows {
		for i := from; i < c; i++ {
			h := shape.Narrow(prod[r*ps+i])
			v := shape.Widen(h)
			dst[r*ds+i] = h
			sum[i] += v
			square[i] += v * v
		}
	}
}

// pairValues makes the pairs of channels from number from on, and of a last row that has
// none below it all.
func pairValues(dst []float32, ds int, src []uint16, ss, rows, from, c int) {
	for r := 0; r < rows; r += 2 {
		if r+1 == rows {
			from = 0
		}
		for i := from; i < c; i++ {
			pair := uint32(src[r*ss+i])
			if r+1 < rows {
				pair |= uint32(src[(r+1)*ss+i]) << 16
			}
			dst[r/2*ds+i] = math.Float32frombits(pair)
		}
	}
}

// finishHalfPlain: d = prod + add, or 0 where mask·scale + shift ≤ 0; dst = d;
// sum += dst; sumDot += dst·dot.
func finishHalfPlain(f *finishArgs, from int) {
	c := f.c
	if from == c {
		return
	}
	scale, shift := span(f.scale, c), span(f.shift, c)
	sum, sumDot := span(f.sum, c), span(f.sumDot, c)
	for r := range f.rows {
		prod := row(f.prod, r*f.ps, c)
		dst, add := halves(f.dst, r*f.ds, c), halves(f.add, r*f.as, c)
		mask, dot := halves(f.mask, r*f.ms, c), halves(f.dot, r*f.dots, c)
		for i := from; i < c; i++ {
			d := prod[i] + shape.Widen(add[i])
			if shape.Widen(mask[i])*scale[i]+shift[i] <= 0 {
				d = 0
			}
			dst[i] = shape.Narrow(d)
			d = shape.Widen(dst[i])
			sum[i] += d
			sumDot[i] += d * shape.Widen(dot[i])
		}
	}
}

// halves returns the c values that begin off values after p.
func halves(p *float32, off, c int) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(p), off*2)), c)
}

// storeMixed is StoreColumns for operands of both types.
func (f *Finisher) storeMixed(to shape.Values, off, stride int, prod []float32, ps, rows, col, c int, a, b []float64) {
	for r := range rows {
		for i := range c {
			o := off + r*stride + i
			var d float32
			if prod != nil {
				d = prod[r*ps+i]
			}
			if !f.Add.None() {
				d += f.Add.At(o)
			}
			if !f.Mask.X.None() && f.Mask.X.At(o)*f.scale[col+i]+f.shift[col+i] <= 0 {
				d = 0
			}
			if to.Half() {
				d = shape.Widen(shape.Narrow(d))
			}
			if !f.SumsOnly {
				to.Set(o, d)
			}
			if f.Sums != nil {
				a[col+i] += float64(d)
				b[col+i] += float64(d) * float64(f.Dot.At(o))
			}
		}
	}
}

// poolMaxValues is the definition of PoolMax, for channels from number from on:
//
//	v(t) = max(lo, x[off[t]+i]·scale[i] + shift[i])
//	dst[i], arg[i] = v(t), tap[t] of the first greatest v(t), or the last NaN
func poolMaxValues(dst shape.Values, arg []uint8, in *Reader, off []int64, tap []int32, from int) {
	for i := from; i < dst.Len(); i++ {
		var best float32
		for t, o := range off {
			v := max(in.Lo, in.X.At(int(o)+i)*in.Scale[i]+in.Coef[i])
			if t == 0 || v > best || math.IsNaN(float64(v)) {
				best, arg[i] = v, uint8(tap[t])
			}
		}
		dst.Set(i, best)
	}
}

// poolGradValues is the definition of PoolGrad, for channels from number from on:
//
//	dst[i] = Σ d[off[t]+i] where arg[off[t]+i] = tap[t]
func poolGradValues(dst []float32, d shape.Values, arg []uint8, off []int64, tap []int32, from int) {
	for i := from; i < len(dst); i++ {
		var sum float32
		for t, o := range off {
			if int32(arg[int(o)+i]) == tap[t] {
				sum += d.At(int(o) + i)
			}
		}
		dst[i] = sum
	}
}
