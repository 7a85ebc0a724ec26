package eval

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"
)

// minimizer is L-BFGS (Nocedal and Wright, "Numerical optimization", 2006,
// algorithm 7.4) with a line search for the weak Wolfe conditions and an
// initial inverse Hessian that the caller knows.
type minimizer struct {
	f          func(g, w []float64) float64                // writes the gradient to g
	hessian    func(w []float64) (solve func(g []float64)) // about the inverse at w
	iterations int
	ctx        context.Context // ends the search early, where it stands
	progress   func(what string, done, total int)

	solve func(g []float64) // g becomes about the inverse Hessian times g
}

const (
	memory        = 10   // pairs of steps and gradient changes kept
	gradientSmall = 2e-6 // greatest component of the gradient at convergence
	decreaseSmall = 1e-7 // share of the loss that a step must be worth
	decreaseNoise = 1e-6 // the same where rounding may hide a decrease
)

// renew holds the iterations that look at the Hessian anew: at the start, and
// when the classes have come apart somewhat and more.
var renew = map[int]bool{0: true, 10: true, 40: true}

// minimize moves w to the minimum. It has converged when the gradient is small,
// or when the next step promises nothing or two on end brought nothing.
func (m *minimizer) minimize(w []float64) (loss float64, iterations int, converged bool) {
	n := len(w)
	g, next, nextG, p := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	var past []change
	loss = m.f(g, w)
	idle := 0
	for iterations < m.iterations && m.ctx.Err() == nil {
		m.progress("linear probe: iteration", iterations, m.iterations)
		if renew[iterations] {
			m.solve = m.hessian(w)
		}
		if floats.Norm(g, math.Inf(1)) <= gradientSmall {
			return loss, iterations, true
		}
		copy(p, g)
		m.direction(p, past)
		slope := floats.Dot(g, p)
		if !(slope < 0) { // rounding has spoilt the memory
			past = nil
			copy(p, g)
			m.direction(p, nil)
			if slope = floats.Dot(g, p); !(slope < 0) {
				return loss, iterations, true
			}
		}
		scale := max(math.Abs(loss), 1e-3)
		if -slope/2 <= decreaseSmall*scale {
			return loss, iterations, true
		}
		nextLoss, ok := m.search(next, nextG, w, p, loss, slope)
		if !ok {
			return loss, iterations, -slope/2 <= decreaseNoise*scale
		}
		iterations++
		var c change
		if len(past) == memory {
			c, past = past[0], past[1:]
		} else {
			c = change{s: make([]float64, n), y: make([]float64, n)}
		}
		floats.SubTo(c.s, next, w)
		floats.SubTo(c.y, nextG, g)
		if c.sy = floats.Dot(c.s, c.y); c.sy > 1e-12*floats.Dot(c.y, c.y) {
			past = append(past, c)
		}
		if loss-nextLoss <= decreaseSmall*scale {
			idle++
		} else {
			idle = 0
		}
		copy(w, next)
		copy(g, nextG)
		loss = nextLoss
		if idle == 2 {
			return loss, iterations, true
		}
	}
	return loss, iterations, false
}

// change is one step s and the change y of the gradient over it.
type change struct {
	s, y []float64
	sy   float64
}

// direction turns the gradient p into the direction to go.
func (m *minimizer) direction(p []float64, past []change) {
	a := make([]float64, len(past))
	for i := len(past) - 1; i >= 0; i-- {
		c := past[i]
		a[i] = floats.Dot(c.s, p) / c.sy
		floats.AddScaled(p, -a[i], c.y)
	}
	m.solve(p)
	for i, c := range past {
		floats.AddScaled(p, a[i]-floats.Dot(c.y, p)/c.sy, c.s)
	}
	floats.Scale(-1, p)
}

// search goes from w along p until the loss has decreased enough and the slope
// has flattened, by doubling and halving the step. next and g receive the
// place and its gradient.
func (m *minimizer) search(next, g, w, p []float64, loss, slope float64) (float64, bool) {
	const enough, flat = 1e-4, 0.9
	low, high := 0.0, math.Inf(1)
	step := 1.0
	for range 30 {
		if m.ctx.Err() != nil {
			break
		}
		floats.AddScaledTo(next, w, step, p)
		l := m.f(g, next)
		switch {
		case !(l <= loss+enough*step*slope):
			high = step
		case floats.Dot(g, p) < flat*slope:
			low = step
		default:
			return l, true
		}
		if math.IsInf(high, 1) {
			step = 2 * low
		} else {
			step = (low + high) / 2
		}
	}
	return loss, false
}
