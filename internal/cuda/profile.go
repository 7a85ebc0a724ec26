package cuda

import (
	"cmp"
	"fmt"
	"slices"

	"vicreg/internal/device"
)

// profile times every operation on the card by itself, by events around it.
type profile struct {
	events []Event // two for each operation
	labels []string
}

// Spent is the time that operations of one kind took on the card.
type Spent struct {
	What         string
	Times        int
	Milliseconds float64
}

// Profile begins to time every operation, Profiled ends it and returns what they took, the
// most first. Timing makes a step slower by some microseconds an operation.
func (d *Device) Profile() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flush()
	d.queue.collect, d.queue.looks = false, looksNeeded
	d.profile = &profile{}
}

func (d *Device) Profiled() []Spent {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.profile
	d.profile = nil
	if p == nil {
		return nil
	}
	d.check(d.driver.Wait(Compute), "work")
	sums := map[string]*Spent{}
	for i, label := range p.labels {
		ms, err := d.driver.Elapsed(p.events[2*i], p.events[2*i+1])
		d.check(err, "a time")
		s := sums[label]
		if s == nil {
			s = &Spent{What: label}
			sums[label] = s
		}
		s.Times, s.Milliseconds = s.Times+1, s.Milliseconds+ms
	}
	var all []Spent
	for _, s := range sums {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Spent) int {
		return cmp.Or(cmp.Compare(b.Milliseconds, a.Milliseconds), cmp.Compare(a.What, b.What))
	})
	return all
}

// timed marks the beginning of an operation; what it returns marks the end.
func (d *Device) timed(label string) func() {
	p := d.profile
	mark := func() {
		e, err := d.driver.NewEvent()
		d.check(err, "an event")
		d.check(d.driver.Record(e, Compute), "an event")
		p.events = append(p.events, e)
	}
	p.labels = append(p.labels, label)
	mark()
	return mark
}

func (m *Matmul) String() string {
	return fmt.Sprintf("product %s %d × %d × %d", m.A.Type, m.M, m.K, m.N)
}

func (c *Convolution) String() string {
	s := c.Shape
	what := ""
	if c.Type == device.Float32 {
		what = "float32 "
	}
	return fmt.Sprintf("%s%s %d × %d / %d, %d × %d × %d to %d", what, c.Kind, s.R, s.S, s.Stride, s.H, s.W, s.C, s.K)
}
