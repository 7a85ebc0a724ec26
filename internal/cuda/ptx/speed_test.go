package ptx

import "testing"

func BenchmarkKernels(b *testing.B) {
	m := parse(b, "basic.ptx")
	const n = 1 << 16
	for _, races := range []bool{false, true} {
		name := "plain"
		if races {
			name = "races"
		}
		for _, kernel := range []string{"axpy", "sums", "collatz"} {
			b.Run(name+"/"+kernel, func(b *testing.B) {
				mem := &memory{}
				from := make([]uint32, n)
				for i := range from {
					from[i] = uint32(i + 1)
				}
				out, x := mem.put(make([]float32, n)), mem.put(from)
				args := map[string][]byte{"axpy": pack(out, x, float32(2), int32(n)), "sums": pack(out, x, int32(n)),
					"collatz": pack(out, x, int32(n))}[kernel]
				blocks := map[string]int{"axpy": n / 256, "sums": 8, "collatz": 8}[kernel]
				done := int64(0)
				for b.Loop() {
					l := &Launch{Grid: [3]int{blocks, 1, 1}, Threads: [3]int{256, 1, 1}, Args: args, Memory: mem,
						Races: races}
					if err := m.Kernels[kernel].Launch(l); err != nil {
						b.Fatal(err)
					}
					done += l.Instructions
				}
				b.ReportMetric(float64(done)/1e6/b.Elapsed().Seconds(), "Minstr/s")
			})
		}
	}
}
