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
			if one, two := Peak(p, 100), Peak(p, 200); one <= 0 || two != 2*one {
				t.Errorf("%s, precision %d: %d operations in 100 iterations, %d in 200", v, p, one, two)
			}
		}
		restore()
	}
}
