package reckon

import (
	"strings"
	"testing"

	"vicreg/internal/host"
	"vicreg/internal/recipe"
)

// A batch of 1024 in pieces of 128 takes little more memory than a batch of 128, on the
// processor and on a card: one view of a piece is on its way at a time, and the views and
// embeddings of the batch are small beside that.
func TestPiecesTakeTheMemoryOfPieces(t *testing.T) {
	photos := func(batch, piece int) recipe.Config {
		return load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch, c.MicroBatch = batch, piece })
	}
	small := func(size int) func(batch, piece int) recipe.Config {
		return func(batch, piece int) recipe.Config {
			return load(t, "cifar", "vicreg", func(c *recipe.Config) { c.Size, c.Batch, c.MicroBatch = size, batch, piece })
		}
	}
	for _, x := range []struct {
		what   string
		config func(batch, piece int) recipe.Config
		card   *Card
	}{
		{"ResNet-50 at 224 pixels", photos, nil},
		{"ResNet-50 at 224 pixels on a card in float32", photos, card(79e9, 80e9, false)},
		{"ResNet-50 at 224 pixels on a card in bfloat16", photos, card(79e9, 80e9, true)},
		{"ResNet-18 at 32 pixels", small(32), nil},
		{"ResNet-18 at 64 pixels", small(64), nil},
	} {
		need := func(batch, piece int) float64 {
			n, err := Run(x.config(batch, piece), Data{Items: 50_000, Card: x.card})
			if err != nil {
				t.Fatal(err)
			}
			if x.card != nil {
				return n.OnCard()
			}
			return n.Total()
		}
		whole, piece, pieces := need(1024, 0), need(128, 0), need(1024, 128)
		t.Logf("%s: batch 1024 %.2f GB, 128 %.2f GB, 1024 in pieces of 128 %.2f GB", x.what, whole/1e9, piece/1e9, pieces/1e9)
		if pieces > 1.2*piece {
			t.Errorf("%s: pieces take %.2f of what a batch of their size takes", x.what, pieces/piece)
		}
	}
}

// Where a batch is too large, pieces that fit are named, and they fit.
func TestPiecesThatFit(t *testing.T) {
	container := host.Memory{Bytes: 9e9, Limit: "this container may use"}
	c := load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = 512 })
	_, err := checkIn(c, Data{}, container)
	if err == nil || !strings.HasSuffix(err.Error(), " would fit, and so would this one in pieces of 64 (--micro-batch 64)") {
		t.Fatal(err)
	}
	for piece, fits := range map[int]bool{64: true, 128: false} {
		c.MicroBatch = piece
		if _, err := checkIn(c, Data{}, container); (err == nil) != fits {
			t.Errorf("pieces of %d: %v", piece, err)
		}
	}
	if _, err := checkIn(c, Data{}, host.Memory{Bytes: 5e9, Limit: "this container may use"}); err == nil ||
		!strings.Contains(err.Error(), "with batch 512 in pieces of ") || !strings.Contains(err.Error(), ": pieces of ") {
		t.Error(err)
	}
}
