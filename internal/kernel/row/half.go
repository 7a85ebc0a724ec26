package row

import (
	"unsafe"

	"vicreg/internal/kernel/shape"
)

// Passes over rows of which some are bfloat16. Arithmetic is that of float32; what goes to
// bfloat16 is rounded once, when it is stored. The fast variants take whole vectors of
// channels, and the twins in half_plain.go what is left, and whatever mixes types as no
// fast variant does.

// vectors has fast do channels from number i on, as many as it says that it did, until none
// are left that it can do, and returns how many it did.
func vectors(c int, fast func(i int) int) (done int) {
	for done < c {
		n := fast(done)
		if n == 0 {
			break
		}
		done += n
	}
	return done
}

// AffineTo is Affine for values of both types: dst = max(lo, src·scale + shift).
func AffineTo(dst shape.Values, ds int, src shape.Values, ss, rows, c int, scale, shift []float32, lo float32) {
	switch {
	case rows == 0:
	case !dst.Half() && !src.Half():
		Affine(dst.F, ds, src.F, ss, rows, c, scale, shift, lo)
	default:
		done := vectors(c, func(i int) int {
			return affineHalves(dst.From(i), ds, src.From(i), ss, rows, c-i, scale[i:], shift[i:], lo)
		})
		affineValues(dst, ds, src, ss, rows, done, c, scale, shift, lo)
	}
}

// GradTo is Grad for values of both types: dst = a·d + b·y + k.
func GradTo(dst shape.Values, ds int, d, y shape.Values, ss, rows, c int, a, b, k []float32) {
	switch {
	case rows == 0:
	case !dst.Half() && !d.Half() && !y.Half():
		Grad(dst.F, ds, d.F, y.F, ss, rows, c, a, b, k)
	case !dst.Half() && !d.Half() && ds == ss && !dst.Same(d): // y fits where the result goes
		CopyTo(dst, ds, y, ss, rows, c)
		Grad(dst.F, ds, d.F, dst.F, ss, rows, c, a, b, k)
	default:
		done := vectors(c, func(i int) int {
			return gradHalves(dst.From(i), ds, d.From(i), y.From(i), ss, rows, c-i, a[i:], b[i:], k[i:])
		})
		gradValues(dst, ds, d, y, ss, rows, done, c, a, b, k)
	}
}

// CopyTo copies rows of c channels, and converts them.
func CopyTo(dst shape.Values, ds int, src shape.Values, ss, rows, c int) {
	if rows > 1 && ds == c && ss == c {
		c, rows = c*rows, 1
	}
	switch {
	case rows == 0:
	case !dst.Half() && !src.Half():
		Copy(dst.F, ds, src.F, ss, rows, c)
	case dst.Half() && src.Half():
		for r := range rows {
			copy(dst.H[r*ds:][:c], src.H[r*ss:])
		}
	default:
		done := vectors(c, func(i int) int { return convertHalves(dst.From(i), ds, src.From(i), ss, rows, c-i) })
		for r := range rows {
			for i := done; i < c; i++ {
				dst.Set(r*ds+i, src.At(r*ss+i))
			}
		}
	}
}

// Joining is how Join reads its operands: max(loA, a·as + at), and b likewise.
type Joining struct {
	AS, AT, BS, BT []float32
	LoA, LoB, Lo   float32
}

// JoinTo is Join for values of both types, and for rows with gaps:
// dst = max(lo, max(loA, a·as + at) + max(loB, b·bs + bt)).
func JoinTo(dst shape.Values, ds int, a shape.Values, sa int, b shape.Values, sb, rows, c int, j *Joining,
	stream bool) {
	switch {
	case rows == 0:
	case dst.Half() || a.Half() || b.Half():
		done := vectors(c, func(i int) int {
			part := *j
			part.AS, part.AT, part.BS, part.BT = j.AS[i:], j.AT[i:], j.BS[i:], j.BT[i:]
			return joinHalves(dst.From(i), ds, a.From(i), sa, b.From(i), sb, rows, c-i, &part)
		})
		joinValues(dst, ds, a, sa, b, sb, rows, done, c, j)
	case ds == c && sa == c && sb == c:
		Join(dst.F, a.F, b.F, rows, c, j.AS, j.AT, j.BS, j.BT, j.Lo, j.LoA, j.LoB, stream)
	default:
		for r := range rows {
			Join(dst.F[r*ds:], a.F[r*sa:], b.F[r*sb:], 1, c, j.AS, j.AT, j.BS, j.BT, j.Lo, j.LoA, j.LoB, stream)
		}
	}
}

// Store writes rows of products, c channels and ps apart, to y[off:], stride apart, unless
// they are there already. Unless a is nil, it adds Σ y and Σ y² of what was stored to a and b; part holds 2·c elements.
func Store(y shape.Values, off, stride int, prod []float32, ps, rows, c int, a, b []float64, part []float32) {
	to := y.From(off)
	if a == nil || !y.Half() {
		if from := shape.Floats(prod); !from.Same(to) {
			CopyTo(to, stride, from, ps, rows, c)
		}
		if a != nil {
			AddSums(a, b, to.F, stride, rows, c, part)
		}
		return
	}
	clear(part[:2*c])
	for r := 0; r < rows; r += SumBlock {
		n := min(SumBlock, rows-r)
		done := vectors(c, func(i int) int {
			return storeHalves(to.H[r*stride+i:], stride, prod[r*ps+i:], ps, n, c-i, part[i:c], part[c+i:2*c])
		})
		storeValues(to.H[r*stride:], stride, prod[r*ps:], ps, n, done, c, part[:c], part[c:2*c])
		AddWide(a[:c], part[:c])
		AddWide(b[:c], part[c:2*c])
	}
}

// PairHalves makes (rows+1)/2 rows of pairs, ds apart, of rows of c values, ss apart. A
// pair is a value and the one below it, or zero below the last row.
func PairHalves(dst []float32, ds int, src []uint16, ss, rows, c int) {
	if rows == 0 {
		return
	}
	done := 0
	if pairs := rows / 2; pairs > 0 {
		done = vectors(c, func(i int) int { return pairHalvesFast(dst[i:], ds, src[i:], ss, pairs, c-i) })
	}
	pairValues(dst, ds, src, ss, rows, done, c)
}

// Ones and zeros of bfloat16, as Ones and Zeros.
var halfOnes, halfZeros []uint16

// finishHalf is the end of [Finisher.StoreColumns] where all but the products is bfloat16.
func (f *Finisher) finishHalf(args *finishArgs) {
	done := finishHalves(args)
	finishHalfPlain(args, done)
}

// storeHalf is StoreColumns for a gradient of bfloat16.
func (f *Finisher) storeHalf(to shape.Values, off, stride int, prod []float32, ps, rows, col, c int, a, b []float64,
	part []float32) {
	last := off + (rows-1)*stride + c - 1
	args := finishArgs{
		ds: stride, prod: &Zeros[0], add: first(halfZeros), mask: first(halfOnes), dot: first(halfZeros),
		scale: &f.scale[col], shift: &f.shift[col], sum: &part[0], sumDot: &part[c], c: c,
	}
	if prod != nil {
		_ = prod[(rows-1)*ps+c-1]
		args.ps = ps
	}
	add, mask, dot := f.Add.H, f.Mask.X.H, f.Dot.H
	if add != nil {
		_ = add[last]
		args.as = stride
	}
	if mask != nil {
		_ = mask[last]
		args.ms = stride
	}
	if f.Sums != nil {
		_ = dot[last]
		args.dots = stride
	}
	_ = to.H[last]
	for r := 0; r < rows; r += SumBlock {
		o := off + r*stride
		args.rows = min(SumBlock, rows-r)
		if args.dst = first(to.H[o:]); f.SumsOnly {
			args.dst, args.ds = &part[2*c], 0
		}
		if prod != nil {
			args.prod = &prod[r*ps]
		}
		if add != nil {
			args.add = first(add[o:])
		}
		if mask != nil {
			args.mask = first(mask[o:])
		}
		if f.Sums != nil {
			args.dot = first(dot[o:])
		}
		f.finishHalf(&args)
		if f.Sums != nil {
			AddWide(a[col:col+c], part[:c])
			AddWide(b[col:col+c], part[c:2*c])
		}
	}
}

// first returns the place of the first of some values, as finishArgs has it.
func first(h []uint16) *float32 { return (*float32)(unsafe.Pointer(&h[0])) }

// mixed says that operands of f are of another type than the gradient.
func (f *Finisher) mixed(to shape.Values) bool {
	for _, v := range []shape.Values{f.Add, f.Mask.X, f.Dot} {
		if !v.None() && v.Half() != to.Half() {
			return true
		}
	}
	return false
}

// Halves returns memory of n floats as that of values of bfloat16, twice as many.
func Halves(x []float32) []uint16 {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Pointer(&x[0])), 2*len(x))
}

// Pairs returns values of bfloat16, an even number, as pairs of neighbours.
func Pairs(h []uint16) []float32 {
	if len(h) < 2 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&h[0])), len(h)/2)
}
