package method

import (
	"math"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/recipe"
)

// A device whose memory the host cannot touch trains every method to the same bits as
// the CPU: nothing reaches its arrays but what crosses by name, and of that there is a
// step's views, embeddings, predictions and their gradients, and what a method's own
// loss reads. So does one that stores activations as bfloat16, if that loses nothing. All
// memory goes back to the device.
func TestFarDevice(t *testing.T) {
	defer func(was bool) { device.KeepHalf = was }(device.KeepHalf)
	device.KeepHalf = false // what the devices are compared with
	for _, name := range every() {
		for _, precision := range []string{"float32", "bf16"} {
			t.Run(name+" "+precision, func(t *testing.T) { onFar(t, name, precision) })
		}
	}
}

func onFar(t *testing.T, name, precision string) {
	d := far.New()
	if precision == "bf16" {
		d.Close()
		d = far.NewExact()
	}
	defer d.Close()
	c := config(t, name)
	c.Precision = precision
	epochs := 2
	if precision == "bf16" {
		epochs = 1
	}
	here, _, _ := trained(t, c, epochs, device.Local, nil)
	there, ups, downs := trained(t, c, epochs, d, d)
	if d.Held != 0 {
		t.Errorf("%d arrays were not given back", d.Held)
	}
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
}

// trained returns all arrays of a method and its optimizer after some epochs on a device,
// and how often values crossed in the last step.
func trained(t *testing.T, c recipe.Config, epochs int, d device.Device, count *far.Device) (arrays [][]float32,
	ups, downs int) {
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
	for number := range epochs {
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
	m.Close()
	for _, p := range o.State() {
		p.Free()
	}
	return arrays, ups, downs
}

// On a device that stores activations as bfloat16 the first loss of every method, and the
// embeddings that it sees, are those of float32 but for rounding.
func TestHalf(t *testing.T) {
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			first := func(precision string, d device.Device) (float64, [][]float32) {
				data := data
				data.Device = d
				c := config(t, name)
				c.Precision = precision
				m, err := New(c, data)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				m.StartEpoch(0)
				loss, _ := step(t, m, views(0, 0))
				var seen [][]float32
				for _, z := range m.Embeddings() {
					seen = append(seen, slices.Clone(z.Values.Host()))
				}
				return loss, seen
			}
			d := far.NewHalf()
			defer d.Close()
			want, z := first("float32", nil)
			got, half := first("bf16", d)
			if got == want && got != 0 || math.Abs(got-want) > 2e-2*max(1, math.Abs(want)) {
				t.Errorf("loss %v, in float32 %v", got, want)
			}
			for i := range z {
				check.Close(t, "embeddings", half[i], z[i], 3e-2) // after three normalised layers
			}
		})
	}
}
