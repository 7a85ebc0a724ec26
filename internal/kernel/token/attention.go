package token

import (
	"fmt"
	"math"

	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Attention is the shape of multi-head self-attention (Vaswani et al. 2017, section 3.2)
// over sequences of any lengths, stored one after the other: sequence i is rows
// [Starts[i], Starts[i+1]). For each of its heads, where q, k and v are t × c/heads,
//
//	p = softmax(q·kᵀ/√(c/heads)),  o = p·v
//
// A row of qkv holds q of all heads, then k, then v, c elements each, as timm's attn.qkv
// gives them. There is no padding: positions that must not be attended to are left out
// of the sequence.
//
// With BF16 all five products multiply bfloat16, if c/heads is a multiple of 16; the
// softmax is float32.
type Attention struct {
	Starts    []int32
	C         int // width of all heads
	Heads     int
	Precision shape.Precision
}

// Rows returns the number of rows of all sequences.
func (s Attention) Rows() int { return int(s.Starts[len(s.Starts)-1]) }

// Flops counts the operations of forward.
func (s Attention) Flops() int {
	total := 0
	for i, from := range s.Starts[:len(s.Starts)-1] {
		t := int(s.Starts[i+1] - from)
		total += 4 * t * t * s.C
	}
	return total
}

func (s Attention) check(qkv, o, lse int) {
	if n := s.Rows(); s.C%s.Heads != 0 || qkv != 3*n*s.C || o != n*s.C || lse != n*s.Heads {
		panic(fmt.Sprintf("kernel: attention of %d rows of %d and %d heads meets %d, %d, %d elements in qkv, o, lse",
			s.Rows(), s.C, s.Heads, qkv, o, lse))
	}
}

// attentionRows is the most queries in a block: its scores then stay in the second-level
// cache.
const attentionRows = 112

// attention is the call under way. A piece is a head of a sequence.
var attention struct {
	Attention
	qkv, o, do, dqkv shape.Values
	lse              []float32
	half             bool // products of bfloat16
}

// longest returns the length of the longest sequence.
func (s Attention) longest() int {
	t := 0
	for i, from := range s.Starts[:len(s.Starts)-1] {
		t = max(t, int(s.Starts[i+1]-from))
	}
	return t
}

// AttentionForward writes o (rows × c). It also writes lse (rows × heads), the logarithm
// of each softmax's denominator, which the backward pass needs.
func AttentionForward(o shape.Values, lse []float32, s Attention, qkv shape.Values) {
	s.check(qkv.Len(), o.Len(), len(lse))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &attention
	j.Attention, j.qkv, j.o, j.lse = s, qkv, o, lse
	t, hd := s.longest(), s.C/s.Heads
	j.half = s.bf16()
	scratch.Reserve(scratch.Room(product.PackedLen(hd, t), product.PackedLen(t, hd), headRoom(t, hd),
		attentionRows*hd, attentionRows*scoreStride(t), attentionRows, attentionRows,
		headsRoom(qkv, t, 3*hd), headsRoom(o, attentionRows, hd)))
	parallel.For((len(s.Starts)-1)*s.Heads, attentionPiece)
	j.forget()
}

// AttentionGrad writes the gradient of qkv to dqkv, given that of o.
func AttentionGrad(dqkv shape.Values, s Attention, qkv, o, do shape.Values, lse []float32) {
	s.check(qkv.Len(), o.Len(), len(lse))
	s.check(dqkv.Len(), do.Len(), len(lse))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &attention
	j.Attention, j.qkv, j.o, j.lse, j.do, j.dqkv = s, qkv, o, lse, do, dqkv
	t, hd := s.longest(), s.C/s.Heads
	scores := attentionRows * scoreStride(t)
	j.half = s.bf16()
	scratch.Reserve(scratch.Room(product.PackedLen(hd, t), product.PackedLen(hd, t), product.PackedLen(t, hd),
		headRoom(t, hd), attentionRows*hd, scores,
		scores, scores, attentionRows, attentionRows,
		headsRoom(qkv, t, 3*hd), headsRoom(o, t, hd), headsRoom(do, t, hd), headsRoom(dqkv, t, 3*hd)))
	parallel.For((len(s.Starts)-1)*s.Heads, attentionGradPiece)
	j.forget()
}

func (s *Attention) forget() {
	j := &attention
	none := shape.Values{}
	j.Starts, j.qkv, j.o, j.lse, j.do, j.dqkv = nil, none, none, nil, none, none
}

// bf16 reports whether bfloat16 was asked for and the processor has it.
func (s Attention) bf16() bool {
	return s.Precision == shape.BF16 && shape.HasBF16() && s.C/s.Heads%16 == 0
}

// headRoom returns the memory that packing takes.
func headRoom(t, hd int) int { return max(product.PackedLen(hd, t), product.PackedLen(t, hd)) }

// packHead packs the right operand of a product; temp is room for it.
func packHead(dst, temp []float32, b product.Mat) {
	if attention.half {
		product.PackPairs(dst, temp, b)
	} else {
		product.PackB(dst, b)
	}
}

// leftHead returns rows of x (n elements each, stride apart) as the left operand of a
// product that sums over them. temp is room for a copy, and may be x.
func leftHead(temp, x []float32, stride, rows, n int) ([]float32, int) {
	if !attention.half {
		return x, stride
	}
	product.NarrowRows(temp, n, x, stride, rows, n)
	return temp, n
}

// headDepth returns how many elements n values take: half as many as pairs of bfloat16.
func headDepth(n int) int {
	if attention.half {
		return product.Half(n)
	}
	return n
}

// downHead adds aᵀ·b to c, or sets c to it. It sums over some rows of a (m wide, stride
// as) and of b (n wide, stride bs). Where a must be rounded it is overwritten; temp is
// room for b.
func downHead(m, n, rows int, c []float32, crs int, a []float32, as int, temp, b []float32, bs int, accumulate bool) {
	if !attention.half {
		product.BlockTN(m, n, rows, c, crs, a, as, b, bs, accumulate)
		return
	}
	product.PairRows(a, as, a, as, rows, as)
	product.PairRows(temp, n, b, bs, rows, n)
	product.Block(true, m, n, product.Half(rows), c, crs, a, 1, as, temp, n, accumulate)
}

// scoreStride returns the distance between rows of t scores: a whole number of panels,
// so that products need not stop short of an edge.
func scoreStride(t int) int { return scratch.RoundUp(t, scratch.LineFloats) }

// headsRoom returns the room that t rows of n elements of x take in float32, if they are not
// that already: each of q, k and v.
func headsRoom(x shape.Values, t, n int) int {
	if x.Half() {
		return t*n + 3*scratch.LineFloats
	}
	return 0
}

// headOf returns t rows of n elements of x, from element at on and stride apart, in
// float32, and their distance: themselves, or a copy if read is set, else room for one.
func headOf(m *scratch.Arena, x shape.Values, at, stride, t, n int, read bool) ([]float32, int) {
	if !x.Half() {
		return x.F[at:], stride
	}
	to := m.Take(t * n)
	if read {
		row.CopyTo(shape.Floats(to), n, x.From(at), stride, t, n)
	}
	return to, n
}

// putHead stores what headOf made room for.
func putHead(x shape.Values, at, stride, t, n int, from []float32) {
	if x.Half() {
		row.CopyTo(x.From(at), stride, shape.Floats(from), n, t, n)
	}
}

// head returns the place of a piece: its first row, length, first column and width.
func (s *Attention) head(piece int) (first, t, col, hd int) {
	i := piece / s.Heads
	first, hd = int(s.Starts[i]), s.C/s.Heads
	return first, int(s.Starts[i+1]) - first, piece % s.Heads * hd, hd
}

func attentionPiece(worker, piece int) {
	j := &attention
	first, t, col, hd := j.head(piece)
	if t == 0 {
		return
	}
	m := &scratch.Arenas[worker]
	m.Used = 0
	c3, ts := 3*j.C, scoreStride(t)
	at := first*c3 + col
	q, qs := headOf(m, j.qkv, at, c3, t, hd, true)
	k, _ := headOf(m, j.qkv, at+j.C, c3, t, hd, true)
	v, _ := headOf(m, j.qkv, at+2*j.C, c3, t, hd, true)
	kt, vp, temp := m.Take(product.PackedLen(hd, t)), m.Take(product.PackedLen(t, hd)), m.Take(headRoom(t, hd))
	packHead(kt, temp, product.Mat{Data: k, Rows: t, Cols: hd, Stride: qs, Trans: true})
	packHead(vp, temp, product.Mat{Data: v, Rows: t, Cols: hd, Stride: qs})
	near := m.Take(attentionRows * hd)
	scores, peak, sum := m.Take(attentionRows*ts), m.Take(attentionRows), m.Take(attentionRows)
	factor := float32(1 / math.Sqrt(float64(hd)))
	step := product.Share(t, attentionRows)
	mark := m.Used
	for i := 0; i < t; i += step {
		m.Used = mark
		rows := min(step, t-i)
		a, stride := leftHead(near, q[i*qs:], qs, rows, hd)
		product.Block(j.half, rows, ts, headDepth(hd), scores, ts, a, stride, 1, kt, 0, false)
		softmaxRows(scores, ts, rows, t, factor, peak, sum)
		to := (first+i)*j.C + col
		o, os := headOf(m, j.o, to, j.C, rows, hd, false)
		a, stride = leftHead(scores, scores, ts, rows, ts)
		product.Block(j.half, rows, hd, headDepth(t), o, os, a, stride, 1, vp, 0, false)
		for r := range rows {
			row.Scale(o[r*os:][:hd], 1/sum[r])
			j.lse[(first+i+r)*j.Heads+col/hd] = factor*peak[r] + float32(math.Log(float64(sum[r])))
		}
		putHead(j.o, to, j.C, rows, hd, o)
	}
}

// attentionGradPiece computes the probabilities again from the scores. With dp = do·vᵀ:
//
//	dv = pᵀ·do
//	ds = p·(dp − Σ do·o)/√(c/heads)
//	dq = ds·k, dk = dsᵀ·q
func attentionGradPiece(worker, piece int) {
	j := &attention
	first, t, col, hd := j.head(piece)
	if t == 0 {
		return
	}
	m := &scratch.Arenas[worker]
	m.Used = 0
	c3, ts := 3*j.C, scoreStride(t)
	at, to := first*c3+col, first*j.C+col
	q, qs := headOf(m, j.qkv, at, c3, t, hd, true)
	k, _ := headOf(m, j.qkv, at+j.C, c3, t, hd, true)
	v, _ := headOf(m, j.qkv, at+2*j.C, c3, t, hd, true)
	dq, ds3 := headOf(m, j.dqkv, at, c3, t, hd, false)
	dk, _ := headOf(m, j.dqkv, at+j.C, c3, t, hd, false)
	dv, _ := headOf(m, j.dqkv, at+2*j.C, c3, t, hd, false)
	o, os := headOf(m, j.o, to, j.C, t, hd, true)
	do, dos := headOf(m, j.do, to, j.C, t, hd, true)
	kt, vt, kp := m.Take(product.PackedLen(hd, t)), m.Take(product.PackedLen(hd, t)), m.Take(product.PackedLen(t, hd))
	temp := m.Take(headRoom(t, hd))
	packHead(kt, temp, product.Mat{Data: k, Rows: t, Cols: hd, Stride: qs, Trans: true})
	packHead(vt, temp, product.Mat{Data: v, Rows: t, Cols: hd, Stride: qs, Trans: true})
	packHead(kp, temp, product.Mat{Data: k, Rows: t, Cols: hd, Stride: qs})
	near := m.Take(attentionRows * hd)
	p, ds, left := m.Take(attentionRows*ts), m.Take(attentionRows*ts), m.Take(attentionRows*ts)
	lse, dots := m.Take(attentionRows), m.Take(attentionRows)
	factor := float32(1 / math.Sqrt(float64(hd)))
	step := product.Share(t, attentionRows)
	for i := 0; i < t; i += step {
		rows := min(step, t-i)
		o, do := o[i*os:], do[i*dos:]
		for r := range rows {
			dots[r] = float32(row.Dot(do[r*dos:][:hd], o[r*os:][:hd]))
			lse[r] = j.lse[(first+i+r)*j.Heads+col/hd]
		}
		a, stride := leftHead(near, q[i*qs:], qs, rows, hd)
		product.Block(j.half, rows, ts, headDepth(hd), p, ts, a, stride, 1, kt, 0, false)
		a, stride = leftHead(near, do, dos, rows, hd)
		product.Block(j.half, rows, ts, headDepth(hd), ds, ts, a, stride, 1, vt, 0, false)
		softmaxGradRows(p, ds, ts, rows, t, factor, lse, dots)
		a, stride = leftHead(left, ds, ts, rows, ts)
		product.Block(j.half, rows, hd, headDepth(t), dq[i*ds3:], ds3, a, stride, 1, kp, 0, false)
		downHead(t, hd, rows, dk, ds3, ds, ts, near, q[i*qs:], qs, i > 0)
		downHead(t, hd, rows, dv, ds3, p, ts, near, do, dos, i > 0)
	}
	putHead(j.dqkv, at, c3, t, hd, dq)
	putHead(j.dqkv, at+j.C, c3, t, hd, dk)
	putHead(j.dqkv, at+2*j.C, c3, t, hd, dv)
}
