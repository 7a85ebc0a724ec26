package reckon

import (
	"strings"
	"testing"

	"vicreg/internal/host"
	"vicreg/internal/recipe"
)

// Each of several processes takes its part of a batch through the network, and has the
// embeddings of all of it; those on one machine share its memory.
func TestProcesses(t *testing.T) {
	c := load(t, "imagenet-100ep", "vicreg", func(c *recipe.Config) { c.Batch = 256 })
	whole, err := Run(c, Data{})
	if err != nil {
		t.Fatal(err)
	}
	part, err := Run(c, Data{Processes: 4})
	if err != nil {
		t.Fatal(err)
	}
	r := part.Activations / whole.Activations
	if r < 0.2 || r > 0.35 || part.Loss != whole.Loss || part.Network != whole.Network {
		t.Errorf("a process of four holds %+v, one alone %+v", part, whole)
	}
	t.Setenv(host.MemoryVariable, "30GB")
	if _, err := Check(c, Data{Processes: 4}); err != nil {
		t.Error(err)
	}
	_, err = Check(c, Data{Processes: 6, Here: 6})
	const want = "each of 6 processes on this machine may have 5.0 GB: a batch of "
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, want %s", err, want)
	}
	var batch int
	rest := err.Error()[strings.Index(err.Error(), want)+len(want):]
	for _, r := range rest {
		if r < '0' || r > '9' {
			break
		}
		batch = 10*batch + int(r-'0')
	}
	if batch == 0 || batch%6 != 0 || batch >= c.Batch {
		t.Errorf("a batch of %d would fit: %v", batch, err)
	}
}
