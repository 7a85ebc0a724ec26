package mp3

// granule is what the side information says of a channel of a granule.
type granule struct {
	bits     int // of scale factors and spectrum
	pairs    int // of lines with values above 1
	gain     int
	scales   int // scalefac_compress
	block    int // 0 long, 1 start, 2 short, 3 stop
	mixed    bool
	tables   [3]int
	counts   [2]int // bands of the first two regions, less one
	subgain  [3]int
	preflag  bool
	coarse   bool // scalefac_scale
	count1   bool // the other table of quadruples
	share    int  // scfsi: bit 3-i: partition i has the scale factors of the first granule
	bands    []int
	nLong    int // of bands: those of long blocks, which come first
	longSubs int // subbands of long blocks in a mixed one
}

// Widths of scale factor bands by rate index, long and short.
var longBands = [9][22]int{
	{4, 4, 4, 4, 4, 4, 6, 6, 8, 8, 10, 12, 16, 20, 24, 28, 34, 42, 50, 54, 76, 158},
	{4, 4, 4, 4, 4, 4, 6, 6, 6, 8, 10, 12, 16, 18, 22, 28, 34, 40, 46, 54, 54, 192},
	{4, 4, 4, 4, 4, 4, 6, 6, 8, 10, 12, 16, 20, 24, 30, 38, 46, 56, 68, 84, 102, 26},
	{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54},
	{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 18, 22, 26, 32, 38, 46, 54, 62, 70, 76, 36},
	{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54},
	{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54},
	{6, 6, 6, 6, 6, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 38, 46, 52, 60, 68, 58, 54},
	{12, 12, 12, 12, 12, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 76, 90, 2, 2, 2, 2, 2},
}

var shortBands = [9][13]int{
	{4, 4, 4, 4, 6, 8, 10, 12, 14, 18, 22, 30, 56},
	{4, 4, 4, 4, 6, 6, 10, 12, 14, 16, 20, 26, 66},
	{4, 4, 4, 4, 6, 8, 12, 16, 20, 26, 34, 42, 12},
	{4, 4, 4, 6, 6, 8, 10, 14, 18, 26, 32, 42, 18},
	{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 32, 44, 12},
	{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40, 18},
	{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40, 18},
	{4, 4, 4, 6, 8, 10, 12, 14, 18, 24, 30, 40, 18},
	{8, 8, 8, 12, 16, 20, 24, 28, 36, 2, 2, 2, 26},
}

// bandWidths are the bands as their lines follow one another: of long blocks, of
// short ones (the three windows in turn), and of mixed ones.
var bandWidths = func() (t [3][9][]int) {
	for r := range 9 {
		t[0][r] = longBands[r][:]
		for _, w := range shortBands[r] {
			t[1][r] = append(t[1][r], w, w, w)
		}
		n, from := 8, 3
		if r >= 3 {
			n = 6
		}
		t[2][r] = append(t[2][r], longBands[r][:n]...)
		for _, w := range shortBands[r][from:] {
			t[2][r] = append(t[2][r], w, w, w)
		}
	}
	return t
}()

// readSide reads the side information of a frame, and where its data begins: so
// many bytes before it. ok is false if it is broken.
func readSide(b *bits, h header) (begin int, g [2][2]granule, ok bool) {
	channels, granules := 2, 1
	if h.mono() {
		channels = 1
	}
	var share [2]int
	if h.v1() {
		granules = 2
		begin = b.read(9)
		b.read(7 - 2*channels) // private
		for c := range channels {
			share[c] = b.read(4)
		}
	} else {
		begin = b.read(8)
		b.read(channels) // private
	}
	r := h.rateIndex()
	for i := range granules {
		for c := range channels {
			g := &g[i][c]
			g.bits, g.pairs, g.gain = b.read(12), b.read(9), b.read(8)
			if h.v1() {
				g.scales = b.read(4)
			} else {
				g.scales = b.read(9)
			}
			if g.pairs > 288 {
				return 0, [2][2]granule{}, false
			}
			kind := 0
			if b.flag() { // a window other than the usual
				g.block, g.mixed = b.read(2), b.flag()
				if g.block == 0 {
					return 0, [2][2]granule{}, false
				}
				g.tables[0], g.tables[1] = b.read(5), b.read(5)
				for w := range g.subgain {
					g.subgain[w] = b.read(3)
				}
				g.counts = [2]int{7, 100}
				if g.block == 2 {
					kind = 1
					g.counts[0] = 8
					if g.mixed {
						kind = 2
						g.counts[0] = 7
					}
				}
			} else {
				for t := range g.tables {
					g.tables[t] = b.read(5)
				}
				g.counts = [2]int{b.read(4), b.read(3)}
			}
			g.bands = bandWidths[kind][r]
			switch {
			case kind == 0:
				g.nLong = 22
			case kind == 2 && h.v1():
				g.nLong = 8
			case kind == 2:
				g.nLong = 6
			}
			if g.mixed {
				g.longSubs = 2
				if r == 8 {
					g.longSubs = 4
				}
			}
			if h.v1() {
				g.preflag = b.flag()
				if i == 1 && g.block != 2 {
					g.share = share[c]
				}
			} else {
				g.preflag = g.scales >= 500
			}
			g.coarse, g.count1 = b.flag(), b.flag()
		}
	}
	return begin, g, true
}

// regions returns where the lines of each of the regions of pairs end.
func (g *granule) regions() (until [3]int) {
	at, band := 0, 0
	for i := range until {
		n := len(g.bands)
		if i < 2 {
			n = g.counts[i] + 1
		}
		for ; n > 0 && band < len(g.bands); n-- {
			at += g.bands[band]
			band++
		}
		until[i] = min(at, 2*g.pairs)
	}
	until[2] = 2 * g.pairs
	return until
}
