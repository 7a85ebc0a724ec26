// Package devices knows what this machine can compute on, and opens it by its name.
package devices

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"vicreg/internal/cpu"
	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/show"
	"vicreg/internal/turbo"
)

// Build is how to get the command with what cards need.
const Build = "go install -tags native vicreg/cmd/vicreg"

// Open returns the device of a name: cpu, or cuda for the first NVIDIA card, cuda:1 for
// the second. Its errors are sentences for the user.
func Open(name string) (device.Device, error) {
	if name == "cpu" {
		return device.Local, nil
	}
	index, ok := number(name)
	if !ok {
		return nil, fmt.Errorf("there is no device %s; known: cpu, cuda, cuda:1 and so on", show.Name(name))
	}
	d, err := open(index)
	if err != nil {
		return nil, fmt.Errorf("--device %s: %w", name, err)
	}
	return d, nil
}

// Cards returns how many NVIDIA cards there are, 0 if none can be asked for.
func Cards() int { return count() }

// number reads the number of a card.
func number(name string) (index int, ok bool) {
	if name == "cuda" {
		return 0, true
	}
	digits, ok := strings.CutPrefix(name, "cuda:")
	if !ok || len(digits) > 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err == nil
}

// Info is a device, or why there is none.
type Info struct {
	Name    string   `json:"name"` // what Open takes
	What    string   `json:"what,omitempty"`
	Details []string `json:"details,omitempty"`
	Trouble string   `json:"trouble,omitempty"` // why it cannot be used, and what to do
}

// List tells of all devices, the processor first.
func List() []Info { return append([]Info{processor()}, cards()...) }

// errNoCards is why a build without native libraries has no cards.
func errNoCards(goos, goarch string) error {
	switch {
	case goos == "linux" && (goarch == "amd64" || goarch == "arm64"):
		return errors.New("NVIDIA cards need the build with native libraries: " + Build)
	default:
		return fmt.Errorf("NVIDIA cards can be used on Linux with amd64 or arm64 alone; this is %s with %s", goos, goarch)
	}
}

func processor() Info {
	i := Info{Name: "cpu", What: model()}
	i.Details = append(i.Details, show.Count(runtime.GOMAXPROCS(0), "core"))
	instructions := "instructions " + cpu.Variant()
	switch {
	case cpu.AMX:
		instructions += ", with tiles that multiply bfloat16"
	case shape.HasBF16():
		instructions += ", with products of bfloat16"
	case cpu.AVX512BF16:
		instructions += ", with products of bfloat16 that are slower than those of float32"
	}
	i.Details = append(i.Details, instructions)
	if err := cpu.Withheld(); err != nil {
		i.Details = append(i.Details, "AMX is not used: "+err.Error())
	}
	i.Details = append(i.Details, decoder())
	return i
}

// decoder tells what reads JPEG files, and how to get what reads them faster.
func decoder() string {
	at, err := turbo.Found()
	if err == nil {
		return fmt.Sprintf("JPEG files are read by %s at %s", turbo.Name, at)
	}
	text := "JPEG files are read by Go's decoder"
	if advice := turbo.Advice(err); advice != "" {
		text += "; " + advice
	}
	return text
}

// model names the processor, as far as the system does.
func model() string {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
