//go:build native && linux && (amd64 || arm64)

package cuda_test

import (
	"flag"
	"slices"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/card"
	"vicreg/internal/device"
	"vicreg/internal/group"
)

var onCard = flag.Bool("card", false, "compute on the first card instead of on the host")

func init() {
	host := newDriver
	newDriver = func(t testing.TB) cuda.Driver {
		if !*onCard {
			return host(t)
		}
		d, err := card.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

// A card joins others by NCCL, here none but itself, if NCCL is there.
func TestJoinOnCard(t *testing.T) {
	if !*onCard {
		t.Skip("it is for a card")
	}
	d, err := cuda.New(newDriver(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	why, err := d.Join(group.Alone{})
	if err != nil {
		t.Fatal(err)
	}
	if why != "" {
		t.Skip(why)
	}
	x, wide, all := d.Alloc(device.Float32, 1000), d.Alloc(device.Float64, 3), d.Alloc(device.Float32, 1000)
	d.Fill(x, 3)
	d.UpWide(wide, []float64{1, 2, 4})
	link := device.Link(d)
	link.SumRanks([]device.Array{x, wide})
	link.GatherRanks(all, x)
	got, sums := make([]float32, 1000), make([]float64, 3)
	d.Down(got, all)
	d.DownWide(sums, wide)
	if got[0] != 3 || got[999] != 3 || !slices.Equal(sums, []float64{1, 2, 4}) {
		t.Errorf("sums over one card are %v and %v, gathered %v", got[0], sums, got[999])
	}
}
