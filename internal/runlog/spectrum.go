package runlog

import (
	"math"
	"strconv"
)

// Spectrum holds eigenvalues of the covariance of embeddings, the largest first.
type Spectrum struct {
	Ranks  []int     `json:"ranks"`       // of the eigenvalues that are kept, from 1, at even distances on a logarithmic scale
	Values []float64 `json:"eigenvalues"` // those eigenvalues, to four digits
}

// mostRanks is how many eigenvalues a Spectrum keeps.
const mostRanks = 32

// NewSpectrum keeps some of all eigenvalues, which must be the largest first. It returns nil
// unless all are finite.
func NewSpectrum(all []float64) *Spectrum {
	s := &Spectrum{}
	for _, rank := range ranks(len(all)) {
		v := all[rank-1]
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
		s.Ranks, s.Values = append(s.Ranks, rank), append(s.Values, short)
	}
	if len(s.Ranks) == 0 {
		return nil
	}
	return s
}

// ranks returns up to mostRanks numbers from 1 to n, each once: the first, the last, and
// others at even ratios, as far as there are whole numbers between.
func ranks(n int) (list []int) {
	if n < 1 {
		return nil
	}
	for i := range mostRanks {
		at := int(math.Round(math.Pow(float64(n), float64(i)/(mostRanks-1))))
		if len(list) > 0 {
			at = max(at, list[len(list)-1]+1)
		}
		if at > n {
			break
		}
		list = append(list, at)
	}
	return list
}
