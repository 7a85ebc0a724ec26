package mp3

import (
	"math"
	"testing"

	"vicreg/internal/check"
)

// Every codeword leads to its own value, and nothing is left over.
func TestTables(t *testing.T) {
	for n, list := range codes {
		room := 0.0
		for value, c := range list {
			length := int(c >> 24)
			room += math.Exp2(-float64(length))
			word := make([]byte, 12)
			for i := range length {
				word[i/8] |= byte(c>>(length-1-i)&1) << (7 - i%8)
			}
			b := &bits{data: word, end: 8 * 4}
			if got := tables[n].value(b); got != value || b.at != length {
				t.Fatalf("table %d: value %d of %d bits, want %d of %d", n, got, b.at, value, length)
			}
		}
		if room != 1 {
			t.Errorf("table %d: its codewords take %v of the room", n, room)
		}
	}
}

// The bands of each rate make up the 576 lines.
func TestBands(t *testing.T) {
	for kind := range bandWidths {
		for r, bands := range bandWidths[kind] {
			sum := 0
			for _, w := range bands {
				sum += w
			}
			if sum != 576 {
				t.Errorf("kind %d, rate %d: %d lines", kind, rates[r], sum)
			}
		}
	}
}

// Against the sums that the standard writes down.
func TestTransforms(t *testing.T) {
	x := check.Random(1, 18)
	var got, want [36]float32
	for block := range 4 {
		clear(want[:])
		if block == 2 {
			imdct12(&got, x)
			for w := range 3 {
				for i := range 12 {
					for k := range 6 {
						want[6+6*w+i] += x[3*k+w] * windows[2][i] *
							float32(math.Cos(math.Pi/24*float64(2*i+7)*float64(2*k+1)))
					}
				}
			}
		} else {
			imdct36(&got, x, &windows[block])
			for i := range want {
				for k, v := range x {
					want[i] += v * windows[block][i] * float32(math.Cos(math.Pi/72*float64(2*i+19)*float64(2*k+1)))
				}
			}
		}
		check.Close(t, "block", got[:], want[:], 1e-6)
	}
	// the synthesis, over as many slots as its memory has
	d := new(decoder)
	var v [1024]float64
	for slot := range 20 {
		s := check.Random(uint64(slot), 32*18)
		out, want := make([]float32, 32), make([]float32, 32)
		d.synthesize(out, 1, 0, s)
		copy(v[64:], v[:960])
		for i := range 64 {
			v[i] = 0
			for k := range 32 {
				v[i] += math.Cos(float64((16+i)*(2*k+1))*math.Pi/64) * float64(s[18*k])
			}
		}
		for j := range 32 {
			sum := 0.0
			for i := range 8 {
				sum += v[128*i+j]*float64(window[64*i+j]) + v[128*i+96+j]*float64(window[64*i+32+j])
			}
			want[j] = float32(sum)
		}
		check.Close(t, "synthesis", out, want, 1e-5)
	}
}
