package main

import (
	"regexp"

	"github.com/spf13/pflag"

	"vicreg/internal/device"
	"vicreg/internal/devices"
	"vicreg/internal/method"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
)

// deviceFlag is the device that computes networks.
type deviceFlag struct{ name string }

func newDeviceFlag(flags *pflag.FlagSet) *deviceFlag {
	f := &deviceFlag{"cpu"}
	flags.Var(f, "device", "what computes the networks: cpu, or an NVIDIA card: cuda (the first), cuda:1 …; see vicreg info --devices")
	return f
}

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

// open returns the device. Its memory is the process's for as long as that lives.
func (f *deviceFlag) open() (device.Device, error) { return devices.Open(f.name) }

// cardOf is what a reckoning knows of a device; nil of the processor.
func cardOf(d device.Device, c recipe.Config) *reckon.Card {
	return reckon.CardOf(d, method.Precision(c))
}
