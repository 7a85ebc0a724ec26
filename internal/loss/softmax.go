package loss

import (
	"math"

	"vicreg/internal/parallel"
)

// softmax is the cross-entropy of rows of scores at a temperature T,
//
//	ℓ_i = −Σ_k y_ik·log p_ik,  p_i = softmax(s_i/T)
//	∂ℓ_i/∂s_ik = (|y_i|·p_ik − y_ik)/T,  |y_i| = Σ_k y_ik
//
// where y_i is a label (a one at one place) or a sum of up to two rows of shares
// that each add up to 1.
type softmax struct {
	scores []float32 // rows × cols
	grads  []float32 // rows × cols, may be the scores; nil for none
	cols   int

	labels  []int32      // of a row; below 0 it counts for nothing
	shares  [2][]float32 // or these, rows × cols; nil if absent
	notSelf bool         // row i has no place i: it is scored against itself

	inverse float64 // 1/T
	weight  float64 // of the gradient
	row     []rowFigures
	rows    int // in a piece
	pass    func(worker, piece int)
}

// rowFigures are what one row contributes.
type rowFigures struct {
	loss     float64 // ℓ_i
	positive float64 // score at the label
	hit      bool    // the highest score is at the label, or at the largest share
}

// run handles n rows. It returns Σ ℓ_i, how many rows hit, and Σ score at the label.
func (s *softmax) run(n int) (loss float64, hits int, positive float64) {
	if s.pass == nil {
		s.pass = s.piece
	}
	if cap(s.row) < n {
		s.row = make([]rowFigures, n)
	}
	s.row = s.row[:n]
	s.rows = rowsOf(s.cols)
	parallel.For((n+s.rows-1)/s.rows, s.pass)
	for i := range s.row {
		r := &s.row[i]
		loss += r.loss
		positive += r.positive
		if r.hit {
			hits++
		}
	}
	s.scores, s.grads, s.labels, s.shares, s.notSelf = nil, nil, nil, [2][]float32{}, false
	return loss, hits, positive
}

func (s *softmax) piece(_, piece int) {
	for i := piece * s.rows; i < min((piece+1)*s.rows, len(s.row)); i++ {
		if s.labels != nil {
			s.labelled(i)
		} else {
			s.shared(i)
		}
	}
}

// labelled is row i against its label.
func (s *softmax) labelled(i int) {
	score := s.scores[i*s.cols:][:s.cols]
	label := int(s.labels[i])
	if label < 0 {
		s.row[i] = rowFigures{}
		if s.grads != nil {
			clear(s.grads[i*s.cols:][:s.cols])
		}
		return
	}
	if s.notSelf {
		score[i] = float32(math.Inf(-1))
	}
	top, at := highest(score)
	positive := score[label]
	total := s.exponents(i, score, top)
	s.row[i] = rowFigures{
		loss:     math.Log(total) + (float64(top)-float64(positive))*s.inverse,
		positive: float64(positive),
		hit:      at == label,
	}
	if s.grads != nil {
		grad := s.grads[i*s.cols:][:s.cols]
		scale := s.weight * s.inverse
		product := float32(scale / total)
		for k := range grad {
			grad[k] *= product
		}
		p := math.Exp((float64(positive)-float64(top))*s.inverse) / total
		grad[label] = float32(scale * (p - 1))
	}
}

// exponents returns Σ exp((s − top)/T) and, if gradients are wanted, leaves the
// summands in their place.
func (s *softmax) exponents(i int, score []float32, top float32) (total float64) {
	inverse := float32(s.inverse)
	if s.grads == nil {
		for _, v := range score {
			total += float64(exp32((v - top) * inverse))
		}
		return total
	}
	grad := s.grads[i*s.cols:][:s.cols]
	for k, v := range score {
		e := exp32((v - top) * inverse)
		grad[k] = e
		total += float64(e)
	}
	return total
}

// shared is row i against its shares.
func (s *softmax) shared(i int) {
	score := s.scores[i*s.cols:][:s.cols]
	top, at := highest(score)
	var many, dot float64
	best, most := 0, float32(-1)
	for _, all := range s.shares {
		if all == nil {
			continue
		}
		many++
		for k, q := range all[i*s.cols:][:s.cols] {
			dot += float64(q) * (float64(top) - float64(score[k]))
			if q > most {
				best, most = k, q
			}
		}
	}
	total := s.exponents(i, score, top)
	s.row[i] = rowFigures{loss: many*math.Log(total) + dot*s.inverse, hit: at == best}
	if s.grads == nil {
		return
	}
	grad := s.grads[i*s.cols:][:s.cols]
	scale := s.weight * s.inverse
	product, less := float32(scale*many/total), float32(scale)
	for k := range grad {
		grad[k] *= product
	}
	for _, all := range s.shares {
		if all == nil {
			continue
		}
		for k, q := range all[i*s.cols:][:s.cols] {
			grad[k] -= less * q
		}
	}
}

// highest returns the largest value and where it first stands. A NaN may be missed:
// it comes out of the exponentials.
func highest(x []float32) (top float32, at int) {
	top = x[0]
	for i, v := range x {
		if v > top {
			top, at = v, i
		}
	}
	return top, at
}

// exp32 returns e^x for x ≤ 0 with a relative error of about 1e-7; below −87 it
// returns 0. (Cephes, expf.c: x = k·ln 2 + r, a polynomial in r.)
func exp32(x float32) float32 {
	if x < -87 {
		return 0
	}
	const magic = 3 << 22 // pushes the fraction out of the mantissa
	k := x*math.Log2E + magic
	bits := math.Float32bits(k) << 23
	k -= magic
	r := x - k*0.693359375 + k*2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return math.Float32frombits(math.Float32bits(p) + bits)
}
