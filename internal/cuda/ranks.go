package cuda

import (
	"errors"
	"fmt"

	"vicreg/internal/device"
	"vicreg/internal/group"
)

// Joiner is a [Driver] whose card can add and gather with those of other processes, without
// the host (NCCL). What it does is queued on the compute stream.
type Joiner interface {
	// Identity is of the card, whoever asks. Its error says why it cannot join others.
	Identity() (string, error)
	// JoinID returns what one rank makes and all must have to join.
	JoinID() ([]byte, error)
	// Join waits until all ranks have called it.
	Join(id []byte, rank, size int) error
	// Sum adds arrays of Float32 or Float64 over all ranks, in place.
	Sum(arrays []device.Array) error
	// Gather copies bytes of every rank to to, by rank.
	Gather(to, from uintptr, bytes int) error
}

// Join links the card to those of all ranks of a group, all of which call it. Where that
// cannot be, why says so, on all ranks alike, and sums cross by way of the host.
func (d *Device) Join(g group.Group) (why string, err error) {
	defer group.Catch(&err)
	j, ok := d.driver.(Joiner)
	name, cannot := "", errors.New("this device has no NCCL")
	if ok {
		d.mu.Lock()
		name, cannot = j.Identity()
		d.mu.Unlock()
	}
	word := "+" + name
	if cannot != nil {
		word = "-" + cannot.Error()
	}
	rankOf := map[string]int{}
	for rank, text := range g.GatherBytes([]byte(word)) {
		name := string(text)
		if name[0] == '-' {
			return fmt.Sprintf("process %d: %s", rank, name[1:]), nil
		}
		if other, ok := rankOf[name]; ok { // which NCCL refuses
			return fmt.Sprintf("processes %d and %d share a card", other, rank), nil
		}
		rankOf[name] = rank
	}
	var id []byte
	if g.Rank() == 0 {
		d.mu.Lock()
		id, err = j.JoinID()
		d.mu.Unlock()
	}
	if err := group.Agree(g, err); err != nil {
		return "", err
	}
	id = g.GatherBytes(id)[0]
	d.mu.Lock()
	err = j.Join(id, g.Rank(), g.Size())
	if err == nil {
		d.linked = j
	}
	d.mu.Unlock()
	return "", group.Agree(g, err)
}

// Together implements [device.Linked].
func (d *Device) Together() bool { return d.linked != nil }

// SumRanks implements [device.Linked].
func (d *Device) SumRanks(arrays []device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	d.flush()
	for _, a := range arrays {
		d.weights.changed(a)
	}
	d.check(d.linked.Sum(arrays), "a sum over all cards")
}

// GatherRanks implements [device.Linked].
func (d *Device) GatherRanks(to, from device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to.Type() != from.Type() || to.Len()%max(1, from.Len()) != 0 {
		panic(fmt.Sprintf("cuda: %d values are gathered in an array of %d", from.Len(), to.Len()))
	}
	d.settle()
	d.flush()
	d.weights.changed(to)
	d.check(d.linked.Gather(to.Addr(), from.Addr(), from.Len()*from.Type().Size()), "arrays of all cards")
}
