package reckon

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/device/blank"
	"vicreg/internal/host"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/method"
	"vicreg/internal/recipe"
)

// card is a device with so many bytes.
func card(free, total float64, half bool) *Card {
	return &Card{"cuda", free, total, &blank.Device{Half: half, Kept: 1 << 22}, shape.BF16}
}

// A device's memory is checked by what it holds, the host's by what is beside it; what is
// said to fit does.
func TestCard(t *testing.T) {
	t.Setenv(host.MemoryVariable, "64GB")
	with := func(batch int) recipe.Config {
		return load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = batch })
	}
	on := func(batch int, card *Card) Need {
		need, err := Run(with(batch), Data{Items: 1_281_167, Card: card})
		if err != nil {
			t.Fatal(err)
		}
		return need
	}
	large, full := card(79e9, 80e9, true), card(79e9, 80e9, false)
	inHalf, inFull := on(256, large), on(256, full)
	t.Logf("ResNet-50, 224 pixels, batch 256: %.1f GB in bfloat16, %.1f in float32, %.1f on the host", inHalf.OnCard()/1e9,
		inFull.OnCard()/1e9, inHalf.OnHost(large)/1e9)
	if half := inHalf.OnCard(); half >= inFull.OnCard() || half < 8e9 || half > 25e9 ||
		inHalf.OnHost(large) > 0.5*on(256, nil).OnHost(nil) {
		t.Errorf("a step needs %.3g in bfloat16, %.3g in float32, %.3g of the host, %.3g without a device", half,
			inFull.OnCard(), inHalf.OnHost(large), on(256, nil).OnHost(nil))
	}
	if note, err := CheckOn(with(256), Data{}, large); note != "" || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	small := card(10e9, 16e9, false)
	_, err := CheckOn(with(512), Data{}, small)
	if err == nil || !strings.Contains(err.Error(), "of the device's memory, and 10 GB of the 16 GB of cuda are free: a batch of ") {
		t.Fatal(err)
	}
	fits := func(says string, card Card) {
		t.Helper()
		var batch int
		if _, err := fmt.Sscanf(says[strings.Index(says, "a batch of "):], "a batch of %d would fit", &batch); err != nil {
			t.Fatalf("%q: %v", says, err)
		}
		for _, b := range []int{batch, batch + 1} {
			if _, err := CheckOn(with(b), Data{}, &card); (err == nil) != (b == batch) {
				t.Errorf("batch %d of %d: %v", b, batch, err)
			}
		}
	}
	fits(err.Error(), *small)

	// Where it was reckoned to fit and did not, what is named is smaller.
	says := Smaller(with(256), Data{}, large)
	const fixed = libraries + products
	fits(says, *card(fixed+0.8*(inHalf.OnCard()-fixed), 80e9, true))
	if says := Smaller(with(256), Data{}, nil); !strings.Contains(says, "a batch of ") {
		t.Error(says)
	}
	if err := InferenceOn(with(4096), small); err == nil || !strings.Contains(err.Error(), "take a smaller batch") {
		t.Error(err)
	}
	if err := InferenceOn(with(64), large); err != nil {
		t.Error(err)
	}
}

// sized is a device without anything that knows how much memory there is.
type sized struct{ *blank.Device }

func (sized) Room() (free, total int) { return 1 << 30, 1 << 30 }

// What is reckoned for a device's activations is what a method takes of it: half as much
// as in float32 where it stores bfloat16, and more where it keeps more sums.
func TestCardActivations(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("these are more bytes than an int counts here")
	}
	for _, half := range []bool{false, true} {
		for _, kept := range []int{1 << 22, 1 << 30} {
			c := load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) {
				c.Expander, c.Batch, c.Precision = "1024-512", 128, "bf16"
			})
			d := sized{&blank.Device{Half: half, Kept: kept}}
			need, err := Run(c, Data{Items: 1 << 20, Card: CardOf(d, shape.BF16)})
			if err != nil {
				t.Fatal(err)
			}
			m, err := method.New(c, method.Data{Device: d})
			if err != nil {
				t.Fatal(err)
			}
			values := 0
			for _, p := range m.Params() {
				values += 2 * 4 * p.Value.Len()
			}
			took := float64(d.Held - values)
			if off := need.Activations/took - 1; off < 0 || off > 0.1 {
				t.Errorf("half %v, sums up to %d kept: reckoned %.3g bytes of activations, took %.3g", half, kept,
					need.Activations, took)
			}
			m.Close()
		}
	}
}

var _ device.Sized = sized{}
