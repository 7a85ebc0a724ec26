//go:build !native || !linux || (!amd64 && !arm64)

package mpi

import (
	"fmt"
	"runtime"

	"vicreg/internal/group"
)

// World is all processes that a launcher started. This build has none.
type World struct{ group.Alone }

// Open says which build has groups of processes.
func Open(l Launch) (*World, error) {
	switch {
	case runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"):
		return nil, fmt.Errorf("%s started %d processes; they can train together in the build with native libraries: %s",
			l.By, l.Size, "go install -tags native vicreg/cmd/vicreg")
	default:
		return nil, fmt.Errorf("%s started %d processes; they can train together on Linux with amd64 or arm64 alone", l.By, l.Size)
	}
}

func (w *World) Host(int) string   { return "" }
func (w *World) Hosts() []string   { return nil }
func (w *World) Local() (int, int) { return 0, 1 }
func (w *World) Sharing() int      { return 1 }
func (w *World) Version() string   { return "" }
func (w *World) Close() error      { return nil }
func (w *World) Crowded(bool)      {}
func (w *World) Abort(int)         {}
