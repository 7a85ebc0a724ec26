package main

import (
	"encoding/json"
	"math"
	"os/exec"
	"slices"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/recipe"
)

// Operations that are counted by hand: ResNet-18 with the small stem does 0.5554
// thousand million multiply-adds on 32 × 32 pixels.
func TestOperationsOfAStep(t *testing.T) {
	c, err := recipe.Load("cifar")
	if err != nil {
		t.Fatal(err)
	}
	c.Channels, c.Batch, c.Expander = 3, 2, "8-8"
	_, images, flops, err := embedWork(device.Local, c)
	if err != nil {
		t.Fatal(err)
	}
	const image = 2 * 0.5554e9
	if want := 2 * image; images != 2 || math.Abs(float64(flops)/want-1) > 0.001 {
		t.Errorf("inference: %d images, %d operations, want %.4g", images, flops, want)
	}
	_, images, flops, err = stepWork(device.Local, c)
	if err != nil {
		t.Fatal(err)
	}
	// Two views; forward, gradient of the input and gradient of the weights.
	if want := 2 * 3 * 2 * image; images != 2 || math.Abs(float64(flops)/want-1) > 0.001 {
		t.Errorf("a step: %d images, %d operations, want %.4g", images, flops, want)
	}
}

func TestTimingsAgree(t *testing.T) {
	out, err := exec.Command("vicreg", "bench", "loss", "--n", "8", "--d", "16", "--steps", "4", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got timing
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-6*b }
	// Each branch: 8 × 8 products of 16, and 8 × 16 of 8.
	if !near(got.ImagesPerSecond*got.Median, 8) || !near(got.Gflops*1e9*got.Median, 2*2*(8*8*16+8*16*8)) {
		t.Errorf("%+v", got)
	}
	sorted := slices.Sorted(slices.Values(got.Times))
	if len(sorted) != 4 || got.Min != sorted[0] || got.Max != sorted[3] || !near(got.Median, (sorted[1]+sorted[2])/2) {
		t.Errorf("%+v", got)
	}
}

// Benchmarks run on a card as well.
func TestWorkloadsOnACard(t *testing.T) {
	t.Parallel()
	d, err := cuda.New(sim.New(sim.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	c, err := recipe.Load("cifar")
	if err != nil {
		t.Fatal(err)
	}
	c.Channels, c.Batch, c.Expander, c.Size, c.Encoder.Arch, c.Encoder.Width = 3, 4, "8-8", 8, "resnet10", 2
	for name, setup := range map[string]func() (func() error, int, int, error){
		"step":  func() (func() error, int, int, error) { return stepWork(d, c) },
		"embed": func() (func() error, int, int, error) { return embedWork(d, c) },
		"loss":  func() (func() error, int, int, error) { return lossWork(d, 8, 16) },
	} {
		run, images, flops, err := setup()
		if err != nil || images < 4 || flops <= 0 {
			t.Fatalf("%s: %d images, %d operations, %v", name, images, flops, err)
		}
		for range 2 {
			if err := run(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if now, peak, held := d.Used(); now <= 0 || peak < now || held < peak {
		t.Errorf("%d bytes in use, %d at most, %d held", now, peak, held)
	}
}
