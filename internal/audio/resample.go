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

// maxTaps is the most taps for which a Resampler has exact positions. Rates with a large
// common divisor need few: 44,100 → 16,000 needs 59,520. Odd pairs need many (44,101 →
// 16,000 would need 5,952,000); for these it has the taps of fineRows · cutoff positions
// and interpolates between two outputs, which is within 1e-6.
const (
	maxTaps  = 1 << 17
	fineRows = 2048
)

// Resampler changes the rate of samples. Any number of goroutines may use one.
type Resampler struct {
	up, down int       // output moments for each of some input moments, in lowest terms
	half     int       // taps to each side
	fine     int       // 0, or how many positions there are taps for in place of up
	taps     []float32 // up × 2·half: of each position between two input moments; or fine + 1 × 2·half
}

// NewResampler returns a change from one rate to another; both must be at least 1.
func NewResampler(from, to int) *Resampler { return newResampler(from, to, maxTaps) }

// newResampler has exact positions if they take at most most taps.
func newResampler(from, to, most int) *Resampler {
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
	rows, steps, filter := r.up, r.up, func(t float64) float64 {
		return sinc(cutoff*t) * bessel(kaiserBeta*math.Sqrt(1-t*t/(width*width)))
	}
	if r.up > most/(2*r.half) {
		r.fine = int(math.Ceil(fineRows * cutoff))
		rows, steps, filter = r.fine+1, r.fine, func(t float64) float64 { return lookUp(cutoff * t) }
	}
	r.taps = make([]float32, rows*2*r.half)
	row := make([]float64, 2*r.half)
	for phase := range rows {
		sum := 0.0
		for i := range row {
			// from the output moment to input moment i - half + 1 after it
			t := float64(i-r.half+1) - float64(phase)/float64(steps)
			row[i] = 0
			if math.Abs(t) < width {
				row[i] = filter(t)
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
		if r.fine > 0 {
			dst[j] = r.between(x, first, lo, hi, float64(phase)/float64(r.up)*float64(r.fine))
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

// between returns the output at a position between two that have taps.
func (r *Resampler) between(x []float32, first, lo, hi int, position float64) float32 {
	if lo >= hi {
		return 0
	}
	row := int(position)
	share := float32(position - float64(row))
	at := row * 2 * r.half
	in := x[first+lo : first+hi]
	left := r.taps[at+lo : at+hi][:len(in)]
	right := r.taps[at+2*r.half+lo : at+2*r.half+hi][:len(in)]
	var a, b float32
	for len(in) > 0 { // in parts, for the sums of long filters
		n := min(len(in), 128)
		var partA, partB float32
		for i, v := range in[:n] {
			partA += v * left[i]
			partB += v * right[i]
		}
		a, b = a+partA, b+partB
		in, left, right = in[n:], left[n:], right[n:]
	}
	return a + (b-a)*share
}

// shape holds the filter at shapeSteps points from zero crossing to zero crossing.
var shape = sync.OnceValue(func() []float32 {
	h := make([]float32, sincZeros*shapeSteps+2)
	for i := range h {
		u := float64(i) / shapeSteps
		h[i] = float32(sinc(u) * bessel(kaiserBeta*math.Sqrt(max(0, 1-u*u/(sincZeros*sincZeros)))))
	}
	return h
})

const shapeSteps = 2048

// lookUp returns the filter at a distance from its middle, in zero crossings, at most
// sincZeros. It interpolates between two points, which is within 1e-7.
func lookUp(crossings float64) float64 {
	u := math.Abs(crossings) * shapeSteps
	k := min(int(u), sincZeros*shapeSteps)
	a, b := float64(shape()[k]), float64(shape()[k+1])
	return a + (b-a)*(u-float64(k))
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

// keep is how many resamplers are kept: a megabyte each at most.
const keep = 16

// What becomes of sound of a low rate has a limit, so that a small file cannot fill the
// memory: one sample becomes at most maxUp, and more than four only up to maxMade in
// all. At most maxDown samples become one, for which the filter is as long.
const (
	maxUp   = 8
	maxMade = 1 << 22
	maxDown = 1000
)

// CanResample returns an error unless n samples at the rate from can be resampled to the
// rate to.
func CanResample(n, from, to int) error {
	made := (int64(n)*int64(to) + int64(from) - 1) / int64(from)
	switch {
	case to > maxUp*from:
		return fmt.Errorf("it says that its rate is %d Hz, too low to make %d Hz of it (%d or more are needed); give it its true rate, or leave it out", from, to, (to+maxUp-1)/maxUp)
	case from > maxDown*to:
		return fmt.Errorf("its rate is %d Hz, more than %d times %d Hz", from, maxDown, to)
	case to > 4*from && made > maxMade:
		return fmt.Errorf("it says that its rate is %d Hz: at %d Hz it would have %d samples, more than the %d that are made of a rate so low; cut it into parts", from, to, made, maxMade)
	case made > MaxSamples:
		return fmt.Errorf("it would have %d samples at %d Hz; the limit is %d", made, to, int64(MaxSamples))
	}
	return nil
}

// Resample changes the rate of x from from to to. If they are the same it returns x
// itself.
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
