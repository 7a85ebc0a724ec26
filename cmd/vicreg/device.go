package main

import (
	"regexp"

	"github.com/spf13/pflag"

	"vicreg/internal/device"
	"vicreg/internal/devices"
	"vicreg/internal/kernel/shape"
)

// deviceFlag is what computes networks.
type deviceFlag struct{ name string }

func newDeviceFlag(flags *pflag.FlagSet) *deviceFlag {
	f := &deviceFlag{processor}
	flags.Var(f, "device", "`device` that computes: cpu, cuda (NVIDIA), cuda:1 …")
	flags.Lookup("device").DefValue = "" // cpu is named first
	return f
}

const processor = "cpu"

func (f *deviceFlag) String() string { return f.name }
func (f *deviceFlag) Type() string   { return "name" }

var deviceNames = regexp.MustCompile(`^(cpu|cuda(:[0-9]{1,4})?)$`)

func (f *deviceFlag) Set(name string) error {
	if !deviceNames.MatchString(name) {
		return notNumber("a device; known: cpu, cuda, cuda:1 and so on")
	}
	f.name = name
	return nil
}

// far says that it is not the processor.
func (f *deviceFlag) far() bool { return f.name != processor }

// multiplies checks the name of a kind of numbers, and warns where the processor that is
// chosen does not multiply them.
func (f *deviceFlag) multiplies(precision string) error {
	p, err := shape.ParsePrecision(precision)
	if err != nil {
		return usageError{err}
	}
	if !f.far() {
		warnPrecision(p)
	}
	return nil
}

// args are the arguments that choose it in another process: none of the processor.
func (f *deviceFlag) args() []string {
	if !f.far() {
		return nil
	}
	return []string{"--device=" + f.name}
}

// open returns the device. It is the process's for as long as that lives.
func (f *deviceFlag) open() (device.Device, error) {
	if !f.far() {
		return device.Local, nil
	}
	if ranks.world != nil {
		return openRanked(f.name)
	}
	return devices.Open(f.name)
}

// computedOn ends a line on how long something took; empty on the processor.
func computedOn(device string) string {
	if device == "" {
		return ""
	}
	return ", on " + device
}
