package method

import (
	"math"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// Every method trains on a card as on the CPU: its losses of some steps differ by rounding
// alone.
func TestCard(t *testing.T) {
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			losses := func(precision string, d device.Device) (all []float64) {
				data := data
				data.Device = d
				c := config(t, name)
				c.Precision = precision
				m, err := New(c, data)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				o, err := NewOptimizer(c, m.Params())
				if err != nil {
					t.Fatal(err)
				}
				steps := 3
				if precision == "bf16" {
					steps = 2 // rounding adds up
				}
				for i := range steps {
					epoch := (i + 1) / 2 // what begins with the second epoch is seen as well
					if i%2 == 1 || i == 0 {
						m.StartEpoch(epoch)
					}
					out, err := Queue(m, views(epoch, i))
					if err != nil {
						t.Fatal(err)
					}
					norm := o.Norm()
					o.Step(0.002)
					m.AfterStep(i+1, steps)
					loss, _ := out.Read()
					all = append(all, loss, norm.Read())
				}
				return all
			}
			driver := sim.New(sim.Options{Seed: 1})
			d, err := cuda.New(driver)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			want := losses("float32", nil)
			for precision, tol := range map[string]float64{"float32": 1e-4, "bf16": 5e-2} {
				for i, got := range losses(precision, d) {
					what := []string{"loss", "norm of the gradient"}[i%2]
					if precision == "bf16" && i == 3 {
						continue // of the second gradient
					}
					if math.Abs(got-want[i]) > tol*max(1, math.Abs(want[i])) {
						t.Errorf("%s, step %d: the %s is %v, on the CPU %v", precision, i/2, what, got, want[i])
					}
				}
			}
			if n := driver.Launches("loss_terms"); (n == 5) != (name == "vicreg") {
				t.Errorf("the card computed VICReg's loss %d times", n)
			}
		})
	}
}
