package product

import (
	"testing"

	"vicreg/internal/cpu"
	"vicreg/internal/kernel/shape"
)

// Every variant counts what it does.
func TestPeak(t *testing.T) {
	for _, v := range cpu.Variants() {
		restore, err := cpu.Set(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []shape.Precision{shape.Float32, shape.BF16} {
			if one, two := Peak(p, 10), Peak(p, 20); one <= 0 || two != 2*one {
				t.Errorf("%s, precision %d: %d operations in 10 iterations, %d in 20", v, p, one, two)
			}
		}
		restore()
	}
}
