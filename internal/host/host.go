// Package host tells about the program and its process: the version, the memory
// held at most, and the memory that may be held.
package host

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// Version returns the module's version, or the commit it was built from.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "devel"
}

// PeakRSS returns the most memory this process held, in MiB; 0 where the system
// does not tell. Linux's VmHWM, unlike the resource usage, does not count the
// parent before exec.
func PeakRSS() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return maxRSS()
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %g kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return maxRSS()
}
