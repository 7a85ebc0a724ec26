package winograd

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
)

// The transforms of each variant against the matrices.
func TestWinogradTransforms(t *testing.T) {
	transforms := []struct {
		name   string
		run    func(p *winogradArgs, channels int)
		matrix *winogradMatrix
	}{
		{"B", winogradInput, &winogradB},
		{"A", winogradGrad, &winogradA},
		{"Aᵀ", winogradOutput, &winogradAT},
		{"G", winogradWeight, &winogradG},
		{"Gᵀ", winogradWeightGrad, &winogradGT},
		{"winogradInput2", winogradInput2, &winogradB2},
		{"winogradOutput2", winogradOutput2, &winogradA2T},
		{"winogradGrad2", winogradGrad2, &winogradA2},
		{"winogradBack2", winogradBack2, &winogradBack},
		{"winogradBackOutput2", winogradBackOutput2, &winogradBackT},
		{"winogradWeight2", winogradWeight2, &winogradG2},
		{"winogradWeightGrad2", winogradWeightGrad2, &winogradG2T},
		{"winogradOutputPairs", winogradOutputPairs, &winogradATPairs},
		{"winogradWeightPairs", winogradWeightPairs, &winogradGPairs},
	}
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		const items, channels, gap = 3, 48, 5
		for _, tr := range transforms {
			in, out := tr.matrix.in, tr.matrix.out
			col := channels + gap
			src := check.Normal(r, items*in*in*col)
			got, want := make([]float32, items*out*out*col), make([]float32, items*out*out*col)
			args := winogradArgs{
				dstRow: uintptr(4 * out * col), dstCol: uintptr(4 * col), dstItem: uintptr(4 * out * out * col),
				src: &src[0], srcRow: uintptr(4 * in * col), srcCol: uintptr(4 * col),
				srcItem: uintptr(4 * in * in * col),
				items:   items,
			}
			args.dst = &want[0]
			tr.matrix.plain(&args, channels)
			args.dst = &got[0]
			tr.run(&args, channels)
			check.Close(t, tr.name, got, want, 1e-6)
		}
	})
}

// The input transform to bfloat16. Of small whole numbers all sums are exact, so that the one
// rounding gives the same bits.
func TestWinogradInputPairs(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 3))
		const items, channels, gap = 3, 48, 4
		const col = channels + gap
		src := make([]float32, items*16*col)
		for i := range src {
			src[i] = float32(r.IntN(1<<12) - 1<<11)
		}
		got, want := make([]float32, items*16*col/2), make([]float32, items*16*col/2)
		args := winogradArgs{
			dstRow: 2 * 4 * col, dstCol: 2 * col, dstItem: 2 * 16 * col,
			src: &src[0], srcRow: 4 * 4 * col, srcCol: 4 * col, srcItem: 4 * 16 * col,
			items: items,
		}
		args.dst = &want[0]
		winogradBPairs.plainHalf(&args, channels)
		args.dst = &got[0]
		winogradInputPairs(&args, channels)
		check.SameBits(t, "tiles", got, want)
		if got[0] == 0 || got[channels/2] != 0 {
			t.Error("values are not where they belong")
		}
	})
}

func TestEnvError(t *testing.T) {
	for _, v := range []string{"", "0", "1"} {
		if t.Setenv(Variable, v); EnvError() != nil {
			t.Error(EnvError())
		}
	}
	for _, v := range []string{"false", "01"} {
		if t.Setenv(Variable, v); EnvError() == nil {
			t.Errorf("%q is taken", v)
		}
	}
}
