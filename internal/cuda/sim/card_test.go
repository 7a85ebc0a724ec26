//go:build native && linux && (amd64 || arm64)

package sim

import (
	"os"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/card"
)

func init() {
	other = func(t *testing.T) cuda.Driver {
		if _, err := os.Stat("/dev/nvidiactl"); err != nil {
			t.Skip("this machine has no NVIDIA card")
		}
		d, err := card.Open(0)
		ok(t, err)
		t.Cleanup(d.Close)
		return d
	}
}
