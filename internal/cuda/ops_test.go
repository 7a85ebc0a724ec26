package cuda_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// How the device's operations are tested: a test writes an operation once, for a side, and
// agree runs it on the CPU and on the device, with the same values, and compares what the
// test shows of both.

// newDriver returns what tests compute on. Where there is a card it may be that.
var newDriver = func(t testing.TB) cuda.Driver { return sim.New(sim.Options{Seed: 1, Races: true}) }

func open(t testing.TB) *cuda.Device {
	t.Helper()
	d, err := cuda.New(newDriver(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// side is one of two devices, with arrays of the same values.
type side struct {
	device.Device
	rand  *rand.Rand
	cpu   bool
	shown []shown
}

// shown is a result: ‖got − want‖ ≤ floor + tol·‖want‖ is demanded.
type shown struct {
	name       string
	x          []float64
	tol, floor float64
}

// Tolerances of values of both types, of their sums, and of what must be the same.
const (
	near32  = 1e-5
	near16  = 4e-3
	nearSum = 1e-6
	equal   = 0
)

// agree runs f on the CPU and on the device.
func agree(t *testing.T, d *cuda.Device, f func(s *side)) {
	t.Helper()
	want := &side{Device: device.Local, rand: newRand(), cpu: true}
	got := &side{Device: d, rand: newRand()}
	f(want)
	f(got)
	for i, g := range got.shown {
		w := want.shown[i]
		if g.name != w.name {
			t.Fatalf("%s was shown on the device, %s on the CPU", g.name, w.name)
		}
		check.CloseAbs64(t, g.name, g.x, w.x, g.tol, g.floor)
	}
}

// array returns an array with values. On the CPU one of bfloat16 holds float32, rounded.
func (s *side) array(t device.Type, x []float32) device.Array {
	if s.cpu && t == device.BFloat16 {
		round := make([]float32, len(x))
		for i, v := range x {
			round[i] = bf16(v)
		}
		return device.Of(round)
	}
	if len(x) == 0 {
		return device.Array{}
	}
	a := s.Alloc(t, len(x))
	s.Up(a, x)
	return a
}

// bf16 rounds to nearest even.
func bf16(v float32) float32 {
	b := math.Float32bits(v)
	return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
}

// normal returns n values of a normal distribution, channels n of float32.
func (s *side) normal(t device.Type, n int) device.Array { return s.array(t, check.Normal(s.rand, n)) }
func (s *side) channels(n int) device.Array              { return s.normal(device.Float32, n) }

// empty returns an array to be written to.
func (s *side) empty(t device.Type, n int) device.Array {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.NaN())
	}
	return s.array(t, x)
}

func (s *side) source(t device.Type, n, c int, scaled, relu bool) device.Source {
	src := device.Source{X: s.normal(t, n), ReLU: relu}
	if scaled {
		src.Scale, src.Shift = s.channels(c), s.channels(c)
	}
	return src
}

// show has an array compared, within a tolerance.
func (s *side) show(name string, a device.Array, tol float64) {
	s.shown = append(s.shown, shown{name, s.values(a), tol, 0})
}

// showValues is show with the tolerance that the type of an array has.
func (s *side) showValues(name string, a device.Array) {
	tol := near32
	if a.Type() == device.BFloat16 {
		tol = near16
	}
	s.show(name, a, tol)
}

// values returns what an array holds.
func (s *side) values(a device.Array) []float64 {
	n, x := a.Len(), make([]float64, a.Len())
	switch a.Type() {
	case device.Float64:
		for i, v := range s.words(a) {
			x[i/2] = math.Float64frombits(math.Float64bits(x[i/2]) | uint64(math.Float32bits(v))<<(i%2*32))
		}
	case device.Uint8:
		if s.cpu {
			for i, v := range device.Bytes(a) {
				x[i] = float64(v)
			}
			break
		}
		whole := s.Alloc(device.Uint8, (n+3)/4*4)
		s.Copy(whole.Slice(0, n), a)
		words := s.words(whole)
		for i := range x {
			x[i] = float64(math.Float32bits(words[i/4]) >> (i % 4 * 8) & 255)
		}
	default:
		y := make([]float32, n)
		s.Down(y, a)
		for i, v := range y {
			x[i] = float64(v)
		}
	}
	return x
}

// words returns what an array holds, four bytes at a time.
func (s *side) words(a device.Array) []float32 {
	a = a.As(device.Float32)
	x := make([]float32, a.Len())
	s.Down(x, a)
	return x
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
