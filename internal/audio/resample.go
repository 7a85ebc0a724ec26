package audio

import (
	"fmt"
	"math"
	"slices"
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

// maxTaps is how many taps a Resampler keeps. Rates with a large common divisor
// need few: 44,100 → 16,000 has 59,520. Of odd pairs (44,101 → 16,000 has 5,952,000)
// each tap is looked up as it is needed.
const maxTaps = 1 << 17

// Resampler changes the rate of samples. Any number of goroutines may use one.
type Resampler struct {
	up, down int       // output moments for each of some input moments, in lowest terms
	half     int       // taps to each side
	cutoff   float64   // of the filter, as a share of the input's Nyquist frequency
	taps     []float32 // up × 2·half: of each position between two input moments; nil if they are too many
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
	r.cutoff = sincCutoff * min(1, float64(to)/float64(from))
	width := sincZeros / r.cutoff
	r.half = int(math.Ceil(width))
	if r.up > maxTaps/(2*r.half) {
		return r
	}
	r.taps = make([]float32, r.up*2*r.half)
	row := make([]float64, 2*r.half)
	for phase := range r.up {
		sum := 0.0
		for i := range row {
			// from the output moment to input moment i - half + 1 after it
			t := float64(i-r.half+1) - float64(phase)/float64(r.up)
			row[i] = 0
			if math.Abs(t) < width {
				row[i] = sinc(r.cutoff*t) * bessel(kaiserBeta*math.Sqrt(1-t*t/(width*width)))
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
	if r.up == r.down {
		copy(dst, x)
		return dst
	}
	for j := range dst {
		at, phase := j*r.down/r.up, j*r.down%r.up
		first := at - r.half + 1
		lo, hi := max(0, -first), min(2*r.half, len(x)-first)
		if r.taps == nil {
			dst[j] = r.look(x, first, float64(r.half-1)+float64(phase)/float64(r.up))
			continue
		}
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

// shape holds the filter at shapeSteps points from zero crossing to zero crossing,
// for straight lines between them: those are within 5e-8 of it.
var shape = sync.OnceValue(func() []float32 {
	h := make([]float32, sincZeros*shapeSteps+2)
	for i := range h {
		u := float64(i) / shapeSteps
		h[i] = float32(sinc(u) * bessel(kaiserBeta*math.Sqrt(max(0, 1-u*u/(sincZeros*sincZeros)))))
	}
	return h
})

const shapeSteps = 2048

// look returns the output that x[first] lies before by some input moments.
func (r *Resampler) look(x []float32, first int, before float64) float32 {
	h := shape()
	step := r.cutoff * shapeSteps
	sum, all := 0.0, 0.0
	for i := range 2 * r.half {
		u := math.Abs(float64(i)-before) * step
		if u >= sincZeros*shapeSteps {
			continue
		}
		k := int(u)
		a, b := float64(h[k]), float64(h[k+1])
		tap := a + (b-a)*(u-float64(k))
		all += tap
		if i += first; i >= 0 && i < len(x) {
			sum += tap * float64(x[i])
		}
	}
	return float32(sum / all) // a constant stays what it is
}

// kept are the resamplers last used, the latest first.
var kept struct {
	sync.Mutex
	list []keptResampler
}

type keptResampler struct {
	from, to int
	r        *Resampler
}

// keep is how many resamplers are kept: half a megabyte each at most.
const keep = 16

// maxUp is how many samples at most are made of one of a file. Speech at 1000
// samples a second is none any more; that of one made 16,000 would be memory alone.
const maxUp = 16

// CanResample returns an error unless n samples with from samples a second can be
// had with to.
func CanResample(n, from, to int) error {
	if to > maxUp*from {
		return fmt.Errorf("it says that its rate is %d Hz, too low to make %d Hz of it (%d or more are needed); give it its true rate, or leave it out", from, to, (to+maxUp-1)/maxUp)
	}
	if made := (int64(n)*int64(to) + int64(from) - 1) / int64(from); made > MaxSamples {
		return fmt.Errorf("it would have %d samples at %d samples a second; the limit is %d", made, to, int64(MaxSamples))
	}
	return nil
}

// Resample returns x, which has from samples a second, with to; x itself if they
// are the same.
func Resample(x []float32, from, to int) []float32 {
	if from == to {
		return x
	}
	return resampler(from, to).Do(nil, x)
}

// resampler returns one that is kept, or makes it.
func resampler(from, to int) *Resampler {
	find := func() *Resampler {
		kept.Lock()
		defer kept.Unlock()
		i := slices.IndexFunc(kept.list, func(k keptResampler) bool { return k.from == from && k.to == to })
		if i < 0 {
			return nil
		}
		k := kept.list[i]
		copy(kept.list[1:i+1], kept.list[:i])
		kept.list[0] = k
		return k.r
	}
	if r := find(); r != nil {
		return r
	}
	r := NewResampler(from, to)
	if first := find(); first != nil { // another goroutine's
		return first
	}
	kept.Lock()
	defer kept.Unlock()
	kept.list = slices.Insert(kept.list, 0, keptResampler{from, to, r})
	if len(kept.list) > keep {
		clear(kept.list[keep:])
		kept.list = kept.list[:keep]
	}
	return r
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
