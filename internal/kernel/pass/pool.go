package pass

import (
	"fmt"

	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// pool is the pooling under way; a piece is an image.
var pool poolJob

type poolJob struct {
	shape.Conv
	in     row.Reader
	out    shape.Values // forward
	argmax []uint8
	d, dx  shape.Values // backward
	fin    row.Finisher
}

func runPool(s shape.Conv, sums *shape.Sums, body func(worker, piece int)) {
	pool.Conv = s
	scratch.Reserve(scratch.Room(s.W*s.C, 2*s.C, s.H*s.W*s.C))
	if sums != nil {
		scratch.MakePartials(s.N * 2 * s.C)
	}
	parallel.For(s.N, body)
	if sums != nil {
		scratch.AddPartials(sums, s.N, s.C)
	}
	p := &pool
	p.in, p.fin = row.Reader{}, row.Finisher{}
	p.out, p.argmax, p.d, p.dx = shape.Values{}, nil, shape.Values{}, shape.Values{}
}

// sums returns the partial sums of image n, or nil.
func (p *poolJob) sums(n int) (a, b []float64) {
	if p.fin.Sums == nil {
		return nil, nil
	}
	return scratch.PiecePartials(n, p.C)
}

// checkPool panics unless x, y, both in elements, fit the pooling s, whose
// windows are R × S. No window may lie wholly in the padding.
func checkPool(s shape.Conv, x, y int) {
	if s.Stride < 1 || s.R < 1 || s.S < 1 || s.R*s.S > 256 || s.Pad >= s.R || s.PadW() >= s.S ||
		s.Sequence && s.W != 1 || s.OutH() < 1 || s.OutW() < 1 {
		panic(fmt.Sprintf("kernel: impossible pooling %+v", s))
	}
	s.K = s.C
	if x != s.InLen() || y != s.OutLen() {
		panic(fmt.Sprintf("kernel: pooling %+v wants %d and %d elements; got %d and %d", s, s.InLen(), s.OutLen(), x, y))
	}
}

// MaxPool writes to out (n × oh × ow × c) the greatest value that src has in each R × S
// window of s, and to argmax its place in the window, as r·S + s. Of equal values it
// takes the first; if some are not numbers it takes the last of those. s.K is not used.
func MaxPool(out shape.Values, argmax []uint8, s shape.Conv, src shape.Source) {
	checkPool(s, src.X.Len(), out.Len())
	if len(argmax) != out.Len() {
		panic(fmt.Sprintf("kernel: pooling has %d outputs and room for %d positions", out.Len(), len(argmax)))
	}
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	p := &pool
	p.in, p.out, p.argmax = row.ReadSource(src, s.C), out, argmax
	if p.in.Plain() {
		p.in.Scale, p.in.Coef = row.Constants(s.C)
	}
	runPool(s, nil, maxPoolPiece)
}

func maxPoolPiece(_, n int) {
	p := &pool
	var off [256]int64
	var tap [256]int32
	oh, ow := p.OutH(), p.OutW()
	for oy := range oh {
		count, whole := 0, false
		for ox := range ow {
			left, was := ox*p.Stride-p.PadW(), whole
			if whole = left >= 0 && left+p.S <= p.W; whole && was { // the window before, further right
				for i := range off[:count] {
					off[i] += int64(p.Stride * p.C)
				}
			} else {
				count = p.window(&off, &tap, n, oy*p.Stride-p.Pad, left)
			}
			at := ((n*oh+oy)*ow + ox) * p.C
			row.PoolMax(p.out.Part(at, at+p.C), p.argmax[at:][:p.C], &p.in, off[:count], tap[:count])
		}
	}
}

// window lists the pixels of image n in the window whose first is at top and left, and
// their places in it. It returns how many there are.
func (p *poolJob) window(off *[256]int64, tap *[256]int32, n, top, left int) (count int) {
	for r := range p.R {
		for t := range p.S {
			y, x := top+r, left+t
			if y >= 0 && y < p.H && x >= 0 && x < p.W {
				off[count], tap[count] = int64(((n*p.H+y)*p.W+x)*p.C), int32(r*p.S+t)
				count++
			}
		}
	}
	return count
}

// MaxPoolGrad turns d, the gradient of MaxPool's output, into the gradient of its input,
// finished as f says.
func MaxPoolGrad(dx, d shape.Values, argmax []uint8, s shape.Conv, f shape.Finish) {
	checkPool(s, dx.Len(), d.Len())
	if len(argmax) != d.Len() {
		panic(fmt.Sprintf("kernel: pooling has %d outputs and positions of %d", d.Len(), len(argmax)))
	}
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	p := &pool
	p.dx, p.d, p.argmax, p.fin = dx, d, argmax, row.NewFinisher(dx, f, s.C)
	runPool(s, f.Sums, maxPoolGradPiece)
}

// windows returns the range of the windows, of out in all, that contain position i: the
// first, and one past the last. size and pad are those of the windows.
func windows(s shape.Conv, i, size, pad, out int) (lo, hi int) {
	i += pad
	lo = max(0, (i-size+s.Stride)/s.Stride)
	return lo, min(out, i/s.Stride+1)
}

func maxPoolGradPiece(worker, n int) {
	p := &pool
	var off [256]int64
	var tap [256]int32
	m := &scratch.Arenas[worker]
	m.Used = 0
	line, part := m.Take(p.W*p.C), m.Take(2*p.C)
	clear(part)
	sa, sb := p.sums(n)
	oh, ow := p.OutH(), p.OutW()
	for y := range p.H {
		y0, y1 := windows(p.Conv, y, p.R, p.Pad, oh)
		for x := range p.W {
			x0, x1 := windows(p.Conv, x, p.S, p.PadW(), ow)
			count := 0
			for oy := y0; oy < y1; oy++ {
				for ox := x0; ox < x1; ox++ {
					off[count] = int64(((n*oh+oy)*ow + ox) * p.C)
					tap[count] = int32((y+p.Pad-oy*p.Stride)*p.S + x + p.PadW() - ox*p.Stride)
					count++
				}
			}
			row.PoolGrad(line[x*p.C:][:p.C], p.d, p.argmax, off[:count], tap[:count])
		}
		p.fin.Store(p.dx, (n*p.H+y)*p.W*p.C, p.C, line, p.C, p.W, sa, sb, part)
	}
	p.fin.Done()
}

// AvgPool writes the mean of each image's pixels, as src reads them, to out,
// n × c.
func AvgPool(out shape.Values, n, pixels, c int, src shape.Source) {
	checkAvgPool(n, pixels, c, src.X.Len(), out.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	p := &pool
	p.in, p.out = row.ReadSource(src, c), out
	scratch.MakePartials(n * 2 * c)
	runPool(shape.Conv{N: n, H: pixels, W: 1, C: c}, nil, avgPoolPiece)
}

func avgPoolPiece(worker, n int) {
	p := &pool
	m := &scratch.Arenas[worker]
	m.Used = 0
	part := m.Take(2 * p.C)
	var x []float32
	if p.in.Plain() && !p.in.X.Half() {
		x = p.in.X.F[n*p.H*p.C:]
	} else {
		x = m.Take(p.H * p.C)
		p.in.Load(shape.Floats(x), p.C, n*p.H*p.C, p.C, p.H)
	}
	sum, square := scratch.PiecePartials(n, p.C)
	row.AddSums(sum, square, x, p.C, p.H, p.C, part)
	for i, v := range sum {
		p.out.Set(n*p.C+i, float32(v/float64(p.H)))
	}
}

// AvgPoolGrad turns d (n × c), the gradient of AvgPool's output, into the gradient of
// its input, finished as f says.
func AvgPoolGrad(dx, d shape.Values, n, pixels, c int, f shape.Finish) {
	checkAvgPool(n, pixels, c, dx.Len(), d.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	p := &pool
	p.dx, p.d, p.fin = dx, d, row.NewFinisher(dx, f, c)
	runPool(shape.Conv{N: n, H: pixels, W: 1, C: c}, f.Sums, avgPoolGradPiece)
}

func avgPoolGradPiece(worker, n int) {
	p := &pool
	m := &scratch.Arenas[worker]
	m.Used = 0
	pixel, part := m.Take(p.C), m.Take(2*p.C)
	clear(part)
	row.CopyTo(shape.Floats(pixel), p.C, p.d.From(n*p.C), p.C, 1, p.C)
	row.Scale(pixel, 1/float32(p.H))
	sa, sb := p.sums(n)
	p.fin.Store(p.dx, n*p.H*p.C, p.C, pixel, 0, p.H, sa, sb, part)
	p.fin.Done()
}

func checkAvgPool(n, pixels, c, x, y int) {
	if pixels < 1 || x != n*pixels*c || y != n*c {
		panic(fmt.Sprintf("kernel: mean of %d × %d pixels of %d channels wants %d and %d elements; got %d and %d",
			n, pixels, c, n*pixels*c, n*c, x, y))
	}
}
