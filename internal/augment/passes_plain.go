package augment

// The passes over pixels, in plain Go: they run where there is no assembly, and tests
// compare the assembly with them.

// lines is how many lines of pixels lie side by side while they are resized or
// blurred along their length.
const lines = 16

// interleavePlain puts n bytes of each of 16 lines side by side; line r starts
// at offsets[r].
func interleavePlain(dst, src []uint8, offsets *[lines]int, n int) {
	for r, o := range offsets {
		for i, v := range src[o:][:n] {
			dst[lines*i+r] = v
		}
	}
}

// splitPlain is the inverse of interleave.
func splitPlain(dst []uint8, offsets *[lines]int, src []uint8, n int) {
	for r, o := range offsets {
		d := dst[o:][:n]
		for i := range d {
			d[i] = src[lines*i+r]
		}
	}
}

// weighPlain computes every output of t, n values each. Outputs lie ds apart in dst,
// inputs ss apart in src.
func weighPlain(dst []uint8, ds int, src []uint8, ss int, t *table, n int) {
	for i, first := range t.first {
		w := t.weight[i*t.size:][:t.count[i]]
		for j := 0; j < n; j += lines {
			part := min(lines, n-j)
			var sum [lines]int32
			for k, weight := range w {
				row := src[(first+k)*ss+j:][:part]
				for l, v := range row {
					sum[l&(lines-1)] += weight * int32(v)
				}
			}
			d := dst[i*ds+j:][:part]
			for l := range d {
				d[l] = uint8(min(max((sum[l&(lines-1)]+1<<(precision-1))>>precision, 0), 255))
			}
		}
	}
}

// boxPlain filters n places of m values each, m a multiple of 16. src holds radius+1
// places more at its start, before the first place, and as many after the last.
func boxPlain(dst, src []uint8, n, m int, b box) {
	wide := 2*b.radius + 1
	for j := 0; j < m; j += lines {
		place := func(p int) *[lines]uint8 { return (*[lines]uint8)(src[p*m+j:]) }
		var sum [lines]uint32
		for k := range wide {
			for l, v := range place(k) {
				sum[l] += uint32(v)
			}
		}
		for i := range n {
			left, enter, right := place(i), place(i+wide), place(i+wide+1)
			d := (*[lines]uint8)(dst[i*m+j:])
			for l := range d {
				sum[l] += uint32(enter[l]) - uint32(left[l])
				d[l] = uint8((sum[l]*b.weight + (uint32(left[l])+uint32(right[l]))*b.edge + 1<<23) >> 24)
			}
		}
	}
}

func substitutePlain(pix []uint8, l *level) {
	for i, v := range pix {
		pix[i] = l[v]
	}
}

func lumaSumPlain(pix []uint8) (sum uint64) {
	for p := pix; len(p) >= 3; p = p[3:] {
		sum += uint64(luma(p[0], p[1], p[2]))
	}
	return sum
}

func greyPlain(pix []uint8) {
	for p := pix; len(p) >= 3; p = p[3:] {
		l := luma(p[0], p[1], p[2])
		p[0], p[1], p[2] = l, l, l
	}
}

func saturatePlain(pix []uint8, factor float32) {
	var scaled [512]float32 // factor · d at d + 255
	for i := range scaled {
		scaled[i] = factor * float32(i-255)
	}
	for p := pix; len(p) >= 3; p = p[3:] {
		l := luma(p[0], p[1], p[2])
		base, at := float32(l), 255-int(l)
		x, y, z := base+scaled[(at+int(p[0]))&511], base+scaled[(at+int(p[1]))&511], base+scaled[(at+int(p[2]))&511]
		i, j, k := min(max(int32(x), 0), 255), min(max(int32(y), 0), 255), min(max(int32(z), 0), 255)
		p[0], p[1], p[2] = uint8(i), uint8(j), uint8(k)
	}
}

func huePlain(pix []uint8, shift uint8) {
	t := hueTables()
	for p := pix; len(p) >= 3; p = p[3:] {
		r, g, b := p[0], p[1], p[2]
		top, low := max(r, g, b), min(r, g, b)
		chroma, d := top-low, top-(r+g+b-top-low) // d: how far the middle channel lies below the top
		// rgb2hsv; no branches, they would be hard to predict
		h := t.hue[turn(r, g, b)][int(chroma)<<8|int(d)] + shift
		v, fs := float64(top), t.fraction[t.saturation[int(top)<<8|int(chroma)]]
		// hsv2rgb
		a := &t.angle[h]
		away := float64(float64(fs)*a.rise) + float64(fs*a.fall)
		bottom := int32(float64(v*(1-float64(fs))) + 0.5)
		middle := int32(float64(v*(1-away)) + 0.5)
		all := uint32(top) | uint32(bottom)<<8 | uint32(middle)<<16
		p[0], p[1], p[2] = uint8(all>>(a.shift[0]&31)), uint8(all>>(a.shift[1]&31)), uint8(all>>(a.shift[2]&31))
	}
}
