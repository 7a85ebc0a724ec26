package audio

import (
	"fmt"
	"math"
	"sync"
)

// The low-pass filter of a change of rate: a sinc of sincZeros zero crossings to
// each side under a Kaiser window. It is flat up to 0.9 of the lower of the two
// Nyquist frequencies and 90 dB down from there on.
const (
	sincZeros  = 64
	sincCutoff = 0.95
	kaiserBeta = 9
)

// Resampler changes the rate of samples. Any number of goroutines may use one.
type Resampler struct {
	up, down int       // output moments for each of some input moments, in lowest terms
	half     int       // taps to each side
	taps     []float32 // up × 2·half: of each position between two input moments
}

// NewResampler returns a change from one rate to another; both must be at least 1.
func NewResampler(from, to int) *Resampler {
	if from < 1 || to < 1 {
		panic(fmt.Sprintf("audio: resampling from %d to %d samples a second", from, to))
	}
	g := gcd(from, to)
	r := &Resampler{up: to / g, down: from / g}
	if r.up == r.down {
		return r
	}
	cutoff := sincCutoff * min(1, float64(to)/float64(from))
	width := sincZeros / cutoff
	r.half = int(math.Ceil(width))
	r.taps = make([]float32, r.up*2*r.half)
	row := make([]float64, 2*r.half)
	for phase := range r.up {
		sum := 0.0
		for i := range row {
			// from the output moment to input moment i - half + 1 after it
			t := float64(i-r.half+1) - float64(phase)/float64(r.up)
			row[i] = 0
			if math.Abs(t) < width {
				row[i] = sinc(cutoff*t) * bessel(kaiserBeta*math.Sqrt(1-t*t/(width*width)))
			}
			sum += row[i]
		}
		for i, v := range row { // a constant stays what it is
			r.taps[phase*2*r.half+i] = float32(v / sum)
		}
	}
	return r
}

// Len returns how many samples n become.
func (r *Resampler) Len(n int) int { return (n*r.up + r.down - 1) / r.down }

// Do resamples x into dst's memory if that suffices. What lies beyond the ends
// of x is silence.
func (r *Resampler) Do(dst, x []float32) []float32 {
	n := r.Len(len(x))
	if cap(dst) < n {
		dst = make([]float32, n)
	}
	dst = dst[:n]
	if r.taps == nil {
		copy(dst, x)
		return dst
	}
	for j := range dst {
		at, phase := j*r.down/r.up, j*r.down%r.up
		first := at - r.half + 1
		lo, hi := max(0, -first), min(2*r.half, len(x)-first)
		var sum float32
		if lo < hi {
			taps, in := r.taps[phase*2*r.half+lo:phase*2*r.half+hi], x[first+lo:first+hi]
			for i, v := range in {
				sum += v * taps[i]
			}
		}
		dst[j] = sum
	}
	return dst
}

// resamplers keeps those in use, by [2]int{from, to}.
var resamplers sync.Map

// Resample returns x, which has from samples a second, with to; x itself if they
// are the same.
func Resample(x []float32, from, to int) []float32 {
	if from == to {
		return x
	}
	key := [2]int{from, to}
	r, ok := resamplers.Load(key)
	if !ok {
		r, _ = resamplers.LoadOrStore(key, NewResampler(from, to))
	}
	return r.(*Resampler).Do(nil, x)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// bessel is I₀, the modified Bessel function of the first kind, by its series.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}
