package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"vicreg/internal/vorbis"
)

// oggPage is a page of an Ogg file (RFC 3533).
type oggPage struct {
	flags   byte
	granule int64 // what has been played when the last packet ends; -1: none ends
	serial  uint32
	number  uint32 // of the stream's pages, from 0 on
	lacing  []byte // sizes of segments; one below 255 ends a packet
	body    []byte
}

const (
	oggContinued = 1 // it begins within a packet
	oggFirst     = 2
	oggLast      = 4
)

var errOggCut = errors.New("the file is cut short: its last Ogg page is missing or not whole")

// oggTable is of the checksum with polynomial 0x04c11db7, the highest bit first.
var oggTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ c>>31*0x04c11db7
		}
		t[i] = c
	}
	return t
}()

// readPage reads the page at the start of data, which is at byte at of the file, and
// returns its size.
func readPage(data []byte, at int) (p oggPage, size int, err error) {
	head := data[:min(len(data), 27)]
	switch {
	case !bytes.HasPrefix(head, []byte("OggS")[:min(4, len(head))]):
		return p, 0, fmt.Errorf("its Ogg data is broken: no page begins at byte %d", at)
	case len(head) < 27 || len(data) < 27+int(head[26]):
		return p, 0, errOggCut
	case head[4] != 0:
		return p, 0, fmt.Errorf("its Ogg data is of version %d; 0 is known", head[4])
	}
	le := binary.LittleEndian
	p.lacing = data[27 : 27+int(head[26])]
	size = 27 + len(p.lacing)
	for _, n := range p.lacing {
		size += int(n)
	}
	if len(data) < size {
		return p, 0, errOggCut
	}
	p.body = data[27+len(p.lacing) : size]
	p.flags, p.granule, p.serial = head[5], int64(le.Uint64(head[6:])), le.Uint32(head[14:])
	p.number = le.Uint32(head[18:])
	if oggSum(data[:size]) != le.Uint32(head[22:]) {
		return p, 0, fmt.Errorf("its Ogg data is broken: the page at byte %d does not have its checksum", at)
	}
	return p, size, nil
}

// oggSum returns the checksum of a page, which is over all but the checksum.
func oggSum(page []byte) uint32 {
	var sum uint32
	for i, c := range page {
		if i >= 22 && i < 26 {
			c = 0
		}
		sum = sum<<8 ^ oggTable[byte(sum>>24)^c]
	}
	return sum
}

// oggKinds are what a stream's first packet says that it is.
var oggKinds = []struct{ magic, name string }{
	{"\x01vorbis", "Vorbis"}, {"OpusHead", "Opus"}, {"Speex   ", "Speex"}, {"\x7fFLAC", "FLAC"}, {"\x80theora", "a Theora video"},
}

// oggPacket is a packet of the Vorbis stream.
type oggPacket struct {
	data    []byte
	granule int64 // what has been played when it ends; -1: not said
	last    bool  // of the stream
}

// oggStream is the Vorbis stream of an Ogg file, or of one link of a chain of them.
type oggStream struct {
	serial  uint32
	begun   bool
	ended   bool
	packets []oggPacket
	part    []byte // of a packet that goes on in the next page
	partial bool
	number  uint32 // of its last page
	gaps    int    // where pages are missing
}

// decodeOgg reads the Vorbis stream of an Ogg file and ignores other streams. If it is a
// chain, as radio stations send it, all links are read.
func decodeOgg(data []byte, limits Limits) (Sound, error) {
	var s Sound
	var o oggStream
	links, first := 0, false // first: in the first pages of a link's streams
	for at := 0; at < len(data); {
		if o.ended && !bytes.Contains(data[at:], []byte("OggS")) {
			break // a tag, or what fills a block
		}
		p, size, err := readPage(data[at:], at)
		if err != nil {
			return Sound{}, err
		}
		at += size
		if p.flags&oggFirst == 0 {
			first = false
		} else {
			if !first {
				if o.begun && !o.ended {
					return Sound{}, errors.New("its Ogg data is broken: a recording begins before the one before it ends")
				}
				if links++; links > 1000 {
					return Sound{}, errors.New("it is a chain of more than 1000 recordings")
				}
				o, first = oggStream{}, true
			}
			if bytes.HasPrefix(p.body, []byte(oggKinds[0].magic)) {
				if o.begun {
					return Sound{}, errors.New("it holds two Vorbis streams at once; make it a file of one")
				}
				o.begun, o.serial = true, p.serial
			}
		}
		if !o.begun || p.serial != o.serial || o.ended {
			continue
		}
		if o.page(&p); o.ended {
			if err := o.decode(&s, limits); err != nil {
				return Sound{}, err
			}
		}
	}
	switch {
	case !o.begun:
		return Sound{}, errors.New("the last of its recordings is not Vorbis")
	case !o.ended:
		return Sound{}, errOggCut
	}
	return s, nil
}

// page takes the packets of a page of the stream, and counts places where pages before
// it are missing.
func (o *oggStream) page(p *oggPage) {
	if p.number != o.number+1 && len(o.packets) > 0 {
		o.part, o.partial = nil, false
		if len(o.packets) > 3 { // what is recorded of a station begins anywhere, behind its header
			o.gaps++
		}
	}
	o.number = p.number
	at, from := 0, 0
	skip := p.flags&oggContinued != 0 && !o.partial // its beginning is lost
	if p.flags&oggContinued == 0 {
		o.part, o.partial = nil, false
	}
	before := len(o.packets)
	for _, n := range p.lacing {
		if at += int(n); n == 255 {
			continue
		}
		packet := p.body[from:at]
		from = at
		if skip {
			skip = false
			continue
		}
		if o.partial {
			packet = append(o.part, packet...)
			o.part, o.partial = nil, false
		}
		o.packets = append(o.packets, oggPacket{data: packet, granule: -1})
	}
	if n := len(p.lacing); n > 0 && p.lacing[n-1] == 255 && !skip {
		o.part, o.partial = append(o.part, p.body[from:]...), true
	}
	o.ended = p.flags&oggLast != 0
	if n := len(o.packets); n > before || o.ended && n > 0 {
		o.packets[n-1].granule, o.packets[n-1].last = p.granule, o.ended
	}
}

// decode adds the stream's samples to s.
func (o *oggStream) decode(s *Sound, limits Limits) error {
	p := o.packets
	o.packets = nil
	if len(p) < 3 {
		return errors.New("its Ogg Vorbis header is broken or cut short")
	}
	d, err := vorbis.New(p[0].data, p[1].data, p[2].data)
	if err != nil {
		return fmt.Errorf("its Ogg Vorbis header is broken or cut short (%w)", err)
	}
	if s.Channels != 0 && (s.Channels != d.Channels || s.Rate != d.Rate) {
		return fmt.Errorf("it is a chain of recordings that differ: %d channels at %d Hz, then %d at %d Hz; split it", s.Channels, s.Rate, d.Channels, d.Rate)
	}
	s.Channels, s.Rate = d.Channels, d.Rate
	s.Gaps += o.gaps
	n := 0
	size := d.Sizes()
	for _, p := range p[3:] {
		n += size(p.data) * d.Channels
	}
	if err := limits.tooLong(int64(len(s.Samples) + n)); err != nil {
		return err
	}
	s.Samples = slices.Grow(s.Samples, n)
	start, place := len(s.Samples), int64(-1) // where the stream is in its own count; -1: not known yet
	for _, p := range p[3:] {
		x, err := d.Decode(p.data)
		if err != nil {
			return fmt.Errorf("its Ogg Vorbis data is broken after %d samples (%w)", s.Frames(), err)
		}
		s.Samples = append(s.Samples, x...)
		if place >= 0 {
			place += int64(len(x) / d.Channels)
		}
		if p.granule == -1 {
			continue
		}
		// The stream's count says what does not belong to it and is left out: at the end
		// what its last packet has too much, at the beginning what comes before 0.
		done := place
		if place < 0 {
			done = int64(len(s.Samples)-start) / int64(d.Channels)
		}
		if more := done - p.granule; more > 0 && p.last {
			s.Samples = s.Samples[:len(s.Samples)-int(min(more, int64(len(x)/d.Channels)))*d.Channels]
		} else if more > 0 && place < 0 {
			s.Samples = append(s.Samples[:start], s.Samples[start+int(min(more, done))*d.Channels:]...)
		}
		place = max(0, p.granule)
	}
	return nil
}
