package mp3

import "math"

// partitions are how many bands have scale factors of the same number of bits: by
// kind of scale factors (version 1, then the six of version 2, of which the last
// three are for intensity), by long, short and mixed blocks.
var partitions = [7][3][4]int{
	{{6, 5, 5, 5}, {9, 9, 6, 12}, {8, 9, 6, 12}},
	{{6, 5, 5, 5}, {9, 9, 9, 9}, {6, 9, 9, 9}},
	{{6, 5, 7, 3}, {9, 9, 12, 6}, {6, 9, 12, 6}},
	{{11, 10, 0, 0}, {18, 18, 0, 0}, {15, 18, 0, 0}},
	{{7, 7, 7, 0}, {12, 12, 12, 0}, {6, 15, 12, 0}},
	{{6, 6, 6, 3}, {12, 9, 9, 6}, {6, 12, 9, 6}},
	{{8, 8, 5, 0}, {15, 12, 9, 0}, {6, 18, 9, 0}},
}

// lengths1 are the bits of the first two partitions and of the last two, of version 1.
var lengths1 = [16][2]int{{0, 0}, {0, 1}, {0, 2}, {0, 3}, {3, 0}, {1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2}, {2, 3},
	{3, 1}, {3, 2}, {3, 3}, {4, 2}, {4, 3}}

var preemphasis = [22]int{11: 1, 1, 1, 1, 2, 2, 3, 3, 3, 2}

// lengths returns the bits of the scale factors of each partition, and their kind.
func (g *granule) lengths(h header, intensity bool) (n [4]int, kind int) {
	s := g.scales
	switch {
	case h.v1():
		l := lengths1[s]
		return [4]int{l[0], l[0], l[1], l[1]}, 0
	case !intensity && s < 400:
		return [4]int{s >> 4 / 5, s >> 4 % 5, s % 16 >> 2, s % 4}, 1
	case !intensity && s < 500:
		s -= 400
		return [4]int{s >> 2 / 5, s >> 2 % 5, s % 4, 0}, 2
	case !intensity:
		s -= 500
		return [4]int{s / 3, s % 3, 0, 0}, 3
	}
	switch s >>= 1; {
	case s < 180:
		return [4]int{s / 36, s % 36 / 6, s % 6, 0}, 4
	case s < 244:
		s -= 180
		return [4]int{s % 64 >> 4, s % 16 >> 2, s % 4, 0}, 5
	}
	s -= 244
	return [4]int{s / 3, s % 3, 0, 0}, 6
}

// illegal is a scale factor that says that a band has no intensity.
const illegal = -1

// scaleFactors reads the scale factors of each band into s, which holds those of
// the granule before. Where they are positions of intensity, illegal ones are
// marked in pos.
func (g *granule) scaleFactors(b *bits, h header, intensity bool, s, pos *[39]int) {
	shape := 0
	if g.block == 2 {
		shape = 1
		if g.mixed {
			shape = 2
		}
	}
	n, kind := g.lengths(h, intensity)
	band := 0
	for i, count := range partitions[kind][shape] {
		for range count {
			if g.share>>(3-i)&1 == 0 {
				v := b.read(n[i])
				s[band], pos[band] = v, v
				if h.v1() && v >= 7 || !h.v1() && n[i] > 0 && v == 1<<n[i]-1 {
					pos[band] = illegal
				}
			}
			band++
		}
	}
	for ; band < len(s); band++ { // the highest have none
		s[band], pos[band] = 0, 0
	}
}

// requantize scales the lines of x, of which those from n on are zero.
func (g *granule) requantize(x *[576]float32, n int, s *[39]int) {
	step := 0.5
	if g.coarse {
		step = 1
	}
	at := 0
	for i, width := range g.bands {
		if at >= n {
			return
		}
		e := float64(g.gain-210) / 4
		if i >= g.nLong {
			e -= 2*float64(g.subgain[(i-g.nLong)%3]) + step*float64(s[i])
		} else {
			v := s[i]
			if g.preflag {
				v += preemphasis[i]
			}
			e -= step * float64(v)
		}
		scale := float32(math.Exp2(e))
		for k := range x[at : at+width] {
			x[at+k] *= scale
		}
		at += width
	}
}

// pan is tan(position·π/12) as shares of the left channel.
var pan = func() (t [7]float32) {
	for i := range t[:6] {
		r := math.Tan(float64(i) * math.Pi / 12)
		t[i] = float32(r / (1 + r))
	}
	t[6] = 1
	return t
}()

// stereo makes left and right of the joint channels of a granule. g is the right
// one's, pos the positions that its scale factors are.
func (g *granule) stereo(h header, left, right *[576]float32, pos *[39]int) {
	ms, intensity := h.mode()
	if !intensity {
		if ms {
			midSide(left[:], right[:])
		}
		return
	}
	top := [3]int{-1, -1, -1} // the highest band of each window in which the right is not silent
	at := 0
	for i, width := range g.bands {
		for _, v := range right[at : at+width] {
			if v != 0 {
				w := 0
				if i >= g.nLong {
					w = (i - g.nLong) % 3
				}
				top[w] = i
				break
			}
		}
		at += width
	}
	if n := len(g.bands); g.nLong > 0 {
		all := max(top[0], top[1], top[2])
		top = [3]int{all, all, all}
		if g.nLong == n {
			pos[n-1] = g.highest(h, top[0], n-1, 1, pos)
		}
	}
	if n := len(g.bands); g.nLong < n {
		for w := range 3 {
			pos[n-3+w] = g.highest(h, top[w], n-3+w, 3, pos)
		}
	}
	at = 0
	for i, width := range g.bands {
		l, r := left[at:at+width], right[at:at+width]
		at += width
		w := 0
		if i >= g.nLong {
			w = (i - g.nLong) % 3
		}
		switch p := pos[i]; {
		case i <= top[w] || p == illegal:
			if ms {
				midSide(l, r)
			}
		case h.v1():
			for k, v := range l {
				l[k], r[k] = v*pan[p], v*(1-pan[p])
			}
		default:
			scale := float32(math.Exp2(-float64((p+1)/2) / 4 * float64(1+g.scales&1)))
			kl, kr := float32(1), scale
			if p%2 == 1 {
				kl, kr = scale, 1
			}
			for k, v := range l {
				l[k], r[k] = v*kl, v*kr
			}
		}
	}
}

// highest returns the position of the highest band, which has no scale factor: that
// of the one below, or the middle if that is not one of intensity.
func (g *granule) highest(h header, top, band, step int, pos *[39]int) int {
	if below := band - step; top < below {
		return pos[below]
	}
	if h.v1() {
		return 3
	}
	return 0
}

func midSide(l, r []float32) {
	for k, m := range l {
		s := r[k]
		l[k], r[k] = (m+s)*(math.Sqrt2/2), (m-s)*(math.Sqrt2/2)
	}
}
