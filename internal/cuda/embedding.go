package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// What turns images and numbers into tokens, and tokens into a row for each sequence.

// patchesParams, closeParams and sequencesParams are those of token.cu.
type patchesParams struct {
	y, x                  arr
	position, class, bias uint64
	rows                  uint64
	tokens, c             uint32
}

type closeParams struct {
	to, from  arr
	rows      uint64
	tokens, c uint32
}

type sequencesParams struct {
	y, x     arr
	starts   uint64
	c, first uint32
}

var (
	patches      = declare[patchesParams]("token", "patches", 0)
	closeRows    = declare[closeParams]("token", "close", 0)
	sequence     = declare[sequencesParams]("token", "sequence_mean", 0)
	sequenceGrad = declare[sequencesParams]("token", "sequence_mean_grad", 0)
)

// gridRows is a grid whose first dimension goes round rows, and whose second has
// channels.
func (d *Device) gridRows(rows, c, channels int) [3]int {
	return [3]int{max(1, min(rows, d.card.Multiprocessors*32)), (c + channels - 1) / channels, 1}
}

func (d *Device) PatchTokens(y device.Array, s device.Patches, x, position, class, bias device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := s.Tokens()
	if y.Len() != s.N*t*s.C || x.Len() != s.N*s.Patches*s.C || position.Len() != t*s.C || class.None() == s.Class {
		panic(fmt.Sprintf("cuda: patches %+v meet %d tokens, %d patches, %d places", s, y.Len(), x.Len(), position.Len()))
	}
	if y.None() {
		return
	}
	patches.launch(d, d.gridRows(s.N*t, s.C, 256), 256, 0, patchesParams{y: d.arr(y), x: d.arr(x),
		position: d.f32(position), class: d.f32(class), bias: d.f32(bias), rows: uint64(s.N * t),
		tokens: uint32(t), c: uint32(s.C)})
}

func (d *Device) PatchTokensGrad(dd device.Array, s device.Patches, dPosition, dClass, dBias device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, c := s.Tokens(), s.C
	if dd.Len() != s.N*t*c || !dPosition.None() && dPosition.Len() != t*c || dClass.None() == s.Class {
		panic(fmt.Sprintf("cuda: patches %+v meet %d tokens, %d places", s, dd.Len(), dPosition.Len()))
	}
	if dd.None() {
		return
	}
	part := d.room(forPartials, t*c*4) // of each place
	d.sumRows(rowSumsParams{x: d.arr(dd), part: uint64(part), n: uint64(s.N * t), group: 1, step: uint64(t),
		count: uint64(s.N), c: uint32(c)}, t, wide(c, dd))
	if !dPosition.None() {
		d.addPieces([2]device.Array{dPosition}, part, 1, t*c, 0)
	}
	if !s.Class {
		d.addPieces([2]device.Array{dBias}, part, t, c, c)
		return
	}
	d.addPieces([2]device.Array{dClass}, part, 1, c, 0)
	d.addPieces([2]device.Array{dBias}, part+uintptr(4*c), t-1, c, c)
	n := s.N * s.Patches
	to := device.At(d.room(forSource, n*c*dd.Type().Size()), dd.Type(), n*c)
	closeRows.launch(d, d.gridRows(n, c, 256), 256, 0, closeParams{to: d.arr(to), from: d.arr(dd), rows: uint64(n),
		tokens: uint32(t), c: uint32(c)})
	d.copy(dd.Addr(), to.Addr(), n*c*dd.Type().Size())
}

func (d *Device) TokenMean(y device.Array, c int, starts, x device.Array) {
	d.sequences(sequence, y, x, c, starts, false)
}

func (d *Device) TokenMeanGrad(dx device.Array, c int, starts, dd device.Array) {
	d.sequences(sequenceGrad, dd, dx, c, starts, false)
}

func (d *Device) FirstToken(y device.Array, c int, starts, x device.Array) {
	d.sequences(sequence, y, x, c, starts, true)
}

func (d *Device) FirstTokenGrad(dx device.Array, c int, starts, dd device.Array) {
	d.sequences(sequenceGrad, dd, dx, c, starts, true)
}

// sequences launches a kernel for each sequence: y has a row of each, x all their rows.
func (d *Device) sequences(k kernel[sequencesParams], y, x device.Array, c int, starts device.Array, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := starts.Len() - 1
	if y.Len() != n*c || x.Len()%c != 0 {
		panic(fmt.Sprintf("cuda: %d sequences of rows of %d meet %d and %d elements", n, c, y.Len(), x.Len()))
	}
	if n < 1 {
		return
	}
	p := sequencesParams{y: d.arr(y), x: d.arr(x), starts: d.i32(starts), c: uint32(c)}
	if first {
		p.first = 1
	}
	k.launch(d, [3]int{n, over(c, 32), 1}, 256, 0, p)
}
