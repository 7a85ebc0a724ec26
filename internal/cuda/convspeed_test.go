//go:build native && linux && (amd64 || arm64)

package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// layer is a convolution of ResNet-50 at 224 px, and how often it comes.
type layer struct{ hw, c, k, r, stride, count int }

var resNet50 = []layer{
	{224, 3, 64, 7, 2, 1}, {56, 64, 64, 1, 1, 1}, {56, 64, 64, 3, 1, 3}, {56, 64, 256, 1, 1, 4}, {56, 256, 64, 1, 1, 2},
	{56, 256, 128, 1, 1, 1}, {56, 128, 128, 3, 2, 1}, {28, 128, 512, 1, 1, 4}, {56, 256, 512, 1, 2, 1},
	{28, 512, 128, 1, 1, 3}, {28, 128, 128, 3, 1, 3}, {28, 512, 256, 1, 1, 1}, {28, 256, 256, 3, 2, 1},
	{14, 256, 1024, 1, 1, 6}, {28, 512, 1024, 1, 2, 1}, {14, 1024, 256, 1, 1, 5}, {14, 256, 256, 3, 1, 5},
	{14, 1024, 512, 1, 1, 1}, {14, 512, 512, 3, 2, 1}, {7, 512, 2048, 1, 1, 3}, {14, 1024, 2048, 1, 2, 1},
	{7, 2048, 512, 1, 1, 2}, {7, 512, 512, 3, 1, 2},
}

// TestConvolutionSpeed prints what ResNet-50's convolutions take with all that is fused
// around them, in a batch of 256: through the libraries and by each own kernel, whose
// results it compares.
func TestConvolutionSpeed(t *testing.T) {
	if !*speed {
		t.Skip("-speed runs it")
	}
	d := open(t)
	if _, ok := d.Driver().(*sim.Driver); ok {
		t.Skip("there is no card")
	}
	x := &side{Device: d, rand: newRand()}
	half := device.BFloat16
	var total [5][2]float64 // the libraries' and the best, of all layers
	for _, l := range resNet50 {
		s := device.Conv{N: 256, H: l.hw, W: l.hw, C: l.c, K: l.k, R: l.r, S: l.r, Stride: l.stride, Pad: l.r / 2,
			Precision: 1}
		big := func(n int) device.Array { // random values, repeated
			a := d.Alloc(half, n)
			done := min(n, 1<<16)
			d.Copy(a.Slice(0, done), x.normal(half, done))
			for done < n {
				m := min(done, n-done)
				d.Copy(a.Slice(done, done+m), a.Slice(0, m))
				done += m
			}
			return a
		}
		src := device.Source{X: big(s.InLen())}
		if l.c > 8 {
			src.Scale, src.Shift, src.ReLU = x.channels(s.C), x.channels(s.C), true
		}
		g := device.Grad{D: big(s.OutLen()), Y: big(s.OutLen()),
			A: x.channels(s.K), B: x.channels(s.K), K: x.channels(s.K)}
		w, dw := x.channels(s.WeightLen()), x.channels(s.WeightLen())
		y, dx := d.Alloc(half, s.OutLen()), d.Alloc(half, s.InLen())
		sums, back := device.NewSums(d, s.K), device.NewSums(d, s.C)
		f := device.Finish{Mask: src, Dot: src.X, Sums: back}
		m, in, streams := s.OutLen()/s.K, s.InLen()/s.C, 2
		join := l.r == 1 && l.stride == 1 && l.c > l.k
		if join { // the first of a block: its input is a sum, and has another gradient already
			src.Scale, src.Shift = device.Array{}, device.Array{}
			f.Mask = src
			f.Dot, f.Add, streams = big(s.InLen()), big(s.InLen()), 4
		}
		scaled := device.Source{X: f.Dot, Scale: x.channels(s.C), Shift: x.channels(s.C)}
		used := in
		if l.r == 1 {
			used = m
		}
		for kind, run := range []func(){
			func() { d.ConvForward(y, s, src, w, sums) },
			func() { d.ConvInputGrad(dx, s, g, w, f) },
			func() { d.ConvWeightGrad(dw, s, g, src) },
			func() { d.ConvGrads(dx, dw, s, g, src, w, f) },
			func() {
				d.AddReLU(dx, scaled, device.Source{X: f.Add}, s.C, true)
				d.ConvForward(y, s, device.Source{X: dx}, w, sums)
			},
		} {
			k, name := cuda.Kind(kind), ""
			var forms []string
			if kind < 3 {
				name, forms = k.String(), append([]string{"library"}, d.Forms(k)...)
			} else {
				name, forms = [...]string{"gradients", "sum and forward"}[kind-3], []string{"apart", "together"}
				if l.r != 1 || l.stride != 1 || l.k > 256 || kind == 3 && l.c > 64 || kind == 4 && !join {
					continue
				}
			}
			if k == cuda.InputGrad && l.c < 8 {
				continue // nobody asks for it
			}
			through := 2*m*s.K + streams*in*s.C
			bytes := 2 * []int{used*s.C + m*s.K, through, 2*m*s.K + used*s.C, through, m*s.K + 3*used*s.C}[kind]
			result := func() (all [][]float32) {
				out := [][]device.Array{{y}, {dx}, {dw}, {dx, dw}, {y, dx}}[kind]
				for _, a := range out {
					n := min(a.Len(), 1<<15)
					a1, a2 := make([]float32, n), make([]float32, n)
					d.Down(a1, a.Slice(0, n))
					d.Down(a2, a.Slice(a.Len()-n, a.Len()))
					all = append(all, a1, a2)
				}
				for _, a := range [][]device.Array{{sums.A, sums.B}, {back.A, back.B}, nil, {back.A, back.B},
					{sums.A, sums.B}}[kind] {
					to := d.Alloc(device.Float32, a.Len())
					d.AddSums(to, a)
					v := make([]float32, a.Len())
					d.Down(v, to)
					all = append(all, v)
					d.Free(to)
				}
				return all
			}
			flops := float64(s.Flops())
			if kind == 3 {
				flops *= 2
			}
			fmt.Printf("%4d c%4d k%4d r%d s%d x%d %-15s floor %.3f", l.hw, l.c, l.k, l.r, l.stride, l.count, name,
				max(float64(bytes)/2.8e9, flops/700e9))
			best, library := math.Inf(1), 0.0
			var want [][]float32
			for _, form := range forms {
				if form != "library" && l.stride > 1 && k == cuda.InputGrad {
					continue
				}
				if kind < 3 {
					d.Force(k, form)
				}
				d.Apart(form == "apart")
				d.Fill(dw, 0)
				run()
				got := result()
				for range 2 {
					run()
				}
				d.Profile()
				const n = 8
				for range n {
					run()
				}
				ms := 0.0
				for _, p := range d.Profiled() {
					ms += p.Milliseconds / n
				}
				best = min(best, ms)
				wrong := ""
				if want == nil {
					want, library = got, ms
				} else if e := distance(got, want); !(e < 0.02) {
					wrong = fmt.Sprintf(" WRONG by %.2g", e)
					t.Errorf("%s of %+v by %s is wrong by %.2g", name, s, form, e)
				}
				fmt.Printf("  %s %.3f (%.0f GB/s, %.0f TF)%s", form, ms, float64(bytes)/ms/1e6, flops/ms/1e9, wrong)
				if kind < 3 {
					d.Force(k, "")
				}
			}
			fmt.Println()
			total[kind][0] += library * float64(l.count)
			total[kind][1] += best * float64(l.count)
		}
		for _, a := range []device.Array{src.X, g.D, g.Y, y, dx} {
			d.Free(a)
		}
		if join {
			d.Free(f.Dot)
			d.Free(f.Add)
		}
	}
	for kind, sum := range total {
		switch {
		case kind < 3:
			fmt.Printf("all of a view, %v: libraries %.2f ms, the best of each %.2f ms\n", cuda.Kind(kind), sum[0], sum[1])
		case kind == 3:
			fmt.Printf("gradients of few weights: apart %.2f ms, together %.2f ms\n", sum[0], sum[1])
		default:
			fmt.Printf("sums and what reads them: apart %.2f ms, together %.2f ms\n", sum[0], sum[1])
		}
	}
}

// distance is the largest of ‖got − want‖ / ‖want‖ of the parts of a result.
func distance(got, want [][]float32) float64 {
	worst := 0.0
	for i := range got {
		var d, n float64
		for j, g := range got[i] {
			w := float64(want[i][j])
			d += (float64(g) - w) * (float64(g) - w)
			n += w * w
		}
		e := math.Sqrt(d / n)
		if !(e <= worst) {
			worst = e
		}
	}
	return worst
}
