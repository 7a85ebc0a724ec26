package loss

import (
	"fmt"
	"math"

	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/token"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// MoCo is the InfoNCE loss against a queue of older keys of He, Fan, Wu, Xie and
// Girshick, "Momentum contrast for unsupervised visual representation learning"
// (CVPR 2020, arXiv:1911.05722), Eq. 1, as version 2 uses it (arXiv:2003.04297);
// facebookresearch/moco at 4397a04, moco/builder.py, MoCo.forward. With unit
// queries q, keys k and a queue of unit keys r,
//
//	ℓ(q, k) = 1/n Σ_i −log( exp(q_i·k_i/T) / (exp(q_i·k_i/T) + Σ_j exp(q_i·r_j/T)) )
//
// The queue carries no gradient. Of two views, the released code takes
// ℓ(q1, k2) alone, solo-learn the mean of both directions, each with a queue.
type MoCo struct {
	Temperature float64
}

// NewMoCo returns the temperature of version 2.
func NewMoCo() MoCo { return MoCo{Temperature: 0.2} }

// Check says what is wrong with the constants, or with a queue of so many keys, which
// gets batch keys a step and must hold whole batches.
func (m MoCo) Check(queue, batch int) error {
	if err := checkTemperature("MoCo", m.Temperature); err != nil {
		return err
	}
	if batch < 1 || queue < batch || queue%batch != 0 {
		hint := ""
		if batch > 0 {
			hint = fmt.Sprintf(", such as %d", max(1, queue/batch)*batch)
		}
		return fmt.Errorf("MoCo's queue of %d keys must be a multiple of the batch of %d; take another queue%s, or another batch", queue, batch, hint)
	}
	return nil
}

// Eval is the mean of both directions, ℓ(q1, k2) against queue2 and ℓ(q2, k1) against
// queue1. Queries and keys are n × d, and it normalises them; a queue holds keys of one
// view, m × d in unit rows. It fills those gradients that are not nil.
func (m MoCo) Eval(ws *Workspace, q1, q2, k1, k2, queue1, queue2 []float32, n, d int, dq1, dq2, dk1,
	dk2 []float32) ContrastTerms {
	a := m.pair(ws, q1, k2, queue2, n, d, dq1, dk2, 0.5)
	return mean(a, m.pair(ws, q2, k1, queue1, n, d, dq2, dk1, 0.5))
}

// Pair is one direction, ℓ(q, k).
func (m MoCo) Pair(ws *Workspace, q, k, queue []float32, n, d int, dq, dk []float32) ContrastTerms {
	return m.pair(ws, q, k, queue, n, d, dq, dk, 1)
}

func mean(a, b ContrastTerms) ContrastTerms {
	return ContrastTerms{(a.Total + b.Total) / 2, (a.Accuracy + b.Accuracy) / 2, (a.Positive + b.Positive) / 2}
}

// queueBlock is how many keys of a queue are compared at a time.
const queueBlock = 2048

// pair compares with a block of the queue at a time, so the scores of all n × m are
// never held. Each row keeps its largest score so far. Relative to that it keeps the sum
// of the exponentials, and of exponential times key; both shrink when a larger score
// turns up.
func (m MoCo) pair(ws *Workspace, q, k, queue []float32, n, d int, dq, dk []float32, weight float64) ContrastTerms {
	checkLen("queries and keys", n, d, len(q), len(k))
	checkGrad(n, d, dq, dk)
	if len(queue) == 0 || len(queue)%d != 0 {
		panic(fmt.Sprintf("loss: a queue of %d values, not rows of %d", len(queue), d))
	}
	size := len(queue) / d
	c := &ws.queue
	c.start(ws, n, d, 1/m.Temperature, dq != nil)
	c.q, c.k = ws.units[0].Forward(q, n, d), ws.units[1].Forward(k, n, d)
	parallel.For(c.pieces, c.first)
	block := min(queueBlock, size, max(16, 1<<26/n))
	c.stride = block + 16
	c.scores = tensor.Grow(c.scores, n*c.stride)
	for lo := 0; lo < size; lo += block {
		c.cols = min(block, size-lo)
		keys := product.Mat{Data: queue[lo*d:], Rows: c.cols, Cols: d}
		s := product.Mat{Data: c.scores, Rows: n, Cols: c.cols, Stride: c.stride}
		product.Gemm(s, product.Mat{Data: c.q, Rows: n, Cols: d}, keys.T(), false)
		parallel.For(c.pieces, c.meet)
		if c.grads {
			product.Gemm(product.Mat{Data: c.sum, Rows: n, Cols: d}, s, keys, true)
		}
	}
	var t ContrastTerms
	for i := range n {
		t.Total += math.Log(c.total[i]) + (float64(c.top[i])-c.positive[i])*c.inverse
		t.Positive += c.positive[i]
		if !c.beaten[i] {
			t.Accuracy++
		}
	}
	nf := float64(n)
	t.Total, t.Positive, t.Accuracy = t.Total/nf, t.Positive/nf, t.Accuracy/nf
	c.weight = weight * c.inverse / nf
	if dk != nil {
		c.dk = tensor.Grow(ws.du, n*d)
		ws.du = c.dk
	}
	if dq != nil || dk != nil {
		parallel.For(c.pieces, c.last)
	}
	if dq != nil {
		ws.units[0].Backward(dq, c.sum)
	}
	if dk != nil {
		ws.units[1].Backward(dk, c.dk)
	}
	c.dk = nil
	return t
}

// queue is the workspace of MoCo.
type queue struct {
	n, d, rows, pieces int
	inverse, weight    float64
	grads              bool

	q, k     []float32 // n × d, unit rows
	scores   []float32 // n × cols, of the block under way, rows stride apart
	cols     int
	stride   int
	positive []float64 // n
	top      []float32 // n
	beaten   []bool    // n: some key of the queue is as near
	tie      float32   // exponential of a score that counts as equally high: the difference may be rounding
	total    []float64 // n: Σ exp((s − top)/T)
	sum      []float32 // n × d: Σ exp((s − top)/T)·key over the queue, then dq
	dk       []float32 // n × d or nil

	first, meet, last func(worker, piece int)
}

func (c *queue) start(ws *Workspace, n, d int, inverse float64, grads bool) {
	if c.first == nil {
		c.first, c.meet, c.last = c.firstPiece, c.meetPiece, c.lastPiece
	}
	c.n, c.d, c.inverse, c.grads = n, d, inverse, grads
	c.rows = 4
	c.tie = float32(math.Exp(-1e-6 * inverse))
	c.pieces = (n + c.rows - 1) / c.rows
	c.positive, c.total = grow(c.positive, n), grow(c.total, n)
	c.top = tensor.Grow(c.top, n)
	if cap(c.beaten) < n {
		c.beaten = make([]bool, n)
	}
	c.beaten = c.beaten[:n]
	clear(c.beaten)
	c.sum = tensor.Grow(c.sum, n*d)
	clear(c.sum)
}

func (c *queue) firstPiece(_, piece int) {
	for i := piece * c.rows; i < min((piece+1)*c.rows, c.n); i++ {
		q, k := c.q[i*c.d:][:c.d], c.k[i*c.d:][:c.d]
		var dot float64
		for j, v := range q {
			dot += float64(v) * float64(k[j])
		}
		c.top[i] = float32(dot)
		c.positive[i], c.total[i] = float64(c.top[i]), 1
	}
}

// meetPiece turns rows of scores with a block of keys into exponentials. The largest
// score so far stands behind each row; its exponential is the factor by which the sums
// so far shrink.
func (c *queue) meetPiece(_, piece int) {
	inverse := float32(c.inverse)
	for i := piece * c.rows; i < min((piece+1)*c.rows, c.n); i++ {
		row := c.scores[i*c.stride:][:c.cols+1]
		row[c.cols] = c.top[i]
		top, sum := token.ExpRow(row, inverse)
		shrink := row[c.cols]
		if !c.beaten[i] { // so top is the positive's
			at := first(row, c.tie)
			c.beaten[i] = at >= 0 && at < c.cols
		}
		c.total[i] = c.total[i]*float64(shrink) + float64(sum) - float64(shrink)
		if shrink == 1 {
			continue
		}
		c.top[i] = top
		if c.grads {
			multiply(c.sum[i*c.d:][:c.d], shrink)
		}
	}
}

// lastPiece finishes the gradients of the unit rows:
//
//	dq_i = (Σ_j p_j·r_j + (p_i − 1)·k_i)/T,  dk_i = (p_i − 1)·q_i/T
func (c *queue) lastPiece(_, piece int) {
	for i := piece * c.rows; i < min((piece+1)*c.rows, c.n); i++ {
		q, k, sum := c.q[i*c.d:][:c.d], c.k[i*c.d:][:c.d], c.sum[i*c.d:][:c.d]
		p := math.Exp((c.positive[i]-float64(c.top[i]))*c.inverse) / c.total[i]
		queued, own := float32(c.weight/c.total[i]), float32(c.weight*(p-1))
		if c.grads {
			for j, v := range sum {
				sum[j] = v*queued + k[j]*own
			}
		}
		if c.dk != nil {
			for j, v := range q {
				c.dk[i*c.d+j] = v * own
			}
		}
	}
}

func init() {
	alone("moco-v2", Alone{
		Constants: []Constant{temperature(NewMoCo().Temperature), stopGradient},
		Memory: func(n, d float64, o Others) float64 {
			keys := 0.0
			if shape, _ := o.Shape("queue"); len(shape) == 2 {
				keys = float64(shape[1])
			}
			return 2*keys*d + min(n*(min(keys, queueBlock)+16), float64(heldScores)+32*n) + 4*n*d
		},
		Eval: (*Given).mocoV2,
	})
}

func (g *Given) mocoV2() error {
	shape, err := g.matrix("queue", "the keys that queries are held against, d × K")
	if err != nil {
		return err
	}
	if shape[0] != g.D || shape[1] < 1 {
		return fmt.Errorf("queue is %d × %d, but must be d × K, a key in each column, with d = %d as in z1", shape[0], shape[1], g.D)
	}
	columns, err := g.values("queue")
	if err != nil {
		return err
	}
	keys := make([]float32, len(columns)) // K × d
	for i, v := range columns {
		keys[i%shape[1]*g.D+i/shape[1]] = v
	}
	m := MoCo{Temperature: g.Set["temperature"]}
	g.contrast(m.Pair(&g.ws, g.Z[0], g.Z[1], keys, g.N, g.D, g.DZ[0], g.target()))
	return nil
}
