package kernel

import (
	"fmt"
	"math"

	"vicreg/internal/parallel"
)

// Attention is the shape of multi-head self-attention (Vaswani et al. 2017,
// section 3.2) over sequences of any lengths, that lie one after the other:
// sequence i is rows [Starts[i], Starts[i+1]). For each of its heads, with q, k
// and v of t × c/heads:
//
//	p = softmax(q·kᵀ/√(c/heads)),  o = p·v
//
// A row of qkv holds q of all heads, then k, then v, c each, as timm's
// attn.qkv gives them. There is no padding: what a sequence must not attend to is
// no part of it.
type Attention struct {
	Starts []int32
	C      int // width of all heads
	Heads  int
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

// attentionRows is the most queries of a block: its scores stay in the
// second-level cache.
const attentionRows = 112

// attention is the call under way. A piece is a head of a sequence.
var attention struct {
	Attention
	qkv, o, lse []float32
	do, dqkv    []float32
}

// longest returns the length of the longest sequence.
func (s Attention) longest() int {
	t := 0
	for i, from := range s.Starts[:len(s.Starts)-1] {
		t = max(t, int(s.Starts[i+1]-from))
	}
	return t
}

// AttentionForward writes o (rows × c), and for the backward the logarithm of
// each softmax's denominator, lse (rows × heads).
func AttentionForward(o, lse []float32, s Attention, qkv []float32) {
	s.check(len(qkv), len(o), len(lse))
	busy.Lock()
	defer busy.Unlock()
	j := &attention
	j.Attention, j.qkv, j.o, j.lse = s, qkv, o, lse
	t, hd := s.longest(), s.C/s.Heads
	reserve(room(packedLen(hd, t), packedLen(t, hd), attentionRows*scoreStride(t), attentionRows, attentionRows))
	parallel.For((len(s.Starts)-1)*s.Heads, attentionPiece)
	j.forget()
}

// AttentionGrad writes the gradient of qkv to dqkv, given that of o.
func AttentionGrad(dqkv []float32, s Attention, qkv, o, do, lse []float32) {
	s.check(len(qkv), len(o), len(lse))
	s.check(len(dqkv), len(do), len(lse))
	busy.Lock()
	defer busy.Unlock()
	j := &attention
	j.Attention, j.qkv, j.o, j.lse, j.do, j.dqkv = s, qkv, o, lse, do, dqkv
	t, hd := s.longest(), s.C/s.Heads
	scores := attentionRows * scoreStride(t)
	reserve(room(packedLen(hd, t), packedLen(hd, t), packedLen(t, hd), scores, scores, attentionRows, attentionRows))
	parallel.For((len(s.Starts)-1)*s.Heads, attentionGradPiece)
	j.forget()
}

func (s *Attention) forget() {
	j := &attention
	j.Starts, j.qkv, j.o, j.lse, j.do, j.dqkv = nil, nil, nil, nil, nil, nil
}

// scoreStride returns the distance of rows of t scores: whole panels, so that
// products write them without an edge.
func scoreStride(t int) int { return roundUp(t, lineFloats) }

// head returns where the piece lies.
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
	m := &arenas[worker]
	m.used = 0
	c3, ts := 3*j.C, scoreStride(t)
	q := j.qkv[first*c3+col:]
	k, v := q[j.C:], q[2*j.C:]
	kt, vp := m.take(packedLen(hd, t)), m.take(packedLen(t, hd))
	packB(kt, Mat{Data: k, Rows: t, Cols: hd, Stride: c3, Trans: true})
	packB(vp, Mat{Data: v, Rows: t, Cols: hd, Stride: c3})
	scores, peak, sum := m.take(attentionRows*ts), m.take(attentionRows), m.take(attentionRows)
	factor := float32(1 / math.Sqrt(float64(hd)))
	step := share(t, attentionRows)
	for i := 0; i < t; i += step {
		rows := min(step, t-i)
		block(false, rows, ts, hd, scores, ts, q[i*c3:], c3, 1, kt, 0, false)
		softmaxRows(scores, ts, rows, t, factor, peak, sum)
		o := j.o[(first+i)*j.C+col:]
		block(false, rows, hd, t, o, j.C, scores, ts, 1, vp, 0, false)
		for r := range rows {
			scale(o[r*j.C:][:hd], 1/sum[r])
			j.lse[(first+i+r)*j.Heads+col/hd] = factor*peak[r] + float32(math.Log(float64(sum[r])))
		}
	}
}

// attentionGradPiece makes the probabilities again from the scores. With
// dp = do·vᵀ:
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
	m := &arenas[worker]
	m.used = 0
	c3, ts := 3*j.C, scoreStride(t)
	q := j.qkv[first*c3+col:]
	k, v := q[j.C:], q[2*j.C:]
	dq := j.dqkv[first*c3+col:]
	dk, dv := dq[j.C:], dq[2*j.C:]
	kt, vt, kp := m.take(packedLen(hd, t)), m.take(packedLen(hd, t)), m.take(packedLen(t, hd))
	packB(kt, Mat{Data: k, Rows: t, Cols: hd, Stride: c3, Trans: true})
	packB(vt, Mat{Data: v, Rows: t, Cols: hd, Stride: c3, Trans: true})
	packB(kp, Mat{Data: k, Rows: t, Cols: hd, Stride: c3})
	p, ds := m.take(attentionRows*ts), m.take(attentionRows*ts)
	lse, dots := m.take(attentionRows), m.take(attentionRows)
	factor := float32(1 / math.Sqrt(float64(hd)))
	step := share(t, attentionRows)
	for i := 0; i < t; i += step {
		rows := min(step, t-i)
		at := (first+i)*j.C + col
		do, o := j.do[at:], j.o[at:]
		for r := range rows {
			dots[r] = float32(dot(do[r*j.C:][:hd], o[r*j.C:][:hd]))
			lse[r] = j.lse[(first+i+r)*j.Heads+col/hd]
		}
		block(false, rows, ts, hd, p, ts, q[i*c3:], c3, 1, kt, 0, false)
		block(false, rows, ts, hd, ds, ts, do, j.C, 1, vt, 0, false)
		softmaxGradRows(p, ds, ts, rows, t, factor, lse, dots)
		block(false, rows, hd, t, dq[i*c3:], c3, ds, ts, 1, kp, 0, false)
		blockTN(t, hd, rows, dk, c3, ds, ts, q[i*c3:], c3, i > 0)
		blockTN(t, hd, rows, dv, c3, p, ts, do, j.C, i > 0)
	}
}
