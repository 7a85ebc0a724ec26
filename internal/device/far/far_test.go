package far

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"vicreg/internal/device"
)

var touched byte

// What is far stays far: each mistake panics.
func TestFar(t *testing.T) {
	d := New()
	defer d.Close()
	a, freed := d.Alloc(device.Float32, 100), d.Alloc(device.Float32, 100)
	d.Fill(a, 3)
	d.Free(freed)
	other := New()
	defer other.Close()
	for name, test := range map[string]struct {
		f    func()
		says string
	}{
		"an array of the host":         {func() { d.Axpy(a, 1, device.Of(make([]float32, 100))) }, "not this device's"},
		"an array of another device":   {func() { d.Axpy(a, 1, other.Alloc(device.Float32, 100)) }, "not this device's"},
		"a look from the host":         {func() { a.Host() }, "lives elsewhere"},
		"an address kept by the host":  {func() { touched = d.mem[a.Addr()-d.base()] }, "invalid memory address"},
		"an operation of the host's":   {func() { device.Local.Fill(a, 1) }, "lives elsewhere"},
		"memory that was given to all": {func() { d.Alloc(device.Float32, size) }, "more than the"},
	} {
		if runtime.GOOS == "windows" && test.says == "invalid memory address" {
			continue // the memory is not protected there
		}
		t.Run(name, func(t *testing.T) {
			debug.SetPanicOnFault(true) // of this goroutine
			defer func() {
				text := ""
				switch r := recover().(type) {
				case string:
					text = r
				case error:
					text = r.Error()
				}
				if !strings.Contains(text, test.says) {
					t.Errorf("panic %q, want one that says %q", text, test.says)
				}
			}()
			test.f()
		})
	}
	u := &device.Update{Group: device.Group{Members: []device.Member{{W: a, G: a}}}}
	if got := d.Norm(u).Read(); got != 30 {
		t.Errorf("length %v, want 30", got)
	}
	var room []float32
	if v := device.Lower(d, &room, a.Slice(40, 60)); len(v) != 20 || v[7] != 3 || d.Downs != 1 {
		t.Errorf("%v after %d crossings", v, d.Downs)
	}
}
