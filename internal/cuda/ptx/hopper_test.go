package ptx

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestWarpgroup(t *testing.T) {
	m := parse(t, "hopper.ptx")
	k := m.Kernels["group"]
	for _, trans := range []int32{0, 1} {
		var a, b [64][64]float64
		ha, hb := make([]uint16, 4096), make([]uint16, 4096)
		f := formats["bf16"]
		for i := range 4096 {
			x, y := float64(i*7%41)-20, float64(i*11%37)/2-9
			a[i/64][i%64], b[i/64][i%64] = x, y // of b, rows are k
			ha[i] = uint16(f.encode(x, "rn"))
			at := i
			if trans == 0 {
				at = i%64*64 + i/64
			}
			hb[at] = uint16(f.encode(y, "rn"))
		}
		for wrong, want := range []string{"", "no fence.proxy.async followed", ""} {
			mem := &memory{}
			pc := mem.put(make([]float32, 4096))
			args := pack(pc, mem.put(ha), mem.put(hb), trans, int32(wrong))
			for seed := range uint64(3) {
				l := &Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{128, 1, 1}, Shared: 32768, Args: args, Memory: mem,
					Races: true, Seed: seed, Limit: 1 << 20}
				err := k.Launch(l)
				if err != nil && (want == "" || !strings.Contains(err.Error(), want)) || err == nil && want != "" {
					t.Fatalf("wrong %d: got %v, want %q", wrong, err, want)
				}
			}
			if want != "" {
				continue
			}
			c := make([]float32, 4096)
			mem.get(pc, c)
			for i, got := range c {
				sum := 0.0
				for k := range 64 {
					sum += a[i/64][k] * b[k][i%64]
				}
				if wrong == 0 && float64(got) != sum || wrong == 2 && !math.IsNaN(float64(got)) {
					t.Fatalf("trans %d, wrong %d, %d %d: got %v, want %v", trans, wrong, i/64, i%64, got, sum)
				}
			}
		}
	}
}

func TestRing(t *testing.T) {
	k := parse(t, "hopper.ptx").Kernels["ring"]
	for _, n := range []int{1, 2, 7} {
		for seed := range uint64(4) {
			x := make([]uint32, 96*n)
			for i := range x {
				x[i] = uint32(i*i + 1)
			}
			mem := &memory{}
			py := mem.put(make([]uint32, 96))
			l := &Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{128, 1, 1}, Args: pack(py, mem.put(x), int32(n)),
				Memory: mem, Races: true, Seed: seed, Limit: 1 << 20}
			if err := k.Launch(l); err != nil {
				t.Fatal(n, seed, err)
			}
			y := make([]uint32, 96)
			mem.get(py, y)
			for i, got := range y {
				want := uint32(0)
				for j := range n {
					want += x[96*j+95-i] * uint32(j+1)
				}
				if got != want {
					t.Fatalf("%d steps, %d: got %d, want %d", n, i, got, want)
				}
			}
		}
	}
}

func TestBarrierFaults(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{"mbarrier.arrive.shared.b64 %d, [s];", "there is no barrier at 0x400"},
		{"mbarrier.init.shared.b64 [s+4], 1;", "is not aligned to 8"},
		{"mbarrier.init.shared.b64 [s], 0;", "a barrier for 0 arrivals"},
		{"mbarrier.init.shared.b64 [s], 1; mbarrier.arrive.shared.b64 %d, [s], 2;", "2 arrivals at a barrier that waits for 1"},
		{"mbarrier.init.shared.b64 [s], 2; l: mbarrier.try_wait.parity.shared.b64 %p, [s], 0; @!%p bra l;", "for too long"},
		{"mbarrier.init.shared.b64 [s], 1; mbarrier.arrive.shared.b64 %d, [s]; mbarrier.test_wait.shared.b64 %p, [s], %d;", ""},
	} {
		src := head + ".visible .entry k() { .reg .b64 %d; .reg .pred %p; .shared .align 8 .b8 s[16];\n" + c.body + " ret; }"
		m, err := Parse([]byte(src), 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		err = m.Kernels["k"].Launch(&Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{1, 1, 1}, Limit: 1 << 14})
		f := new(Fault)
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &f) || !strings.Contains(f.What, c.want)) {
			t.Errorf("%s: got %v, want %q", c.body, err, c.want)
		}
	}
}
