// Package vorbis decodes the packets of a Vorbis I stream.
//
//	d, err := vorbis.New(packets[0], packets[1], packets[2]) // the headers
//	for _, p := range packets[3:] {
//		x, err := d.Decode(p) // frames × channels
//	}
//
// The packets may come from anyone: what a header asks for is bounded before it is
// taken, and a packet takes no longer than its samples do. It is written here because
// github.com/jfreymuth/vorbis takes memory and time as the headers say.
//
// The format: https://xiph.org/vorbis/doc/Vorbis_I_spec.html, to whose sections
// comments refer.
package vorbis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// MaxChannels is how many channels are decoded.
const MaxChannels = 64

// Decoder decodes one stream.
type Decoder struct {
	Channels int
	Rate     int // frames a second

	blocks   [2]int // sizes of short and long blocks
	books    []codebook
	floors   []*floor1
	residues []residue
	mappings []mapping
	modes    []mode

	imdct   [2]*imdct
	slope   [2][]float32 // of a short and a long window, rising
	spectra [][]float32  // by channel, of half a long block
	heard   []bool       // by channel: whether it has a floor
	silent  []bool       // whether it has no residue
	curves  [][65]int    // the heights of its floor
	classes []uint8
	samples []float32   // of one block
	last    [][]float32 // by channel: the right half of the block before
	lastN   int         // the size of that block; 0: there was none
	out     []float32
}

type mapping struct {
	couple  [][2]int // magnitude and angle
	mux     []int    // the submap of each channel
	floor   []int    // of each submap
	residue []int
}

type mode struct {
	long    int // 0 or 1
	mapping int
}

// IsHeader reports whether a packet is a header of a kind: 1 identification, 3
// comments, 5 setup.
func IsHeader(packet []byte, kind byte) bool {
	return len(packet) >= 7 && packet[0] == kind && string(packet[1:7]) == "vorbis"
}

// New reads the three headers. Comments are not looked into.
func New(id, comments, setup []byte) (*Decoder, error) {
	if !IsHeader(id, 1) || !IsHeader(comments, 3) || !IsHeader(setup, 5) {
		return nil, errors.New("it does not begin with three headers")
	}
	d := new(Decoder)
	if err := d.identify(id[7:]); err != nil {
		return nil, err
	}
	if err := d.setup(&reader{data: setup[7:]}); err != nil {
		return nil, err
	}
	d.prepare()
	return d, nil
}

// identify reads the identification header (section 4.2.2).
func (d *Decoder) identify(b []byte) error {
	if len(b) < 23 {
		return errors.New("its identification header is cut short")
	}
	d.Channels, d.Rate = int(b[4]), int(binary.LittleEndian.Uint32(b[5:]))
	d.blocks = [2]int{1 << (b[21] & 15), 1 << (b[21] >> 4)}
	switch version := binary.LittleEndian.Uint32(b); {
	case version != 0:
		return fmt.Errorf("its version is %d; 0 is known", version)
	case d.Channels < 1 || d.Channels > MaxChannels:
		return fmt.Errorf("it says that it has %d channels; from 1 to %d are read", d.Channels, MaxChannels)
	case d.Rate < 1:
		return fmt.Errorf("it says that it has %d samples a second", d.Rate)
	case d.blocks[0] < 64 || d.blocks[1] < d.blocks[0] || d.blocks[1] > 8192 || b[22]&1 == 0:
		return errors.New("its identification header is wrong")
	}
	return nil
}

// setup reads the setup header (section 4.2.4).
func (d *Decoder) setup(b *reader) error {
	room := maxValues
	for range b.int(8) + 1 {
		c, err := readCodebook(b, &room)
		if err != nil {
			return err
		}
		d.books = append(d.books, c)
	}
	for range b.int(6) + 1 {
		if b.read(16) != 0 {
			return errSetup
		}
	}
	for range b.int(6) + 1 {
		switch kind := b.int(16); {
		case kind == 0 && !b.over:
			return errors.New("its floors are of type 0, as encoders before Vorbis 1.0 had them; convert the file")
		case kind != 1:
			return errSetup
		}
		f, err := readFloor(b, len(d.books))
		if err != nil {
			return err
		}
		d.floors = append(d.floors, f)
	}
	for range b.int(6) + 1 {
		r, err := readResidue(b, d.books)
		if err != nil {
			return err
		}
		d.residues = append(d.residues, r)
	}
	for range b.int(6) + 1 {
		m, err := d.readMapping(b)
		if err != nil {
			return err
		}
		d.mappings = append(d.mappings, m)
	}
	for range b.int(6) + 1 {
		m := mode{long: b.int(1)}
		window, transform := b.int(16), b.int(16)
		if m.mapping = b.int(8); window != 0 || transform != 0 || m.mapping >= len(d.mappings) {
			return errSetup
		}
		d.modes = append(d.modes, m)
	}
	if end := b.flag(); !end || b.over {
		return errSetup
	}
	return nil
}

func (d *Decoder) readMapping(b *reader) (mapping, error) {
	m := mapping{mux: make([]int, d.Channels)}
	if b.int(16) != 0 {
		return m, errSetup
	}
	submaps := 1
	if b.flag() {
		submaps = b.int(4) + 1
	}
	if b.flag() {
		width := uint(bits.Len(uint(d.Channels - 1)))
		for range b.int(8) + 1 {
			pair := [2]int{b.int(width), b.int(width)}
			if pair[0] == pair[1] || max(pair[0], pair[1]) >= d.Channels {
				return m, errSetup
			}
			m.couple = append(m.couple, pair)
		}
	}
	if b.int(2) != 0 {
		return m, errSetup
	}
	if submaps > 1 {
		for c := range m.mux {
			if m.mux[c] = b.int(4); m.mux[c] >= submaps {
				return m, errSetup
			}
		}
	}
	for range submaps {
		b.read(8)
		floor, residue := b.int(8), b.int(8)
		if b.over || floor >= len(d.floors) || residue >= len(d.residues) {
			return m, errSetup
		}
		m.floor, m.residue = append(m.floor, floor), append(m.residue, residue)
	}
	return m, nil
}
