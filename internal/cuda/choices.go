package cuda

import (
	"encoding/json"
	"fmt"

	"vicreg/internal/device"
)

// choices is what Choices writes.
type choices struct {
	Card     string   `json:"card"` // and its libraries
	Products []Choice `json:"products"`
}

// Choices returns how the products so far are computed.
func (d *Device) Choices() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, err := json.Marshal(choices{d.Describe(), d.driver.Choices()})
	if err != nil {
		panic("cuda: " + err.Error())
	}
	return b
}

// Choose has products computed as Choices says. Those of another card or of other
// libraries are left aside: they would not give the same bits anyway.
func (d *Device) Choose(b []byte) error {
	var c choices
	if err := json.Unmarshal(b, &c); err != nil {
		return fmt.Errorf("the choices of algorithms are damaged: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Card == d.Describe() {
		d.driver.Choose(c.Products)
	}
	return nil
}

var _ device.Tuned = (*Device)(nil)
