package loss

import (
	"fmt"
	"math"

	"vicreg/internal/kernel/token"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
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
	notSelf bool         // row i has no place before+i: it is scored against itself
	before  int          // rows of the whole that come before these

	inverse float64 // 1/T
	weight  float64 // of the gradient
	row     []rowFigures
	rows    int       // in a piece
	scratch []float32 // cols of every worker
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
	if s.grads == nil {
		s.scratch = tensor.Grow(s.scratch, parallel.Workers()*s.cols)
	}
	parallel.For((n+s.rows-1)/s.rows, s.pass)
	for i := range s.row {
		r := &s.row[i]
		loss += r.loss
		positive += r.positive
		if r.hit {
			hits++
		}
	}
	s.scores, s.grads, s.labels, s.shares, s.notSelf, s.before = nil, nil, nil, [2][]float32{}, false, 0
	return loss, hits, positive
}

func (s *softmax) piece(worker, piece int) {
	for i := piece * s.rows; i < min((piece+1)*s.rows, len(s.row)); i++ {
		if s.labels != nil {
			s.labelled(worker, i)
		} else {
			s.shared(worker, i)
		}
	}
}

// labelled handles row i, which has a label.
func (s *softmax) labelled(worker, i int) {
	score := s.scores[i*s.cols:][:s.cols]
	label := int(s.labels[i])
	if label < 0 {
		s.row[i] = rowFigures{}
		if s.grads != nil {
			clear(s.grads[i*s.cols:][:s.cols])
		}
		return
	}
	positive := score[label]
	row := s.copyOf(worker, i)
	if s.notSelf {
		row[s.before+i] = float32(math.Inf(-1))
	}
	top, total := token.ExpRow(row, float32(s.inverse))
	s.row[i] = rowFigures{
		loss:     math.Log(float64(total)) + (float64(top)-float64(positive))*s.inverse,
		positive: float64(positive),
		hit:      first(row, 1) == label,
	}
	if s.grads != nil {
		scale := s.weight * s.inverse
		p := math.Exp((float64(positive)-float64(top))*s.inverse) / float64(total)
		multiply(row, float32(scale/float64(total)))
		row[label] = float32(scale * (p - 1))
	}
}

// copyOf returns a copy of row i of the scores, in the place of its gradient if there is
// one. That place may be the scores themselves.
func (s *softmax) copyOf(worker, i int) []float32 {
	to, at := s.grads, i
	if to == nil {
		to, at = s.scratch, worker
	}
	row := to[at*s.cols:][:s.cols]
	copy(row, s.scores[i*s.cols:])
	return row
}

// shared handles row i, which has shares.
func (s *softmax) shared(worker, i int) {
	score := s.scores[i*s.cols:][:s.cols]
	var all, dot float64 // Σ q and Σ q·s
	best, most := 0, float32(-1)
	for _, shares := range s.shares {
		if shares == nil {
			continue
		}
		for k, q := range shares[i*s.cols:][:s.cols] {
			all += float64(q)
			dot += float64(q) * float64(score[k])
			if q > most {
				best, most = k, q
			}
		}
	}
	row := s.copyOf(worker, i)
	top, total := token.ExpRow(row, float32(s.inverse))
	s.row[i] = rowFigures{
		loss: all*(math.Log(float64(total))+float64(top)*s.inverse) - dot*s.inverse,
		hit:  first(row, 1) == best,
	}
	if s.grads == nil {
		return
	}
	scale := s.weight * s.inverse
	multiply(row, float32(scale*all/float64(total)))
	less := float32(scale)
	for _, shares := range s.shares {
		if shares == nil {
			continue
		}
		for k, q := range shares[i*s.cols:][:s.cols] {
			row[k] -= less * q
		}
	}
}

// first returns the first place where a row of exponentials, the largest of which is 1,
// is at least least. It returns −1 if there is none, as all are NaN.
func first(row []float32, least float32) int {
	for k, v := range row {
		if v >= least {
			return k
		}
	}
	return -1
}

func multiply(row []float32, by float32) {
	for k, v := range row {
		row[k] = v * by
	}
}

func checkTemperature(what string, t float64) error {
	if !(t > 0) || math.IsInf(t, 0) {
		return fmt.Errorf("%s's temperature is %v, but must be above 0; 0.2 is usual", what, t)
	}
	return nil
}

func growLabels(buf []int32, n int) []int32 {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]int32, n)
}
