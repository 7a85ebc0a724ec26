package mp3

import "encoding/binary"

// bits reads from the highest bit of each byte on. Its data has eight bytes more
// than may be read.
type bits struct {
	data []byte
	at   int // bit
	end  int // bit
}

// peek returns the next n bits, at most 24; zeros beyond the end.
func (b *bits) peek(n int) uint32 {
	if b.at > b.end {
		return 0
	}
	return binary.BigEndian.Uint32(b.data[b.at>>3:]) << (b.at & 7) >> (32 - n)
}

func (b *bits) read(n int) int {
	if n == 0 {
		return 0
	}
	v := b.peek(n)
	b.at += n
	return int(v)
}

func (b *bits) flag() bool { return b.read(1) == 1 }
