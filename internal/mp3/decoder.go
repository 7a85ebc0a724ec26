package mp3

// decoder is what frames leave to the next.
type decoder struct {
	reservoir []byte // the last bytes of data
	data      []byte // reservoir and data of the frame
	overlap   [2][576]float32
	v         [2][1024]float32
	head      [2]int
	scales    [2][39]int
	pos       [2][39]int // the same as positions of intensity
	x         [2][576]float32
}

// maxBegin is how far back the data of a frame may begin.
const maxBegin = 511

// frame decodes a frame to out, of so many channels in turn.
func (d *decoder) frame(out []float32, frame []byte, channels int) {
	h := header(frame)
	n, granules, side := 2, 1, 17
	if h.v1() {
		granules, side = 2, 32
	}
	if h.mono() {
		n, side = 1, 9
		if h.v1() {
			side = 17
		}
	}
	at := 4
	if h[1]&1 == 0 {
		at += 2 // a checksum
	}
	if len(frame) < at+side {
		d.reservoir = d.reservoir[:0]
		d.silence(out, n, channels)
		return
	}
	b := &bits{data: append(frame[at:at+side:at+side], make([]byte, 8)...), end: 8 * side}
	begin, g, ok := readSide(b, h)
	ok = ok && begin <= len(d.reservoir)
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
		return
	}
	b = &bits{end: 8 * len(d.data)}
	d.data = append(d.data, 0, 0, 0, 0, 0, 0, 0, 0)
	b.data = d.data
	per := 576 * channels
	for i := range granules {
		d.granule(out[i*per:][:per], b, h, g[i][:n], channels)
	}
	d.data = d.data[:0]
}

// granule decodes 576 samples of each channel.
func (d *decoder) granule(out []float32, b *bits, h header, g []granule, channels int) {
	_, intensity := h.mode()
	var lines [2]int
	for c := range g {
		end := min(b.at+g[c].bits, b.end)
		g[c].scaleFactors(b, h, intensity && c == 1, &d.scales[c], &d.pos[c])
		lines[c] = g[c].huffman(b, end, &d.x[c])
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
