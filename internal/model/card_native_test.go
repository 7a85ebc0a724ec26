//go:build native && linux && (amd64 || arm64)

package model

import (
	"flag"

	"vicreg/internal/cuda"
	driver "vicreg/internal/cuda/card"
)

var onCard = flag.Bool("card", false, "compute on the first card instead of a simulated one")

func init() {
	simulated := openCard
	openCard = func() (*cuda.Device, error) {
		if !*onCard {
			return simulated()
		}
		d, err := driver.Open(0)
		if err != nil {
			return nil, err
		}
		return cuda.New(d)
	}
}
