package vorbis

// reader reads a packet, from the lowest bit of each byte on.
type reader struct {
	data []byte // what is not in buf yet
	buf  uint64
	have uint // bits of buf
	over bool // more was read than there is
}

func (b *reader) fill() {
	for b.have <= 56 && len(b.data) > 0 {
		b.buf |= uint64(b.data[0]) << b.have
		b.data = b.data[1:]
		b.have += 8
	}
}

// read returns n bits, at most 32; 0 beyond the end.
func (b *reader) read(n uint) uint32 {
	if b.have < n {
		b.fill()
	}
	v := uint32(b.buf & (1<<n - 1))
	if !b.skip(n) {
		return 0
	}
	return v
}

// skip drops n bits that fill has seen to.
func (b *reader) skip(n uint) bool {
	if n > b.have {
		b.buf, b.have, b.over = 0, 0, true
		return false
	}
	b.buf >>= n
	b.have -= n
	return true
}

func (b *reader) flag() bool { return b.read(1) == 1 }

func (b *reader) int(n uint) int { return int(b.read(n)) }
