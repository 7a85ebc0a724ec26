package vorbis

import (
	"errors"
	"math"
	"math/bits"
)

// prepare makes what decoding needs.
func (d *Decoder) prepare() {
	for i, n := range d.blocks {
		d.imdct[i] = newIMDCT(n / 2)
		d.slope[i] = make([]float32, n/2)
		for k := range d.slope[i] {
			s := math.Sin((float64(k) + 0.5) / float64(n) * math.Pi)
			d.slope[i][k] = float32(math.Sin(math.Pi / 2 * s * s))
		}
	}
	half := d.blocks[1] / 2
	for range d.Channels {
		d.spectra = append(d.spectra, make([]float32, half))
		d.last = append(d.last, make([]float32, half))
	}
	d.curves = make([][65]int, d.Channels)
	d.heard, d.silent = make([]bool, d.Channels), make([]bool, d.Channels)
	d.classes = make([]uint8, half*d.Channels)
	d.samples = make([]float32, d.blocks[1])
	d.out = make([]float32, half*d.Channels)
}

// header reads the mode of an audio packet. A packet that is empty, or no audio, is
// not ok, and neither is one that is broken.
func (d *Decoder) header(b *reader) (m mode, ok bool, err error) {
	if len(b.data) == 0 || b.flag() {
		return m, false, nil
	}
	number := b.int(uint(bits.Len(uint(len(d.modes) - 1))))
	if number >= len(d.modes) {
		return m, false, errors.New("a packet is of an unknown mode")
	}
	if m = d.modes[number]; m.long == 1 {
		b.read(2) // the neighbours' sizes, which show by themselves
	}
	if b.over {
		return m, false, errors.New("a packet is cut short")
	}
	return m, true, nil
}

// Sizes returns a function to call with all packets in turn, before any of them is
// decoded, for the frames that Decode will return.
func (d *Decoder) Sizes() func(packet []byte) int {
	prev := 0
	return func(packet []byte) int {
		m, ok, _ := d.header(&reader{data: packet})
		if !ok {
			return 0
		}
		n := d.blocks[m.long]
		frames := 0
		if prev > 0 {
			frames = prev/4 + n/4
		}
		prev = n
		return frames
	}
}

// Decode returns the samples, frames × channels, that are whole with this packet:
// none with the first one. They are overwritten by the next call. A packet that is
// empty, or no audio, is passed over.
func (d *Decoder) Decode(packet []byte) ([]float32, error) {
	b := &reader{data: packet}
	m, ok, err := d.header(b)
	if !ok {
		return nil, err
	}
	n := d.blocks[m.long]
	d.spectrum(b, &d.mappings[m.mapping], n/2)
	return d.overlap(m.long, n), nil
}

// spectrum fills in the spectra of n values (sections 4.3.2 to 4.3.6).
func (d *Decoder) spectrum(b *reader, m *mapping, n int) {
	for c := range d.Channels {
		clear(d.spectra[c][:n])
		d.heard[c] = d.floors[m.floor[m.mux[c]]].read(b, d.books, d.curves[c][:])
		d.silent[c] = !d.heard[c]
	}
	for _, p := range m.couple {
		if !d.silent[p[0]] || !d.silent[p[1]] {
			d.silent[p[0]], d.silent[p[1]] = false, false
		}
	}
	out, mute := make([][]float32, 0, 8), make([]bool, 0, 8)
	for s, r := range m.residue {
		out, mute = out[:0], mute[:0]
		for c, submap := range m.mux {
			if submap == s {
				out, mute = append(out, d.spectra[c][:n]), append(mute, d.silent[c])
			}
		}
		d.residues[r].read(b, d.books, out, mute, d.classes)
	}
	for i := len(m.couple) - 1; i >= 0; i-- {
		magnitude, angle := d.spectra[m.couple[i][0]][:n], d.spectra[m.couple[i][1]][:n]
		for k, m := range magnitude {
			a := angle[k]
			switch {
			case m > 0 && a > 0:
				a = m - a
			case m > 0:
				m, a = m+a, m
			case a > 0:
				a = m + a
			default:
				m, a = m-a, m
			}
			magnitude[k], angle[k] = m, a
		}
	}
	for c, heard := range d.heard {
		x := d.spectra[c][:n]
		if !heard {
			clear(x)
			continue
		}
		d.floors[m.floor[m.mux[c]]].apply(x, d.curves[c][:])
	}
}

// overlap adds the left half of the new block to the right half of the one before,
// and keeps its right half. The overlap is as long as the shorter one's half, in
// the middle of the longer one's.
func (d *Decoder) overlap(long, n int) []float32 {
	prev := d.lastN
	frames := prev/4 + n/4
	if prev == 0 {
		frames = 0
	}
	out := d.out[:frames*d.Channels]
	slope := d.slope[0]
	if prev == d.blocks[1] && n == d.blocks[1] {
		slope = d.slope[1]
	}
	for c := range d.Channels {
		y := d.samples[:n]
		if d.heard[c] {
			d.imdct[long].transform(y, d.spectra[c][:n/2])
		} else {
			clear(y)
		}
		if prev > 0 {
			last, at := d.last[c], c
			from := prev/4 - len(slope)/2 // where they begin to overlap
			for _, v := range last[:from] {
				out[at] = v
				at += d.Channels
			}
			left := y[n/4-len(slope)/2 : n/2]
			for k, up := range slope {
				out[at] = last[from+k]*slope[len(slope)-1-k] + left[k]*up
				at += d.Channels
			}
			for _, v := range left[len(slope):] {
				out[at] = v
				at += d.Channels
			}
		}
		copy(d.last[c], y[n/2:])
	}
	d.lastN = n
	return out
}
