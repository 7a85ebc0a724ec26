package mp3

import "math"

// window is the synthesis window, table 3-B.3.
var window = func() (t [512]float32) {
	for i, v := range halfWindow {
		t[i] = v / 65536
		if i > 0 && i < 256 {
			t[512-i] = -t[i]
			if i%64 == 0 {
				t[512-i] = t[i]
			}
		}
	}
	return t
}()

// matrix holds cos(m·(2k+1)·π/64) for the first half of k: the other is the same
// for even m, and of the opposite sign for odd ones.
var matrix = func() (t [32][16]float32) {
	for m := range t {
		for k := range t[m] {
			t[m][k] = float32(math.Cos(float64(m*(2*k+1)) * math.Pi / 64))
		}
	}
	return t
}()

// synthesize makes 32 samples of one of each subband, x[18·sub], and writes them
// stride apart.
func (d *decoder) synthesize(out []float32, stride, c int, x []float32) {
	var even, odd [16]float32
	for k := range even {
		a, b := x[18*k], x[18*(31-k)]
		even[k], odd[k] = a+b, a-b
	}
	d.head[c] = (d.head[c] - 64) & 1023
	v := &d.v[c]
	at := d.head[c]
	for m := range 32 {
		in := &even
		if m%2 == 1 {
			in = &odd
		}
		var sum float32
		for k, w := range matrix[m] {
			sum += w * in[k]
		}
		// V[i] = Σ cos((16 + i)(2k + 1)π/64)·S[k], i to 63, by its symmetries
		if m >= 16 {
			v[at+m-16] = sum
			v[at+48-m] = -sum
		} else {
			v[at+48-m] = -sum
			v[at+48+m] = -sum
		}
	}
	v[at+16] = 0
	for j := range 32 {
		var sum float32
		for i := 0; i < 8; i++ {
			sum += v[(at+128*i+j)&1023]*window[64*i+j] + v[(at+128*i+96+j)&1023]*window[64*i+32+j]
		}
		out[j*stride] = sum
	}
}
