package imagefile

import (
	"bytes"
	"hash/maphash"
	"sync"

	"vicreg/internal/turbo"
)

// everyday reports whether a JPEG holds nothing but what every decoder reads alike, from
// its first byte to its last: one frame of grey or of luma and two chroma planes, whole
// tables before the pixels, codes without a fault, scans that bring each coefficient to its
// end. Whatever else there is, missing tables, colours that no marker tells, damage, is
// left to Go's decoder, so that it is the only one that files are judged by.
func (f *frame) everyday(data []byte) (turbo.Frame, bool) {
	t, ok := f.layout()
	if !ok {
		return t, false
	}
	w := walk{frame: f, data: data, at: 2}
	if f.progressive {
		w.masks = make([][]uint64, len(f.parts))
	}
	for i, p := range f.parts {
		w.left = append(w.left, [64]uint8(bytes.Repeat([]byte{unsent}, 64)))
		if f.progressive {
			w.masks[i] = make([]uint64, f.blocks(p))
		}
	}
	for {
		marker, body, ok := w.segment()
		switch {
		case !ok:
			return t, false
		case marker == 0xd9:
			return t, w.sent()
		case !w.take(marker, body):
			return t, false
		}
	}
}

// judged tells of files, by their hashes, whether they are everyday ones, since to go over one
// takes a third of the time that libjpeg-turbo needs for it, and training comes back to it in
// every epoch.
var judged = struct {
	sync.Mutex
	seed     maphash.Seed
	everyday map[uint64]bool
}{seed: maphash.MakeSeed(), everyday: map[uint64]bool{}}

// mostJudged bounds what is remembered, to some twenty megabytes.
const mostJudged = 1 << 20

// judge is everyday that remembers.
func (f *frame) judge(data []byte) (turbo.Frame, bool) {
	hash := maphash.Bytes(judged.seed, data)
	judged.Lock()
	ok, known := judged.everyday[hash]
	judged.Unlock()
	if known && !ok {
		return turbo.Frame{}, false
	}
	if known {
		return f.layout()
	}
	t, ok := f.everyday(data)
	judged.Lock()
	defer judged.Unlock()
	if len(judged.everyday) < mostJudged {
		judged.everyday[hash] = ok
	}
	return t, ok
}

// layout tells how chroma is shared.
func (f *frame) layout() (turbo.Frame, bool) {
	t := turbo.Frame{W: f.w, H: f.h, ShareW: 1, ShareH: 1}
	if len(f.parts) == 1 {
		t.Grey = true
		return t, f.plain
	}
	if len(f.parts) != 3 || f.parts[0].id == 'R' && f.parts[1].id == 'G' && f.parts[2].id == 'B' {
		return t, false
	}
	y, cb, cr := f.parts[0], f.parts[1], f.parts[2]
	t.ShareW, t.ShareH = y.h, y.v
	switch [2]int{y.h, y.v} {
	case [2]int{1, 1}, [2]int{2, 1}, [2]int{2, 2}, [2]int{1, 2}, [2]int{4, 1}:
		return t, cb.h == 1 && cb.v == 1 && cr.h == 1 && cr.v == 1
	}
	return t, false
}

// walk goes over the segments of a JPEG.
type walk struct {
	*frame
	data    []byte
	at      int
	framed  bool
	scanned bool
	restart int    // how many units of pixels, or blocks of a part alone, stand between two markers of restart
	quant   [4]int // the step of the mean, 0: there is no table
	huffman [2][4]huffman
	left    [][64]uint8 // of each part and coefficient, how many low bits are still to come
	masks   [][]uint64  // of each part and block, which coefficients are not zero, in the order of the file
}

const unsent = 0xff

// segment returns the next marker and what belongs to it. Nothing may stand before it but
// bytes that fill.
func (w *walk) segment() (marker byte, body []byte, ok bool) {
	d, i := w.data, w.at
	if i >= len(d) || d[i] != 0xff {
		return 0, nil, false
	}
	for i < len(d) && d[i] == 0xff {
		i++
	}
	if i >= len(d) {
		return 0, nil, false
	}
	if marker = d[i]; marker == 0xd9 {
		return marker, nil, true
	}
	if i+3 > len(d) {
		return 0, nil, false
	}
	end := i + 1 + int(d[i+1])<<8 + int(d[i+2])
	if end < i+3 || end > len(d) {
		return 0, nil, false
	}
	w.at = end
	return marker, d[i+3 : end], true
}

// take looks a segment over, and goes on to the next.
func (w *walk) take(marker byte, body []byte) bool {
	switch {
	case marker == 0xc4:
		return w.takeHuffman(body)
	case marker == 0xdb:
		return !w.scanned && w.takeQuant(body)
	case marker == 0xdd:
		if len(body) != 2 {
			return false
		}
		w.restart = int(body[0])<<8 + int(body[1])
		return true
	case marker == 0xda:
		return w.framed && w.takeScan(body)
	case marker == 0xc0, marker == 0xc1, marker == 0xc2:
		again := w.framed || w.scanned
		w.framed = true
		return !again && len(body) == 6+3*len(w.parts)
	case marker == 0xe0: // JFIF, whole and of a version that is known, or not at all
		return !bytes.HasPrefix(body, []byte("JFIF\x00")) || len(body) >= 14 && body[5] == 1
	case marker == 0xee: // Adobe, and that the colours are luma and chroma
		return !bytes.HasPrefix(body, []byte("Adobe")) || len(body) >= 12 && (body[11] == 1 || len(w.parts) == 1)
	}
	return marker >= 0xe0 && marker <= 0xef || marker == 0xfe
}

func (w *walk) takeQuant(body []byte) bool {
	for len(body) > 0 {
		wide, k := int(body[0]>>4), body[0]&15
		n := 1 + 64*(1+wide)
		if wide > 1 || k > 3 || len(body) < n {
			return false
		}
		if w.quant[k] = int(body[1]); wide == 1 {
			w.quant[k] = w.quant[k]<<8 + int(body[2])
		}
		body = body[n:]
	}
	return true
}

func (w *walk) takeHuffman(body []byte) bool {
	for len(body) > 0 {
		class, k := body[0]>>4, body[0]&15
		if len(body) < 17 || class > 1 || k > 3 || k > 1 && !w.progressive {
			return false
		}
		h, n := &w.huffman[class][k], 0
		for i, count := range body[1:17] {
			h.counts[i] = int(count)
			n += int(count)
		}
		if n < 1 || n > 256 || len(body) < 17+n {
			return false
		}
		h.values, h.built, body = body[17:17+n], false, body[17+n:]
	}
	return true
}

// scan is one as its header tells it.
type scan struct {
	parts     []int
	means     []mean
	dc, ac    []*huffman // of each part
	from, to  int        // coefficients
	high, low int        // bits of them
}

// takeScan looks whether a scan has its tables, notes what it brings, and goes over it.
func (w *walk) takeScan(body []byte) bool {
	if len(body) < 1 || len(body) != 4+2*int(body[0]) {
		return false
	}
	n := int(body[0])
	s := scan{from: int(body[1+2*n]), to: int(body[2+2*n]), high: int(body[3+2*n] >> 4), low: int(body[3+2*n] & 15)}
	if w.progressive {
		if n < 1 || s.from > s.to || s.to > 63 || s.from == 0 && s.to > 0 || s.from > 0 && n > 1 || s.low > 10 {
			return false
		}
	} else if n < 1 || n < len(w.parts) && !w.apart || s.from != 0 || s.to != 63 || s.high != 0 || s.low != 0 {
		return false
	}
	for k := range n {
		p, dc, ac := w.part(body[1+2*k]), body[2+2*k]>>4, body[2+2*k]&15
		if p < 0 || n == len(w.parts) && p != k || dc > 3 || ac > 3 {
			return false
		}
		if q := w.parts[p].quant; q > 3 || w.quant[q] == 0 {
			return false
		}
		s.parts, s.dc, s.ac = append(s.parts, p), append(s.dc, &w.huffman[0][dc]), append(s.ac, &w.huffman[1][ac])
		s.means = append(s.means, mean{most: mostMean / w.quant[w.parts[p].quant]})
		if s.from == 0 && s.high == 0 && !s.dc[k].ready(differences) {
			return false
		}
		if s.to > 0 && !s.ac[k].ready(s.kind(w.progressive)) {
			return false
		}
		for c := s.from; c <= s.to; c++ {
			left := &w.left[p][c]
			if s.high == 0 && *left != unsent || s.high != 0 && (int(*left) != s.high || s.low != s.high-1) {
				return false
			}
			*left = uint8(s.low)
		}
	}
	w.scanned = true
	c := coded{data: w.data, at: w.at}
	ok := false
	if n > 1 {
		ok = w.together(&c, &s)
	} else {
		ok = w.alone(&c, &s)
	}
	w.at = c.at
	return ok && c.done()
}

// mostMean is twice the greatest mean of a block of 8-bit samples, as the transform has it.
const mostMean = 2048

// kind is what tables of coefficients are read for.
func (s *scan) kind(progressive bool) kind {
	switch {
	case !progressive:
		return coefficients
	case s.high == 0:
		return firstBits
	}
	return nextBits
}

// units returns how many units of pixels that are coded together there are.
func (f *frame) units() int { return ((f.w-1)/f.mcuW + 1) * ((f.h-1)/f.mcuH + 1) }

// due reports whether a marker of restart stands before unit or block u of a scan.
func (w *walk) due(u int) bool { return w.restart > 0 && u > 0 && u%w.restart == 0 }

// begin goes over the marker of restart before unit or block u, at which means begin anew.
func (w *walk) begin(c *coded, s *scan, u int) bool {
	for k := range s.means {
		s.means[k].at = 0
	}
	return c.restart(u/w.restart - 1)
}

// together goes over a scan of several parts' blocks, or of their means.
func (w *walk) together(c *coded, s *scan) bool {
	for u := range w.units() {
		if w.due(u) && !w.begin(c, s, u) {
			return false
		}
		for k, p := range s.parts {
			for range w.parts[p].h * w.parts[p].v {
				if w.progressive && !c.means(s, k) || !w.progressive && !c.block(s.dc[k], s.ac[k], &s.means[k]) {
					return false
				}
			}
		}
		if c.zeros > 64 { // far behind the end
			return false
		}
	}
	return true
}

// means goes over bits of the mean of a block, of the scan's part k.
func (c *coded) means(s *scan, k int) bool {
	if s.high > 0 {
		c.skip(1)
		return true
	}
	return c.add(s.dc[k], &s.means[k], s.low)
}

// alone goes over a scan of one part's blocks, of which those beyond the edge are not sent.
func (w *walk) alone(c *coded, s *scan) bool {
	p := w.parts[s.parts[0]]
	across, down := w.across(p)
	masks, run := []uint64(nil), 0
	if w.progressive {
		masks = w.masks[s.parts[0]]
	}
	for b := range across * down {
		if w.due(b) && (run > 0 || !w.begin(c, s, b)) {
			return false
		}
		ok := true
		switch {
		case !w.progressive:
			ok = c.block(s.dc[0], s.ac[0], &s.means[0])
		case s.from == 0:
			ok = c.means(s, 0)
		case s.high == 0:
			ok = c.first(s.ac[0], &masks[b], s.from, s.to, s.low, &run)
		default:
			ok = c.refine(s.ac[0], &masks[b], s.from, s.to, &run)
		}
		if !ok || c.zeros > 64 {
			return false
		}
	}
	return run == 0
}

// across returns how many blocks of a part hold pixels.
func (f *frame) across(p part) (across, down int) {
	each := func(pixels, all, of int) int { return ((pixels*of+all/8-1)/(all/8) + 7) / 8 }
	return each(f.w, f.mcuW, p.h), each(f.h, f.mcuH, p.v)
}

// part returns which component has that name, -1 if none.
func (f *frame) part(id byte) int {
	for i, p := range f.parts {
		if p.id == id {
			return i
		}
	}
	return -1
}

// sent reports whether the scans brought all.
func (w *walk) sent() bool {
	for _, left := range w.left {
		for _, bits := range left {
			if bits != 0 {
				return false
			}
		}
	}
	return true
}
