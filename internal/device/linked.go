package device

// Linked is a Device that adds and gathers arrays over all ranks of a group by itself, as
// cards do among themselves. It takes effect in the order of the calls, as any operation.
type Linked interface {
	Device

	// Together says whether it is linked to those of the other ranks.
	Together() bool

	// SumRanks adds arrays of Float32 or Float64 over all ranks, in place; every rank gets
	// the same bits.
	SumRanks(arrays []Array)

	// GatherRanks copies the from of every rank to to, by rank.
	GatherRanks(to, from Array)
}

// Link returns a device that is linked to those of other ranks, or nil.
func Link(d Device) Linked {
	if l, ok := d.(Linked); ok && l.Together() {
		return l
	}
	return nil
}
