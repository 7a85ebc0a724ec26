//go:build native && linux && (amd64 || arm64)

package cuda_test

import (
	"flag"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/card"
)

var onCard = flag.Bool("card", false, "compute on the first card instead of on the host")

func init() {
	host := newDriver
	newDriver = func(t testing.TB) cuda.Driver {
		if !*onCard {
			return host(t)
		}
		d, err := card.Open(0)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}
