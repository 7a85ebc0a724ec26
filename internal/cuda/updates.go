package cuda

import (
	"math"
	"slices"

	"vicreg/internal/device"
)

// Updates go over all parameters with one launch: the members of a group are cut into
// pieces, and a table on the card says where each is.

// pieceLen is PIECE of update.cu, the elements of a piece.
const pieceLen = 8192

// member is Member of update.cu.
type member struct {
	w, g, m, v, copy uint64
	n                uint64
	first, flags     uint32
}

const (
	mDecay = 1 << iota
	mStatic
	mFrozen
	mWide
)

// table is what the device keeps of a group.
type table struct {
	members []device.Member
	copies  int // weights.number then
	pieces  int
	stale   []*copied // copies of W that an operation leaves as they were

	memory                   uintptr
	card                     groupParams
	partial, ratios, squares uint64
	summed                   bool // Σ of the gradients are those of the coming update
}

type groupParams struct{ members, pieces uint64 }

type (
	updateSumsParams struct {
		group   groupParams
		partial uint64
		decay   float32
		ratios  uint32
	}
	ratiosParams struct {
		group                    groupParams
		partial, ratios, squares uint64
		decay, eta, eps          float64
		lr                       [2]float64
		has, clip                uint32
	}
	normParams struct {
		squares, norm uint64
		members       uint32
		_             uint32
	}
	rates      struct{ lr, decay, keep, rate float32 }
	stepParams struct {
		group                                           groupParams
		ratios, norm                                    uint64
		rates                                           [4]rates
		momentum, beta1, rest1, beta2, rest2, root, eps float32
		has                                             uint32
	}
	blendParams struct {
		group      groupParams
		keep, take float32
	}
)

var (
	updateSums     = declare[updateSumsParams]("update", "update_sums", 0)
	updateRatios   = declare[ratiosParams]("update", "update_ratios", 0)
	updateNorm     = declare[normParams]("update", "update_norm", 0)
	updateMomentum = declare[stepParams]("update", "update_momentum", 0)
	updateNesterov = declare[stepParams]("update", "update_nesterov", 0)
	updateAdam     = declare[stepParams]("update", "update_adam", 0)
	updateBlend    = declare[blendParams]("update", "update_blend", 0)
	updateClear    = declare[groupParams]("update", "update_clear", 0)
)

// table returns that of a group, made anew if the group has changed.
func (d *Device) table(g *device.Group) *table {
	if len(g.Members) == 0 {
		return new(table)
	}
	t, _ := g.Kept().(*table)
	if t == nil {
		t = new(table)
		g.Keep(t)
	}
	if t.memory == 0 || t.copies != d.weights.number || !slices.Equal(t.members, g.Members) {
		d.fill(t, g)
	}
	return t
}

// fill brings the table of a group to the card.
func (d *Device) fill(t *table, g *device.Group) {
	t.members, t.copies, t.summed = append(t.members[:0], g.Members...), d.weights.number, false
	t.stale = t.stale[:0]
	var members []member
	var pieces []uint32
	for i, m := range g.Members {
		x := member{w: d.f32(m.W), g: d.f32(m.G), m: d.f32(m.M), v: d.f32(m.V), n: uint64(max(m.W.Len(), m.G.Len())),
			first: uint32(len(pieces))}
		if !m.W.None() {
			d.weights.each(m.W.Addr(), func(k weight, c *copied) {
				if k.order == asStored && k.t == device.BFloat16 {
					x.copy = uint64(c.p)
				} else {
					t.stale = append(t.stale, c)
				}
			})
		}
		flag := func(on bool, flag uint32) {
			if on {
				x.flags |= flag
			}
		}
		flag(m.Decay, mDecay)
		flag(m.Static, mStatic)
		flag(m.Frozen, mFrozen)
		flag((x.w|x.g|x.m|x.v|x.copy)%16 == 0, mWide)
		for range (x.n + pieceLen - 1) / pieceLen {
			pieces = append(pieces, uint32(i))
		}
		members = append(members, x)
	}
	t.pieces = len(pieces)
	d.drop(t)
	d.tables = append(d.tables, t)
	size := 0
	place := func(bytes int) (offset uint64) {
		offset = uint64(size)
		size += (bytes + grain - 1) / grain * grain
		return offset
	}
	n := len(members)
	t.card = groupParams{place(len(bytesOf(members))), place(4 * t.pieces)}
	t.partial, t.ratios, t.squares = place(24*t.pieces), place(8*n), place(8*n)
	t.memory = d.get(max(size, grain))
	for _, p := range []*uint64{&t.card.members, &t.card.pieces, &t.partial, &t.ratios, &t.squares} {
		*p += uint64(t.memory)
	}
	d.up(uintptr(t.card.members), bytesOf(members))
	d.up(uintptr(t.card.pieces), bytesOf(pieces))
}

// drop gives the memory of a table back.
func (d *Device) drop(t *table) {
	if i := slices.Index(d.tables, t); i >= 0 {
		d.put(t.memory)
		t.memory = 0
		d.tables = slices.Delete(d.tables, i, i+1)
	}
}

// dropOf drops the tables whose first member is in memory that is given back.
func (d *Device) dropOf(addr uintptr) {
	for _, t := range slices.Clone(d.tables) {
		if m := t.members[0]; m.W.Addr() == addr || m.G.Addr() == addr {
			d.drop(t)
		}
	}
}

// grid has a block for every piece.
func (t *table) grid() [3]int { return [3]int{t.pieces, 1, 1} }

// wrote says that an operation has changed every W, and with it the copy that the table
// names.
func (t *table) wrote() {
	for _, c := range t.stale {
		c.stale = true
	}
}

// sum makes the sums of all gradients, the ratios of LARS and the norm.
func (d *Device) sum(u *device.Update, t *table) {
	ratios := uint32(0)
	if u.Rule == device.ByLARS {
		ratios = 1
	}
	decay := u.WeightDecay
	if u.Eps > 0 {
		decay = 0 // the ratio takes ‖g‖ alone
	}
	updateSums.launch(d, t.grid(), 256, 0, updateSumsParams{t.card, t.partial, float32(decay), ratios})
	d.ratios(u, t, ratios)
}

// ratios makes the sums of members of those of pieces, and ratios of them, if there are
// any.
func (d *Device) ratios(u *device.Update, t *table, has uint32) {
	p := ratiosParams{group: t.card, partial: t.partial, ratios: t.ratios, squares: t.squares, decay: u.WeightDecay,
		eta: u.Eta, eps: u.Eps, has: has}
	if u.Clip {
		p.clip, p.lr = 1, [2]float64{u.LR, u.Peak}
	}
	updateRatios.launch(d, [3]int{len(t.members), 1, 1}, 256, 0, p)
}

// Norm makes the sums that the update needs as well, in the same pass, and sends the
// numbers of the step to the host.
func (d *Device) Norm(u *device.Update) device.Number {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.table(&u.Group)
	if t.pieces == 0 {
		return device.Known(0)
	}
	d.sum(u, t)
	updateNorm.launch(d, [3]int{1, 1, 1}, 256, 0, normParams{squares: t.squares, norm: uint64(d.number(gradientNorm)),
		members: uint32(len(t.members))})
	d.send()
	t.summed = true
	return d.coming(gradientNorm)
}

func (d *Device) Update(u *device.Update) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.table(&u.Group)
	if t.pieces == 0 {
		return
	}
	p := stepParams{group: t.card, ratios: t.ratios, momentum: float32(u.Momentum)}
	if t.summed {
		p.norm = uint64(d.numbers.card + 8*gradientNorm)
		if u.Rule == device.ByLARS && u.Clip { // by the rate of this step
			d.ratios(u, t, 1)
		}
	} else if u.Rule == device.ByLARS {
		d.sum(u, t)
	}
	t.summed = false
	for i := range p.rates {
		lr, decay := u.Rate(&device.Member{Static: i&1 != 0, Decay: i&2 != 0})
		p.rates[i] = rates{lr: float32(lr), decay: float32(decay), keep: float32(1 - lr*decay),
			rate: float32(lr / (1 - math.Pow(u.Betas[0], float64(u.Number))))}
	}
	kernel := updateMomentum
	switch u.Rule {
	case device.ByLARS:
		p.has = 1
	case device.ByNesterov:
		kernel = updateNesterov
	case device.ByAdam:
		kernel = updateAdam
		p.beta1, p.rest1 = float32(u.Betas[0]), float32(1-u.Betas[0])
		p.beta2, p.rest2 = float32(u.Betas[1]), float32(1-u.Betas[1])
		p.root, p.eps = float32(1/math.Sqrt(1-math.Pow(u.Betas[1], float64(u.Number)))), float32(u.Eps)
	}
	d.flush()
	kernel.launch(d, t.grid(), 256, 0, p)
	d.flush() // rates differ from step to step, what comes before and behind may not
	t.wrote()
}

func (d *Device) Blend(g *device.Group, keep, take float32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.table(g); t.pieces > 0 {
		d.flush()
		updateBlend.launch(d, t.grid(), 256, 0, blendParams{t.card, keep, take})
		d.flush()
		t.wrote()
	}
}

func (d *Device) Clear(g *device.Group) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.table(g); t.pieces > 0 {
		updateClear.launch(d, t.grid(), 256, 0, t.card)
	}
}

var (
	_ device.Device = (*Device)(nil)
	_ device.Signed = (*Device)(nil)
	_ device.Sparse = (*Device)(nil)
)
