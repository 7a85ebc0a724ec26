package mp3

// decoder is what frames leave to the next.
type decoder struct {
	reservoir []byte // the last bytes of data
	data      []byte // reservoir and data of the frame
	unread    int    // bytes behind what the last frame took
	overlap   [2][576]float32
	v         [2][1024]float32
	head      [2]int
	scales    [2][39]int
	pos       [2][39]int // the same as positions of intensity
	x         [2][576]float32
}

// maxBegin is how far back the data of a frame may begin.
const maxBegin = 511

// frame decodes a frame to out, of so many channels in turn. It reports whether the
// frame is whole: its data is where it says, and what it says can be.
func (d *decoder) frame(out []float32, frame []byte, channels int) bool {
	h := header(frame)
	n, granules, side := 2, 1, h.side()
	if h.v1() {
		granules = 2
	}
	if h.mono() {
		n = 1
	}
	at := 4
	if h[1]&1 == 0 {
		at += 2 // a checksum
	}
	if len(frame) < at+side {
		d.reservoir, d.unread = d.reservoir[:0], 0
		d.silence(out, n, channels)
		return false
	}
	b := &bits{data: append(frame[at:at+side:at+side], make([]byte, 8)...), end: 8 * side}
	begin, g, ok := readSide(b, h)
	ok = ok && begin <= len(d.reservoir)
	whole := ok && begin <= d.unread
	d.unread += len(frame) - at - side
	if ok {
		d.data = append(d.data[:0], d.reservoir[len(d.reservoir)-begin:]...)
	}
	d.data = append(d.data, frame[at+side:]...)
	d.reservoir = append(d.reservoir, frame[at+side:]...)
	if more := len(d.reservoir) - maxBegin; more > 0 {
		d.reservoir = append(d.reservoir[:0], d.reservoir[more:]...)
	}
	if !ok {
		d.data = d.data[:0]
		d.silence(out, n, channels)
		return false
	}
	b = &bits{end: 8 * len(d.data)}
	d.data = append(d.data, 0, 0, 0, 0, 0, 0, 0, 0)
	b.data = d.data
	per := 576 * channels
	for i := range granules {
		whole = d.granule(out[i*per:][:per], b, h, g[i][:n], channels) && whole
	}
	d.unread = (b.end - b.at) / 8
	d.data = d.data[:0]
	return whole
}

// granule decodes 576 samples of each channel. It reports whether they are coded in
// the bits that they say.
func (d *decoder) granule(out []float32, b *bits, h header, g []granule, channels int) bool {
	whole := true
	_, intensity := h.mode()
	var lines [2]int
	for c := range g {
		whole = whole && b.at+g[c].bits <= b.end
		end := min(b.at+g[c].bits, b.end)
		g[c].scaleFactors(b, h, intensity && c == 1, &d.scales[c], &d.pos[c])
		lines[c] = g[c].huffman(b, end, &d.x[c])
		whole = whole && lines[c] >= 2*g[c].pairs
		g[c].requantize(&d.x[c], lines[c], &d.scales[c])
	}
	if len(g) == 2 {
		g[1].stereo(h, &d.x[0], &d.x[1], &d.pos[1])
		if ms, _ := h.mode(); ms || intensity {
			lines[0] = max(lines[0], lines[1])
			lines[1] = lines[0]
		}
	}
	for c := range g {
		x := &d.x[c]
		subbands := 32
		n := min(576, lines[c]+18) // a border's lines reach into the next subband
		if g[c].block == 2 {
			g[c].reorder(x)
			subbands = g[c].longSubs
			n = 576
		}
		antialias(x, subbands)
		d.hybrid(&g[c], c, n, x)
		d.samples(out, c, channels, x)
	}
	d.spread(out, len(g), channels)
	return whole
}

// samples makes the samples of a channel of what its subbands hold.
func (d *decoder) samples(out []float32, c, channels int, x *[576]float32) {
	for slot := range 18 {
		d.synthesize(out[32*slot*channels+c:], channels, c, x[slot:])
	}
}

// silence lets what came before fade out.
func (d *decoder) silence(out []float32, n, channels int) {
	per := 576 * channels
	for ; len(out) > 0; out = out[per:] {
		for c := range n {
			x := &d.x[c]
			clear(x[:])
			d.hybrid(&granule{}, c, 0, x)
			d.samples(out[:per], c, channels, x)
		}
		d.spread(out[:per], n, channels)
	}
}

// spread gives a single channel's samples to the other one too.
func (d *decoder) spread(out []float32, n, channels int) {
	if n == channels {
		return
	}
	for i := 0; i < len(out); i += 2 {
		out[i+1] = out[i]
	}
}
