package product

import (
	"fmt"
	"testing"

	"vicreg/internal/check"
)

// VICREG_CPU chooses the variant to measure, GOMAXPROCS the workers.

// reportSpeed reports what m·n·k multiply-adds an iteration make, two
// operations each.
func reportSpeed(b *testing.B, m, n, k int) {
	b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gflop/s")
}

// operands returns those of a product of m × k and k × n, transposed as kind says.
func operands(kind string, m, n, k int) (x, y Mat) {
	x = Mat{Data: check.Ramp(m * k), Rows: m, Cols: k}
	y = Mat{Data: check.Ramp(k * n), Rows: k, Cols: n}
	if kind == "TN" {
		x.Rows, x.Cols, x.Trans = k, m, true
	}
	if kind == "NT" {
		y.Rows, y.Cols, y.Trans = n, k, true
	}
	return x, y
}

func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		kind    string
		m, n, k int
	}{
		{"NN", 2048, 2048, 2048}, {"NT", 2048, 2048, 2048}, {"TN", 2048, 2048, 2048},
		{"NN", 128, 2048, 2048}, {"NT", 128, 2048, 2048}, {"TN", 2048, 2048, 128},
		{"NN", 512, 512, 512},
		{"NN", 256, 8192, 8192}, {"NT", 256, 8192, 8192}, {"TN", 8192, 8192, 256}, // a wide expander
		{"NN", 16, 8192, 8192}, {"NT", 16, 8192, 8192}, {"TN", 8192, 8192, 16}, // the same, few rows: memory is the limit
		{"NT", 256, 256, 8192}, {"NN", 256, 8192, 256}, // the loss
		{"NT", 2048, 2048, 8192}, {"NN", 2048, 8192, 2048},
	} {
		b.Run(fmt.Sprintf("%s/%dx%dx%d", s.kind, s.m, s.n, s.k), func(b *testing.B) {
			c := Mat{Data: make([]float32, s.m*s.n), Rows: s.m, Cols: s.n}
			x, y := operands(s.kind, s.m, s.n, s.k)
			Gemm(c, x, y, false) // scratch memory
			for b.Loop() {
				Gemm(c, x, y, s.kind == "TN") // weight gradients accumulate
			}
			reportSpeed(b, s.m, s.n, s.k)
		})
		b.Run(fmt.Sprintf("pairs/%s/%dx%dx%d", s.kind, s.m, s.n, s.k), func(b *testing.B) {
			c := Mat{Data: make([]float32, s.m*s.n), Rows: s.m, Cols: s.n}
			x, y := operands(s.kind, s.m, s.n, s.k)
			GemmPairs(c, x, y, false)
			for b.Loop() {
				GemmPairs(c, x, y, s.kind == "TN")
			}
			reportSpeed(b, s.m, s.n, s.k)
		})
	}
}

func BenchmarkBlockNN(b *testing.B) {
	for _, s := range [][3]int{
		{64, 64, 64}, {56, 128, 128}, {64, 512, 512}, // Winograd
		{64, 16, 16}, {64, 16, 72}, {64, 16, 144}, // narrow networks
		{56, 64, 576}, {56, 512, 4608}, // direct convolution, 3 × 3
	} {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("%dx%dx%d", m, n, k), func(b *testing.B) {
			packed := make([]float32, PackedLen(k, n))
			PackB(packed, Mat{Data: check.Ramp(k * n), Rows: k, Cols: n})
			a, c := check.Ramp(m*(k+16)), make([]float32, m*(n+16))
			for b.Loop() {
				BlockNN(m, n, k, c, n+16, a, k+16, packed, false)
			}
			reportSpeed(b, m, n, k)
		})
	}
}

func BenchmarkBlockTN(b *testing.B) {
	for _, s := range [][3]int{{64, 64, 256}, {512, 512, 128}, {16, 16, 256}, {27, 64, 256}} {
		m, n, k := s[0], s[1], s[2]
		b.Run(fmt.Sprintf("%dx%dx%d", m, n, k), func(b *testing.B) {
			x, y, c := check.Ramp(k*(m+16)), check.Ramp(k*(n+16)), make([]float32, m*(n+16))
			for b.Loop() {
				BlockTN(m, n, k, c, n+16, x, m+16, y, n+16, true)
			}
			reportSpeed(b, m, n, k)
		})
	}
}

func BenchmarkPackB(b *testing.B) {
	const k, n = 256, 512
	for _, trans := range []bool{false, true} {
		b.Run(fmt.Sprintf("transposed=%v", trans), func(b *testing.B) {
			m := Mat{Data: check.Ramp(k * n), Rows: k, Cols: n}
			if trans {
				m = Mat{Data: check.Ramp(k * n), Rows: n, Cols: k, Trans: true}
			}
			packed := make([]float32, PackedLen(k, n))
			b.SetBytes(4 * k * n)
			for b.Loop() {
				PackB(packed, m)
			}
		})
	}
}
