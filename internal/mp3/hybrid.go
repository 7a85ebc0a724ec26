package mp3

import "math"

// alias are the butterflies across the borders of subbands.
var alias = func() (t [8][2]float32) {
	for i, c := range []float64{-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037} {
		t[i] = [2]float32{float32(1 / math.Sqrt(1+c*c)), float32(c / math.Sqrt(1+c*c))}
	}
	return t
}()

// reorder brings the lines of short blocks from one window after the other, band
// by band, into the order of frequency.
func (g *granule) reorder(x *[576]float32) {
	var y [576]float32
	at := 0
	for i := 0; i < len(g.bands); {
		width := g.bands[i]
		if i < g.nLong {
			copy(y[at:], x[at:at+width])
			at += width
			i++
			continue
		}
		for k := range width {
			for w := range 3 {
				y[at+3*k+w] = x[at+w*width+k]
			}
		}
		at += 3 * width
		i += 3
	}
	*x = y
}

// antialias joins the first so many subbands.
func antialias(x *[576]float32, subbands int) {
	for at := 18; at < 18*subbands; at += 18 {
		for i, c := range alias {
			u, d := x[at-1-i], x[at+i]
			x[at-1-i], x[at+i] = u*c[0]-d*c[1], d*c[0]+u*c[1]
		}
	}
}

// long36 holds cos(π/72·(2i + 19)(2k + 1)) for the i in the middle half, of which
// the others are mirror images; short12 is that of twelve.
var (
	long36  [18][18]float32
	short12 [6][6]float32
	windows [4][36]float32 // by block type
)

func init() {
	cosines := func(n, i, k int) float32 {
		return float32(math.Cos(math.Pi / float64(2*n) * float64(2*i+1+n/2) * float64(2*k+1)))
	}
	for i := range 18 {
		for k := range 18 {
			long36[i][k] = cosines(36, i+9, k)
		}
	}
	for i := range 6 {
		for k := range 6 {
			short12[i][k] = cosines(12, i+3, k)
		}
	}
	sine := func(i, n int) float32 { return float32(math.Sin(math.Pi / float64(n) * (float64(i) + 0.5))) }
	for i := range 36 {
		windows[0][i] = sine(i, 36)
		switch {
		case i < 18:
			windows[1][i] = sine(i, 36)
		case i < 24:
			windows[1][i] = 1
		case i < 30:
			windows[1][i] = sine(i-18, 12)
		}
		if i < 12 {
			windows[2][i] = sine(i, 12)
		}
	}
	for i := range 36 {
		windows[3][i] = windows[1][35-i]
	}
}

// imdct36 writes the windowed inverse transform of 18 lines to y.
func imdct36(y *[36]float32, x []float32, window *[36]float32) {
	for i := range long36 {
		var sum float32
		for k, c := range long36[i] {
			sum += c * x[k]
		}
		at := i + 9
		y[at] = sum * window[at]
		if i < 9 { // y[17-j] = -y[j], y[53-j] = y[j]
			y[17-at] = -sum * window[17-at]
		} else {
			y[53-at] = sum * window[53-at]
		}
	}
}

// imdct12 adds the three windowed inverse transforms of six lines each.
func imdct12(y *[36]float32, x []float32) {
	clear(y[:])
	window := &windows[2]
	for w := range 3 {
		out := y[6+6*w:][:12]
		for i := range short12 {
			var sum float32
			for k, c := range short12[i] {
				sum += c * x[3*k+w]
			}
			at := i + 3
			out[at] += sum * window[at]
			if i < 3 {
				out[5-at] -= sum * window[5-at]
			} else {
				out[17-at] += sum * window[17-at]
			}
		}
	}
}

// hybrid turns the lines of each subband into its 18 samples, in x's place. Lines
// from n on are zero.
func (d *decoder) hybrid(g *granule, c, n int, x *[576]float32) {
	var y [36]float32
	for sub := range 32 {
		lines, last := x[18*sub:][:18], d.overlap[c][18*sub:][:18]
		if 18*sub >= n {
			copy(lines, last)
			clear(last)
		} else {
			switch {
			case sub < g.longSubs:
				imdct36(&y, lines, &windows[0])
			case g.block == 2:
				imdct12(&y, lines)
			default:
				imdct36(&y, lines, &windows[g.block])
			}
			for i := range lines {
				lines[i] = y[i] + last[i]
				last[i] = y[18+i]
			}
		}
		if sub%2 == 1 { // the subband is mirrored
			for i := 1; i < 18; i += 2 {
				lines[i] = -lines[i]
			}
		}
	}
}
