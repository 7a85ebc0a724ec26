//go:build !native || !linux || (!amd64 && !arm64)

package devices

import (
	"runtime"

	"vicreg/internal/device"
)

// hasNative says whether this build can open cards.
const hasNative = false

func open(int) (device.Device, error) { return nil, errNoCards(runtime.GOOS, runtime.GOARCH) }

func cards() []Info {
	return []Info{{Name: "cuda", Trouble: errNoCards(runtime.GOOS, runtime.GOARCH).Error()}}
}

func count() int { return 0 }
