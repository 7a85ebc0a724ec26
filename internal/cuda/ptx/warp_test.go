package ptx

import "testing"

func TestProducts(t *testing.T) {
	m := parse(t, "warp.ptx")
	for _, kind := range []string{"bf16", "f16"} {
		for _, trans := range []int32{0, 1} {
			var a [16][16]float64
			var b [16][8]float64
			ha, hb := make([]uint16, 256), make([]uint16, 128)
			f := formats[kind]
			for i := range 256 {
				a[i/16][i%16] = float64(i%23 - 11)
				ha[i] = uint16(f.encode(a[i/16][i%16], "rn"))
			}
			for i := range 128 {
				x := float64(i*5%17) - 7.5
				b[i/8][i%8] = x
				at := i
				if trans == 0 {
					at = i%8*16 + i/8
				}
				hb[at] = uint16(f.encode(x, "rn"))
			}
			c := make([]float32, 128)
			for i := range c {
				c[i] = float32(i)
			}
			mem := &memory{}
			pc := mem.put(c)
			launch(t, m, "product", mem, 1, 32, 0, pc, mem.put(ha), mem.put(hb), trans, int32(truth(kind == "f16")))
			mem.get(pc, c)
			for y := range 16 {
				for x := range 8 {
					want := float64(y*8 + x)
					for k := range 16 {
						want += a[y][k] * b[k][x]
					}
					if float64(c[y*8+x]) != want {
						t.Fatalf("%s, trans %d, %d %d: got %v, want %v", kind, trans, y, x, c[y*8+x], want)
					}
				}
			}
		}
	}
	a, b, c := make([]float32, 128), make([]float32, 64), make([]float32, 128)
	for i := range a {
		a[i], b[i%64] = float32(i%31)-15, float32(i%64%9)/4
	}
	mem := &memory{}
	pc := mem.put(c)
	a[3] += 1e-4 // has more digits than the product takes
	launch(t, m, "product32", mem, 1, 32, 0, pc, mem.put(a), mem.put(b))
	mem.get(pc, c)
	a[3] = -11.9921875
	for i, v := range c {
		want := float32(0)
		for k := range 8 {
			want += a[i/8*8+k] * b[k*8+i%8]
		}
		if v != want {
			t.Fatalf("tf32 %d: got %v, want %v", i, v, want)
		}
	}
}

func TestShuffles(t *testing.T) {
	m := parse(t, "warp.ptx")
	for _, by := range []int{0, 1, 3, 8, 16, 31} {
		for _, width := range []int{32, 8} {
			mem := &memory{}
			out := make([]int32, 320)
			p := mem.put(out)
			segment := (32 - width) << 8
			launch(t, m, "shuffles", mem, 1, 32, 0, p, int32(by), int32(segment|31))
			mem.get(p, out)
			low, sum := 0, 0
			for i := range 32 {
				low += i & 1 << i
				sum += i - 3
			}
			for i := range 32 {
				first, last := i/width*width, i/width*width+width-1
				keep := func(j int, in bool) int32 {
					if in {
						return int32(100 + j)
					}
					return int32(100 + i)
				}
				n := by & 31
				v := 100 + i
				if i >= 4 {
					v++
				}
				if i >= 30 {
					v += 1000
				}
				want := []int32{0, keep(i+n, i+n <= last), keep(i^n, i^n <= last), int32(100 + first + n%width),
					-1431655766, 1, 0, 0, int32(sum), int32(v)}
				// up takes its bound from the low bits of the clamp, which are 31 here.
				want[0] = keep(i-n, i-n >= (first|31&(width-1)))
				want[5] += 4
				if i < 11 {
					want[6], want[7] = 0x7ff, int32(100+10-i)
				}
				for k, w := range want {
					if got := out[32*k+i]; got != w {
						t.Fatalf("by %d, width %d, thread %d, part %d: got %d, want %d", by, width, i, k, got, w)
					}
				}
			}
		}
	}
}

func TestPipeline(t *testing.T) {
	m := parse(t, "warp.ptx")
	const n, rest = 7, 90
	x := make([]float32, 4*64*n)
	for i := range x {
		x[i] = float32(i + 1)
	}
	for _, wait := range []int32{1, 2} {
		mem := &memory{}
		y := mem.put(make([]float32, len(x)))
		k := m.Kernels["pipeline"]
		// Zeros stand for what is not copied, which need not be there.
		px := mem.put(x[:4*64*(n-1)+rest])
		l := &Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{64, 1, 1}, Args: pack(y, px, int32(n), int32(rest), wait),
			Memory: mem, Races: true}
		if err := k.Launch(l); (err == nil) != (wait == 1) {
			t.Fatalf("wait_group %d: got %v", wait, err)
		}
		l.Races = false
		if err := k.Launch(l); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, len(x))
		mem.get(y, got)
		wrong := 0
		for i, v := range got {
			at := i/256*256 + (63-i/4%64)*4 + i%4
			want := x[at]
			if at >= 4*64*(n-1)+rest {
				want = 0
			}
			if v != want {
				wrong++
			}
		}
		if wait == 1 && wrong > 0 || wait == 2 && wrong < len(x)/2 {
			t.Errorf("wait_group %d: %d of %d are wrong", wait, wrong, len(x))
		}
	}
}

func TestAtomics(t *testing.T) {
	m, mem := parse(t, "warp.ptx"), &memory{}
	a, b, c := mem.put(make([]uint32, 5)), mem.put([]uint64{5}), mem.put([]float32{1})
	launch(t, m, "atomics", mem, 2, 96, 0, a, b, c)
	ua, ub, uc := make([]uint32, 5), make([]uint64, 1), make([]float32, 1)
	mem.get(a, ua)
	mem.get(b, ub)
	mem.get(c, uc)
	// The last of a, by cas, goes from one thread to the next of a warp at least.
	if ua[0] != 95*96/2 || ua[1] != 192 || ua[2] != 95|5 || ua[3] != 2 || ua[4] < 32 || ub[0] != 5+192<<40 ||
		uc[0] != 97 {
		t.Errorf("got %v, %v, %v", ua, ub, uc)
	}
}

func TestNamedBarriers(t *testing.T) {
	m, mem := parse(t, "warp.ptx"), &memory{}
	out := make([]int32, 256)
	p := mem.put(out)
	launch(t, m, "relay", mem, 1, 128, 0, p)
	mem.get(p, out)
	for i := range 128 {
		want := int32(3 * (63 - i))
		if i >= 64 {
			want = int32(3 * (i - 64))
		}
		if out[i] != want || out[128+i] != 70 {
			t.Fatalf("%d: got %d and %d, want %d", i, out[i], out[128+i], want)
		}
	}
}

func TestClocks(t *testing.T) {
	m, mem := parse(t, "warp.ptx"), &memory{}
	out := make([]uint64, 64)
	p := mem.put(out)
	launch(t, m, "clocks", mem, 1, 64, 48, p)
	mem.get(p, out)
	for i, v := range out {
		if v != 4803 {
			t.Fatalf("%d: got %d", i, v)
		}
	}
}
