package advice

import (
	"strings"
	"testing"

	"vicreg/internal/recipe"
)

// The base learning rate that is left to the batch is the paper's (table 13), or the
// configuration's own where the paper has none.
func TestRate(t *testing.T) {
	for _, x := range []struct {
		recipe, method, optimizer string
		batch                     int
		rate                      float64
		why                       string
	}{
		{"imagenet-100ep", "vicreg", "lars", 32, 0.8, "the paper's for a batch of 128, the smallest of its table 13"},
		{"imagenet-100ep", "vicreg", "lars", 128, 0.8, "the paper's for a batch of 128 (table 13)"},
		{"imagenet-100ep", "vicreg", "lars", 129, 0.5, "the paper's for a batch of 256, the next above 129 in its table 13"},
		{"imagenet-100ep", "vicreg", "lars", 256, 0.5, ""},
		{"imagenet-100ep", "vicreg", "lars", 512, 0.4, ""},
		{"imagenet-100ep", "vicreg", "lars", 513, 0.3, "the paper's for batches above 512 (table 13)"},
		{"imagenet-100ep", "vicreg", "lars", 4096, 0.3, ""},
		{"imagenet-1000ep", "vicreg", "lars", 256, 0.2, "as published for 1000 epochs"},
		{"imagenet-100ep", "byol", "lars", 256, 0.45, "as it was; the paper has rates by batch (table 13) for VICReg, and this is byol"},
		{"imagenet-100ep", "vicreg", "sgd", 256, 0.3, "for lars, and this is sgd"},
	} {
		c, err := recipe.LoadFor(x.recipe, x.method)
		if err != nil {
			t.Fatal(err)
		}
		c.Batch, c.Optimizer.Name, c.Optimizer.BaseLRAuto = x.batch, x.optimizer, true
		got := Rate(&c)
		if got.Key != "base_lr" || got.Value != x.rate || c.Optimizer.BaseLR != x.rate || !strings.Contains(got.Reason, x.why) {
			t.Errorf("%+v: chosen %v, the configuration has %v", x, got, c.Optimizer.BaseLR)
		}
		if c.Optimizer.BaseLRAuto || len(c.Undecided()) > 0 {
			t.Errorf("%+v: the rate is still open", x)
		}
	}
}
