//go:build native && linux && (amd64 || arm64)

package devices

import (
	"fmt"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/card"
	"vicreg/internal/device"
)

// hasNative says whether this build can open cards.
const hasNative = true

func open(index int) (device.Device, error) {
	driver, err := card.Open(index)
	if err != nil {
		return nil, err
	}
	d, err := cuda.New(driver)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func cards() []Info {
	found, err := card.Look()
	if err != nil {
		return []Info{{Name: "cuda", Trouble: err.Error()}}
	}
	var all []Info
	for i, c := range found {
		info := Info{Name: "cuda", What: c.Name, Details: []string{
			fmt.Sprintf("%.1f GiB of memory", float64(c.Memory)/(1<<30)),
			fmt.Sprintf("compute capability %d.%d, %d multiprocessors", c.Major, c.Minor, c.Multiprocessors),
			"driver " + c.Driver,
		}}
		if i > 0 {
			info.Name = fmt.Sprintf("cuda:%d", i)
		}
		info.Details = append(info.Details, c.Libraries...)
		if c.Err != nil {
			info.Trouble = c.Err.Error()
		}
		all = append(all, info)
	}
	return all
}

func count() int { return card.Count() }
