package cuda_test

import (
	"slices"
	"strings"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/group/local"
)

// Cards that are linked add and gather in the order of what is queued, also where all of
// that comes late.
func TestRanks(t *testing.T) {
	for _, late := range []bool{false, true} {
		errs := local.Run(3, func(g group.Group) error {
			d, err := cuda.New(sim.New(sim.Options{Late: late}))
			if err != nil {
				return err
			}
			defer d.Close()
			if device.Link(d) != nil {
				t.Error("a card is linked before it has joined others")
			}
			if why, err := d.Join(g); why != "" || err != nil {
				t.Errorf("it does not join: %s, %v", why, err)
			}
			link := device.Link(d)
			x, wide, all := d.Alloc(device.Float32, 5), d.Alloc(device.Float64, 2), d.Alloc(device.Float32, 15)
			for range 3 {
				d.Fill(x, float32(g.Rank()+1))
				d.UpWide(wide, []float64{1, float64(10 * g.Rank())})
				link.GatherRanks(all, x)
				link.SumRanks([]device.Array{x, wide})
				d.Axpy(x, 2, x)
				got, gathered, sums := make([]float32, 5), make([]float32, 15), make([]float64, 2)
				d.Down(got, x)
				d.Down(gathered, all)
				d.DownWide(sums, wide)
				if !slices.Equal(got, []float32{18, 18, 18, 18, 18}) || !slices.Equal(sums, []float64{3, 30}) ||
					!slices.Equal(gathered, []float32{1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3}) {
					t.Errorf("rank %d has %v, %v, gathered %v", g.Rank(), got, sums, gathered)
				}
			}
			return nil
		})
		if err := local.First(errs); err != nil {
			t.Error(err)
		}
	}
}

// Cards that cannot be linked say why, on all ranks.
func TestRanksThatCannot(t *testing.T) {
	for says, options := range map[string]func(rank int) sim.Options{
		"processes 0 and 2 share a card": func(rank int) sim.Options {
			return sim.Options{Card: cuda.Card{Places: []string{[]string{"a", "b", "a"}[rank]}}}
		},
		"process 1: cuDeviceGetUuid failed": func(rank int) sim.Options {
			return sim.Options{Fail: func(call string, _ int) error {
				if call == "cuDeviceGetUuid" && rank == 1 {
					return &cuda.Error{Call: call, Code: 1}
				}
				return nil
			}}
		},
	} {
		errs := local.Run(3, func(g group.Group) error {
			d, err := cuda.New(sim.New(options(g.Rank())))
			if err != nil {
				return err
			}
			defer d.Close()
			why, err := d.Join(g)
			if !strings.Contains(why, says) || device.Link(d) != nil {
				t.Errorf("rank %d: %q, %v; want %q", g.Rank(), why, device.Link(d) != nil, says)
			}
			return err
		})
		if err := local.First(errs); err != nil {
			t.Error(err)
		}
	}
}
