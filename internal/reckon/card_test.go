package reckon

import (
	"fmt"
	"strings"
	"testing"

	"vicreg/internal/host"
	"vicreg/internal/recipe"
)

// A device's memory is checked by what it holds, the host's by what is beside it; what is
// said to fit does.
func TestCard(t *testing.T) {
	t.Setenv(host.MemoryVariable, "64GB")
	with := func(batch int) recipe.Config {
		return load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = batch })
	}
	large := &Card{"cuda", 79e9, 80e9, true}
	need, err := Run(with(256), Data{Items: 1_281_167})
	if err != nil {
		t.Fatal(err)
	}
	full := *large
	full.Half = false
	t.Logf("ResNet-50, 224 pixels, batch 256: %.1f GB in bfloat16, %.1f in float32, %.1f on the host", need.OnCard(*large)/1e9,
		need.OnCard(full)/1e9, need.OnHost(large)/1e9)
	if half := need.OnCard(*large); half >= need.OnCard(full) || half < 8e9 || half > 25e9 ||
		need.OnHost(large) > 0.5*need.OnHost(nil) {
		t.Errorf("a step needs %.3g in bfloat16, %.3g in float32, %.3g of the host, %.3g without a device", half,
			need.OnCard(full), need.OnHost(large), need.OnHost(nil))
	}
	if note, err := CheckOn(with(256), Data{}, large); note != "" || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	small := &Card{"cuda", 10e9, 16e9, false}
	_, err = CheckOn(with(512), Data{}, small)
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
	need, _ = Run(with(256), Data{})
	const fixed = libraries + products
	fits(says, Card{"cuda", fixed + 0.8*(need.OnCard(*large)-fixed), 80e9, true})
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
