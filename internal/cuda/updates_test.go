package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// counted returns a device, and where it is simulated the driver, which counts.
func counted(t testing.TB) (*cuda.Device, *sim.Driver) {
	t.Helper()
	driver := newDriver(t)
	d, err := cuda.New(driver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	counts, _ := driver.(*sim.Driver)
	return d, counts
}

// launches returns how often kernels of some names ran since the last call, 0 on a card.
func launches(driver *sim.Driver, names ...string) (n int) {
	if driver == nil {
		return 0
	}
	defer driver.Reset()
	for _, name := range names {
		n += driver.Launches(name)
	}
	return n
}

// lifted brings values to a device.
func lifted(d device.Device, x []float32) device.Array {
	a := d.Alloc(device.Float32, len(x))
	d.Up(a, x)
	return a
}

func lowered(d device.Device, a device.Array) []float32 {
	x := make([]float32, a.Len())
	d.Down(x, a)
	return x
}

// lengths of parameters: several pieces, one that is no multiple of four, small ones.
var lengths = []int{20_000, 1, 8192, 7, 1026, 16}

// members returns a group with values of its own on each device, equal ones.
func members(devices []device.Device, r *rand.Rand) [][]device.Member {
	groups := make([][]device.Member, len(devices))
	for i, n := range lengths {
		w, m, v, g := check.Normal(r, n), check.Normal(r, n), check.Normal(r, n), check.Normal(r, n)
		for j := range v {
			v[j] *= v[j]
		}
		if i == 3 {
			clear(w) // no ratio
		}
		for k, d := range devices {
			groups[k] = append(groups[k], device.Member{W: lifted(d, w), M: lifted(d, m), V: lifted(d, v),
				G: lifted(d, g), Decay: i%2 == 0 || i == 3, Static: i == 2, Frozen: i == 4})
		}
	}
	return groups
}

func closeMembers(t *testing.T, what string, d device.Device, got, want []device.Member) {
	t.Helper()
	for i := range got {
		for name, pair := range map[string][2]device.Array{"w": {got[i].W, want[i].W}, "m": {got[i].M, want[i].M},
			"v": {got[i].V, want[i].V}, "g": {got[i].G, want[i].G}} {
			check.Close(t, fmt.Sprintf("%s: %s of %d", what, name, got[i].W.Len()), lowered(d, pair[0]), pair[1].Host(), 1e-5)
		}
	}
}

// Every rule changes all members as the CPU does, with one launch.
func TestUpdates(t *testing.T) {
	d, driver := counted(t)
	const eps, clip = 1e-3, true
	for name, u := range map[string]device.Update{
		"momentum":  {Rule: device.ByMomentum},
		"nesterov":  {Rule: device.ByNesterov},
		"lars":      {Rule: device.ByLARS},
		"lars eps":  {Rule: device.ByLARS, Eps: eps},
		"lars clip": {Rule: device.ByLARS, Eps: eps, Clip: clip, Eta: 0.1},
		"adam":      {Rule: device.ByAdam, Eps: eps},
	} {
		for _, norm := range []bool{false, true} {
			u.Momentum, u.WeightDecay, u.Betas = 0.9, 0.05, [2]float64{0.9, 0.99}
			if u.Eta == 0 {
				u.Eta = 0.02
			}
			far, near := u, u
			groups := members([]device.Device{d, device.Local}, rand.New(rand.NewPCG(1, 2)))
			far.Members, near.Members = groups[0], groups[1]
			for step := range 3 {
				for _, u := range []*device.Update{&far, &near} {
					u.Number++
				}
				launches(driver)
				if norm {
					got, want := d.Norm(&far), device.Local.Norm(&near).Read()
					if got.Here() {
						t.Errorf("%s: the norm is there before it can be", name)
					}
					check.Scalar(t, fmt.Sprintf("%s norm, step %d", name, step), got.Read(), want, 1e-6)
				}
				for _, u := range []*device.Update{&far, &near} {
					u.LR, u.Peak = 0.3/float64(step+1), 0.2
				}
				d.Update(&far)
				device.Local.Update(&near)
				if n := launches(driver, ""); n > 5 {
					t.Errorf("%s: %d launches in step %d", name, n, step)
				}
				closeMembers(t, fmt.Sprintf("%s, step %d", name, step), d, far.Members, near.Members)
				// What is frozen, and what is not, may change.
				far.Members[4].Frozen, near.Members[4].Frozen = step != 0, step != 0
			}
		}
	}
}

// Where the gradient is not finite nothing changes, in whatever parameter it is.
func TestUpdateOfNoNumbers(t *testing.T) {
	d, _ := counted(t)
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e38} {
		groups := members([]device.Device{d, device.Local}, rand.New(rand.NewPCG(3, 4)))
		u := device.Update{Rule: device.ByMomentum, LR: 1, Momentum: 0.5}
		u.Members = groups[0]
		d.Fill(groups[0][3].G.Slice(2, 3), v)
		groups[1][3].G.Host()[2] = v
		norm := d.Norm(&u)
		d.Update(&u)
		if n := norm.Read(); !math.IsNaN(n) && !math.IsInf(n, 0) {
			t.Errorf("a gradient of %v has the norm %v", v, n)
		}
		for i, m := range groups[0] {
			check.Close(t, "w", lowered(d, m.W), groups[1][i].W.Host(), 0)
			check.Close(t, "m", lowered(d, m.M), groups[1][i].M.Host(), 0)
		}
	}
}

func TestBlendAndClear(t *testing.T) {
	d, driver := counted(t)
	groups := members([]device.Device{d, device.Local}, rand.New(rand.NewPCG(5, 6)))
	far, near := &device.Group{Members: groups[0]}, &device.Group{Members: groups[1]}
	launches(driver)
	d.Blend(far, 0.9, 0.1)
	device.Local.Blend(near, 0.9, 0.1)
	closeMembers(t, "blend", d, far.Members, near.Members)
	if n := launches(driver, "update_blend"); n > 1 {
		t.Errorf("%d launches of a blend", n)
	}
	d.Clear(far)
	device.Local.Clear(near)
	closeMembers(t, "clear", d, far.Members, near.Members)
	if n := launches(driver, "update_clear"); n > 1 {
		t.Errorf("%d launches of a clear", n)
	}
}

// Products read bfloat16 copies of weights: an update writes them, or they are made anew.
func TestUpdatedWeightsAreRead(t *testing.T) {
	d, driver := counted(t)
	for _, s := range []device.Conv{
		{N: 1, H: 2, W: 2, C: 16, K: 8, R: 1, S: 1, Stride: 1},
		{N: 1, H: 4, W: 4, C: 8, K: 16, R: 3, S: 3, Stride: 1, Pad: 1},
	} {
		r := rand.New(rand.NewPCG(7, 8))
		w, g := check.Normal(r, s.WeightLen()), check.Normal(r, s.WeightLen())
		x := check.Normal(r, s.N*s.H*s.W*s.C)
		u := device.Update{Rule: device.ByMomentum}
		u.Members = []device.Member{{W: lifted(d, w), G: lifted(d, g), M: d.Alloc(device.Float32, len(w))}}
		in, out := d.Alloc(device.BFloat16, len(x)), d.Alloc(device.BFloat16, s.OutLen())
		d.Up(in, x)
		d.Update(&u) // by zero, when there is no copy yet
		u.LR = 0.5
		for step := range 3 {
			launches(driver)
			d.ConvForward(out, s, device.Source{X: in}, u.Members[0].W, device.Sums{})
			if n := launches(driver, "apply8", "apply1"); driver != nil && s.R == 1 && (n > 0) != (step == 0) {
				t.Errorf("step %d: a copy of weights is made anew %d times", step, n)
			}
			for i := range w {
				if step > 0 {
					w[i] -= 0.5 * g[i]
				}
			}
			want := make([]float32, s.OutLen())
			device.Local.ConvForward(device.Of(want), s, device.Source{X: device.Of(x)}, device.Of(w), device.Sums{})
			check.Close(t, fmt.Sprintf("%d × %d, step %d", s.R, s.S, step), lowered(d, out), want, 2e-2)
			d.Update(&u)
		}
	}
}
