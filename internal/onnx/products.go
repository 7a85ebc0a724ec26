package onnx

import (
	"fmt"
	"slices"

	"vicreg/internal/parallel"
)

// multiply returns a·b, n × c by c × k: sums in float64, in order.
func multiply(a, b []float32, n, c, k int, to []float32) {
	const piece = 64 // columns of b that are taken together
	parallel.For((k+piece-1)/piece, func(_, p int) {
		from := p * piece
		w := min(piece, k-from)
		var sums [piece]float64
		for i := range n {
			clear(sums[:w])
			row := a[i*c : (i+1)*c]
			for j, v := range row {
				x := float64(v)
				for l, y := range b[j*k+from : j*k+from+w] {
					sums[l] += x * float64(y)
				}
			}
			for l, s := range sums[:w] {
				to[i*k+from+l] = float32(s)
			}
		}
	})
}

// matMul multiplies the last two dimensions; those before them are the same in both, or b
// has none.
func matMul(_ *Node, in []Array) Array {
	a, b := in[0], in[1]
	last := len(a.Shape) - 1
	if len(b.Shape) == 2 {
		c, k := b.Shape[0], b.Shape[1]
		if a.Shape[last] != c {
			panic(fmt.Sprintf("%v by %v", a.Shape, b.Shape))
		}
		out := newArray(append(slices.Clone(a.Shape[:last]), k)...)
		multiply(a.Floats, b.Floats, count(a.Shape[:last]), c, k, out.Floats)
		return out
	}
	n, c, k := a.Shape[last-1], a.Shape[last], b.Shape[last]
	if !slices.Equal(a.Shape[:last-1], b.Shape[:last-1]) || b.Shape[last-1] != c {
		panic(fmt.Sprintf("%v by %v", a.Shape, b.Shape))
	}
	out := newArray(append(slices.Clone(a.Shape[:last]), k)...)
	for i := range count(a.Shape[:last-1]) {
		multiply(a.Floats[i*n*c:(i+1)*n*c], b.Floats[i*c*k:(i+1)*c*k], n, c, k, out.Floats[i*n*k:(i+1)*n*k])
	}
	return out
}

// gemm is a·b + c.
func gemm(_ *Node, in []Array) Array {
	out := matMul(nil, in[:2])
	k := out.Shape[1]
	if len(in) > 2 {
		for i := range out.Floats {
			out.Floats[i] += in[2].Floats[i%k]
		}
	}
	return out
}

// window is what a convolution or a pooling sees of an image, or of a sequence as an
// image of height 1.
type window struct {
	n, c, h, w  int // of the input
	r, s        int // of the window
	stride, pad [2]int
	outH, outW  int
	sequence    bool
}

// newWindow reads the attributes of a node on x, whose windows have size.
func newWindow(n *Node, x Array, size []int) window {
	v := window{n: x.Shape[0], c: x.Shape[1], sequence: len(x.Shape) == 3}
	dims := len(size)
	stride, pads := n.ints("strides"), n.ints("pads")
	if len(x.Shape) != dims+2 || len(stride) != dims || len(pads) != 2*dims || !slices.Equal(pads[:dims], pads[dims:]) {
		panic(fmt.Sprintf("windows %v, strides %v, pads %v of %v", size, stride, pads, x.Shape))
	}
	of := func(all []int, i, missing int) int {
		if v.sequence {
			if i == 0 {
				return missing
			}
			i--
		}
		return all[i]
	}
	v.h, v.w = of(x.Shape[2:], 0, 1), of(x.Shape[2:], 1, 1)
	v.r, v.s = of(size, 0, 1), of(size, 1, 1)
	v.stride = [2]int{of(stride, 0, 1), of(stride, 1, 1)}
	v.pad = [2]int{of(pads, 0, 0), of(pads, 1, 0)}
	v.outH = (v.h+2*v.pad[0]-v.r)/v.stride[0] + 1
	v.outW = (v.w+2*v.pad[1]-v.s)/v.stride[1] + 1
	return v
}

// shape is the shape of the output with k channels.
func (v *window) shape(k int) []int {
	if v.sequence {
		return []int{v.n, k, v.outW}
	}
	return []int{v.n, k, v.outH, v.outW}
}

// row writes what tap (i, j) of the windows sees of a channel, and missing beyond its
// edges.
func (v *window) row(to, channel []float32, i, j int, missing float32) {
	for y := range v.outH {
		at := y*v.stride[0] + i - v.pad[0]
		for x := range v.outW {
			value := missing
			if from := x*v.stride[1] + j - v.pad[1]; at >= 0 && at < v.h && from >= 0 && from < v.w {
				value = channel[at*v.w+from]
			}
			to[y*v.outW+x] = value
		}
	}
}

// convolve gathers what each window sees, and multiplies by the weights k × c × r × s.
func convolve(n *Node, in []Array) Array {
	x, weight := in[0], in[1]
	v := newWindow(n, x, weight.Shape[2:])
	k, taps := weight.Shape[0], v.r*v.s
	if weight.Shape[1] != v.c {
		panic(fmt.Sprintf("weights %v on %v", weight.Shape, x.Shape))
	}
	out := newArray(v.shape(k)...)
	places := v.outH * v.outW
	columns := make([]float32, v.c*taps*places)
	for item := range v.n {
		parallel.For(v.c, func(_, c int) {
			channel := x.Floats[(item*v.c+c)*v.h*v.w:][:v.h*v.w]
			for t := range taps {
				v.row(columns[(c*taps+t)*places:][:places], channel, t/v.s, t%v.s, 0)
			}
		})
		to := out.Floats[item*k*places:][:k*places]
		multiply(weight.Floats, columns, k, v.c*taps, places, to)
		if len(in) > 2 {
			for i := range to {
				to[i] += in[2].Floats[i/places]
			}
		}
	}
	return out
}

func maxPool(n *Node, in []Array) Array {
	v := newWindow(n, in[0], n.ints("kernel_shape"))
	out := newArray(v.shape(v.c)...)
	places := v.outH * v.outW
	seen := make([]float32, places)
	for i := range v.n * v.c {
		to := out.Floats[i*places:][:places]
		least := slices.Min(in[0].Floats[i*v.h*v.w:][:v.h*v.w])
		for t := range v.r * v.s {
			v.row(seen, in[0].Floats[i*v.h*v.w:][:v.h*v.w], t/v.s, t%v.s, least)
			for j, value := range seen {
				if t == 0 || value > to[j] {
					to[j] = value
				}
			}
		}
	}
	return out
}

func globalAveragePool(_ *Node, in []Array) Array {
	shape := slices.Clone(in[0].Shape)
	places := count(shape[2:])
	for i := range shape[2:] {
		shape[2+i] = 1
	}
	out := newArray(shape...)
	for i := range out.Floats {
		var sum float64
		for _, v := range in[0].Floats[i*places:][:places] {
			sum += float64(v)
		}
		out.Floats[i] = float32(sum / float64(places))
	}
	return out
}
