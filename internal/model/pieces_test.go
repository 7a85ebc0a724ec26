package model

import (
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/tensor"
)

// inPieces takes views through in pieces of some rows, and returns their embeddings.
func inPieces(t testing.TB, j *Joint, rows int, views []*tensor.Tensor, dz [][]float32) (z [][]float32) {
	n, d := views[0].Shape[0], j.Branch(0).Expander.Dim()
	z = make([][]float32, len(views))
	for from := 0; from < n; from += rows {
		for i, x := range views {
			z[i] = append(z[i], j.Embed(i, x, from, min(from+rows, n)).Z.X.Host()...)
		}
	}
	for from := 0; from < n; from += rows {
		to := min(from+rows, n)
		for i, x := range views {
			if v := j.Again(i, x, from, to); !slices.Equal(v.Z.X.Host(), z[i][from*d:to*d]) {
				t.Fatalf("items %d to %d of view %d have other embeddings the second time", from, to, i)
			}
			j.Backward(i, device.Of(dz[i][from*d:to*d]), device.Array{})
		}
	}
	j.Finish()
	return z
}

// Gradients of pieces that are put off are those that are not.
func TestDeferPieces(t *testing.T) {
	deferAll(t)
	const n, rows = 8, 3
	b := newBranch(t, tiny, "48-80-64", 1)
	views := []*tensor.Tensor{images(1, n, 8, 1), images(2, n, 8, 1)}
	dz := [][]float32{check.Random(3, n*64), check.Random(4, n*64)}
	plain, deferred := NewJoint(device.Local, b, b), NewJoint(device.Local, b, b)
	deferred.DeferPieces(2 * n)
	put := 0
	for _, p := range deferred.Params() {
		if deferred.later != nil && deferred.later.Has(p) {
			put++
		}
	}
	if put != 3 {
		t.Fatalf("%d gradients are put off", put)
	}
	plain.ZeroGrad()
	inPieces(t, plain, rows, views, dz)
	want := snapshot(plain.Params())
	for range 2 { // the second time finds the memory of the first
		deferred.ZeroGrad()
		inPieces(t, deferred, rows, views, dz)
		check.Close(t, "gradients", snapshot(deferred.Params()), want, 1e-6)
		if deferred.Arena().Lent() != 0 {
			t.Errorf("%d bytes still lent", deferred.Arena().Lent())
		}
	}
	more := NewJoint(device.Local, b, b)
	if more.DeferPieces(1000); more.later != nil {
		t.Error("gradients are put off although their rows take more memory")
	}
}

// Pieces in steady state take no memory, and an arena as large as one view of a piece.
func TestPiecesAllocateNothing(t *testing.T) {
	const n, rows = 12, 3
	b := newBranch(t, tiny, "16-8", 1)
	x := images(1, n, 16, 1)
	dz := check.Random(3, n*8)
	j := NewJoint(device.Local, b, b)
	step := func() {
		j.ZeroGrad()
		for i := range 2 {
			for from := 0; from < n; from += rows {
				j.Embed(i, x, from, from+rows)
			}
		}
		for i := range 2 {
			for from := 0; from < n; from += rows {
				j.Again(i, x, from, from+rows)
				j.Backward(i, device.Of(dz[from*8:(from+rows)*8]), device.Array{})
			}
		}
		j.Finish()
	}
	step()
	if got := testing.AllocsPerRun(2, step); got > 0 {
		t.Errorf("a step allocates %v times", got)
	}
	one := NewJoint(device.Local, b)
	one.Forward(0, images(1, rows, 16, 1))
	one.Backward(0, device.Of(dz[:rows*8]), device.Array{})
	if got, want := j.Arena().Peak(), one.Arena().Peak(); got != want {
		t.Errorf("pieces of two views lend %d bytes at most, one piece of one view %d", got, want)
	}
}
