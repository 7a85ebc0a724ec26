package method

import (
	"slices"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/recipe"
)

// A device whose memory the host cannot touch trains every method to the same bits as
// the CPU: nothing reaches its arrays but what crosses by name, and of that there is a
// step's views, embeddings, predictions and their gradients, and what a method's own
// loss reads.
func TestFarDevice(t *testing.T) {
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			d := far.New()
			defer d.Close()
			c := config(t, name)
			here, _, _ := trained(t, c, device.Local, nil)
			there, ups, downs := trained(t, c, d, d)
			for i, values := range here {
				if !slices.Equal(values, there[i]) {
					t.Errorf("array %d of the method or its optimizer differs", i)
				}
			}
			views := len(c.Crops())
			maps := 1 // of a view
			if c.Heads.Predictor != recipe.None {
				maps = 2
			}
			wantUps, wantDowns := views+views*maps, views*maps
			if c.Momentum.Use {
				wantUps, wantDowns = wantUps+2, wantDowns+2 // the views once more, and the keys
			}
			if name == "swav" {
				wantUps, wantDowns = wantUps+2, wantDowns+3 // prototypes and their gradient
			}
			if ups != wantUps || downs != wantDowns {
				t.Errorf("%d crossings up and %d down in a step, want %d and %d", ups, downs, wantUps, wantDowns)
			}
		})
	}
}

// trained returns all arrays of a method and its optimizer after two epochs on a device,
// and how often values crossed in the last step.
func trained(t *testing.T, c recipe.Config, d device.Device, count *far.Device) (arrays [][]float32, ups, downs int) {
	t.Helper()
	data := data
	data.Device = d
	m, err := New(c, data)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOptimizer(c, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	for number := range 2 {
		m.StartEpoch(number)
		for i := range data.Steps {
			if count != nil {
				count.Ups, count.Downs = 0, 0
			}
			step(t, m, views(number, i))
			o.Step(0.1)
			m.AfterStep(number*data.Steps+i+1, 100)
			if count != nil {
				ups, downs = count.Ups, count.Downs
			}
		}
	}
	for _, p := range slices.Concat(all(m), o.State()) {
		arrays = append(arrays, slices.Clone(p.Read()))
	}
	return arrays, ups, downs
}
