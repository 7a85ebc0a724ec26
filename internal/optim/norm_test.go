package optim

import (
	"math"
	"testing"

	"vicreg/internal/nn"
)

func TestNorm(t *testing.T) {
	var params []*nn.Param
	sum := 0.0
	for i, n := range []int{1, 7, 100_003} { // the last is more than a piece
		p := nn.NewParam("w", n)
		for j := range p.Grad.Host() {
			p.Grad.Host()[j] = float32(i+j%5) / 4
			sum += float64(p.Grad.Host()[j]) * float64(p.Grad.Host()[j])
		}
		params = append(params, p)
	}
	params[1].Frozen = true // it counts all the same
	if got, want := NewSGD(params, SGD{}).Norm().Read(), math.Sqrt(sum); math.Abs(got-want) > 1e-9*want {
		t.Errorf("norm %v, want %v", got, want)
	}
}
