package vicreg

import (
	"sync"

	"vicreg/internal/device"
	"vicreg/internal/devices"
	"vicreg/internal/train"
)

// WithDevice has the networks computed on a device: cpu (also if empty), or an NVIDIA card,
// cuda for the first one, cuda:1 for the second. What a run computes is the same but for
// rounding, in which two runs on a card may differ too; one that goes on where it did not
// begin says so, and one that goes on where it did ends with the same bits. A name that is none, a build
// without devices (go build -tags native has them) and a card that cannot be used are
// errors of the function that takes the option.
func WithDevice(name string) Option {
	return Option{func(o *train.Options) (err error) {
		o.Device, err = openDevice(name)
		return err
	}}
}

// On returns the model on a device, as [WithDevice] names it, for all that it embeds. The
// empty name is where the model is. A model is taken to a device once, and its memory there
// is kept.
func (m *Model) On(device string) (*Model, error) {
	if device == "" {
		return m, nil
	}
	d, err := openDevice(device)
	if err != nil {
		return nil, err
	}
	file, err := m.file.On(d)
	if err != nil {
		return nil, err
	}
	return &Model{file}, nil
}

// opened are the devices that this process has, by name.
var opened struct {
	sync.Mutex
	devices map[string]device.Device
}

// openDevice returns a device by name, the same one each time.
func openDevice(name string) (device.Device, error) {
	if name == "" || name == "cpu" {
		return device.Local, nil
	}
	if name == "cuda:0" {
		name = "cuda"
	}
	opened.Lock()
	defer opened.Unlock()
	if d := opened.devices[name]; d != nil {
		return d, nil
	}
	d, err := devices.Open(name)
	if err != nil {
		return nil, err
	}
	if opened.devices == nil {
		opened.devices = map[string]device.Device{}
	}
	opened.devices[name] = d
	return d, nil
}
