package model

import (
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/parallel"
)

// deferAll makes Defer put off the gradient of every expander until the test ends.
func deferAll(t *testing.T) {
	was := DeferFrom
	DeferFrom = 1
	t.Cleanup(func() { DeferFrom = was })
}

// TestDefer: gradients that are put off are those that are not, whatever the
// order of the views, and the same bits for any number of workers.
func TestDefer(t *testing.T) {
	deferAll(t)
	const n = 5
	b := newBranch(t, tiny, "48-40-24", 1)
	x1, x2 := images(1, n, 8, 1), images(2, n, 8, 1)
	dz1, dz2 := check.Random(3, n*24), check.Random(4, n*24)
	plain, deferred := NewJoint(device.Local, b, b), NewJoint(device.Local, b, b)
	deferred.Defer()
	if deferred.later == nil {
		t.Fatal("nothing was put off")
	}
	for name, step := range map[string]func(j *Joint){
		"both": func(j *Joint) {
			forward(j, x1, x2)
			backward(j, dz1, dz2)
		},
		"one after the other": func(j *Joint) {
			j.Forward(0, x1)
			j.Backward(0, device.Of(dz1), device.Array{})
			j.Forward(1, x2)
			j.Backward(1, device.Of(dz2), device.Array{})
		},
		"one released": func(j *Joint) {
			forward(j, x1, x2)
			j.Backward(1, device.Of(dz2), device.Array{})
			j.Release(0)
		},
		"none": func(j *Joint) {
			j.Forward(0, x1)
			j.Release(0)
		},
	} {
		plain.ZeroGrad()
		step(plain)
		want := snapshot(plain.Params())
		for range 2 { // the second time finds the memory of the first
			deferred.ZeroGrad()
			step(deferred)
			check.Close(t, name, snapshot(deferred.Params()), want, 1e-6)
		}
		got := snapshot(deferred.Params())
		defer parallel.SetWorkers(0)
		for _, workers := range []int{1, 3} {
			parallel.SetWorkers(workers)
			deferred.ZeroGrad()
			step(deferred)
			if !slices.Equal(snapshot(deferred.Params()), got) {
				t.Errorf("%s: %d workers give other bits", name, workers)
			}
		}
	}
}

// Putting off allocates nothing once its memory has grown.
func TestDeferMemory(t *testing.T) {
	deferAll(t)
	defer parallel.SetWorkers(0)
	parallel.SetWorkers(1)
	const n = 5
	x1, x2 := images(1, n, 8, 1), images(2, n, 8, 1)
	dz1, dz2 := check.Random(3, n*64), check.Random(4, n*64)
	b := newBranch(t, tiny, "128-64", 1)
	allocations := func(j *Joint) float64 {
		return testing.AllocsPerRun(5, func() {
			j.ZeroGrad()
			forward(j, x1, x2)
			backward(j, dz1, dz2)
		})
	}
	plain, deferred := NewJoint(device.Local, b, b), NewJoint(device.Local, b, b)
	deferred.Defer()
	if with, without := allocations(deferred), allocations(plain); with > without {
		t.Errorf("a step allocates %g times, without putting off %g times", with, without)
	}
}
