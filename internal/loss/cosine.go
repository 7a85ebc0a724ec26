package loss

import (
	"math"

	"vicreg/internal/parallel"
)

// cosine is the workspace of losses of the cosine of a prediction and its target.
type cosine struct {
	q, k, dq, dk []float32 // n × d
	d, rows      int
	scale        float64 // of the gradients
	cos          []float64
	pass         func(worker, piece int)
}

// run returns the mean of cos(q_i, k_i) over n rows of d. Unless they are nil it sets dq
// and dk to scale times its gradients:
//
//	∂cos/∂q = (k̂ − cos·q̂)/‖q‖,  ∂cos/∂k = (q̂ − cos·k̂)/‖k‖
//
// Where a row has no length, cosine and gradient are 0.
func (c *cosine) run(q, k []float32, n, d int, dq, dk []float32, scale float64) float64 {
	checkLen("predictions and targets", n, d, len(q), len(k))
	checkGrad(n, d, dq, dk)
	if c.pass == nil {
		c.pass = c.piece
	}
	c.q, c.k, c.dq, c.dk, c.d, c.rows = q, k, dq, dk, d, rowsOf(d)
	c.scale = scale / float64(n)
	c.cos = grow(c.cos, n)
	parallel.For((n+c.rows-1)/c.rows, c.pass)
	c.q, c.k, c.dq, c.dk = nil, nil, nil, nil
	var sum float64
	for _, v := range c.cos {
		sum += v
	}
	return sum / float64(n)
}

func (c *cosine) piece(_, piece int) {
	for i := piece * c.rows; i < min((piece+1)*c.rows, len(c.cos)); i++ {
		lo, hi := i*c.d, (i+1)*c.d
		q, k := c.q[lo:hi], c.k[lo:hi]
		var qq, kk, qk float64
		for j, v := range q {
			a, b := float64(v), float64(k[j])
			qq += a * a
			kk += b * b
			qk += a * b
		}
		a, b := inverseLength(qq), inverseLength(kk)
		cos := qk * a * b
		c.cos[i] = cos
		if c.dq != nil {
			cosineGrad(c.dq[lo:hi], q, k, a, b, cos, c.scale)
		}
		if c.dk != nil {
			cosineGrad(c.dk[lo:hi], k, q, b, a, cos, c.scale)
		}
	}
}

// inverseLength returns 1/‖x‖ from ‖x‖², or 0 if that is 0. NaN stays NaN.
func inverseLength(square float64) float64 {
	length := math.Sqrt(square)
	if length <= shortest {
		return 0
	}
	return 1 / length
}

// cosineGrad sets dx to scale·∂cos(x, y)/∂x; a and b are 1/‖x‖ and 1/‖y‖.
func cosineGrad(dx, x, y []float32, a, b, cos, scale float64) {
	other, own := scale*a*b, scale*cos*a*a
	for j, v := range x {
		dx[j] = float32(other*float64(y[j]) - own*float64(v))
	}
}

// CosineTerms are the parts of a loss of predictions and targets.
type CosineTerms struct {
	Total  float64
	Cosine float64 // mean, of predictions and targets
}
