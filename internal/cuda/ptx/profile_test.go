package ptx

import (
	"fmt"
	"strings"
	"testing"
)

// TestProfile has a warp read shared and global memory at several distances.
func TestProfile(t *testing.T) {
	for _, c := range []struct {
		kind                  string
		stride                int
		passes, least         int64
		sectors, leastSectors int64
	}{
		{"u32", 4, 1, 1, 4, 4},
		{"u32", 0, 1, 1, 1, 1},
		{"u32", 32, 8, 1, 32, 4},
		{"u32", 128, 32, 1, 32, 4},
		{"u64", 8, 2, 2, 8, 8},
		{"u64", 16, 4, 2, 16, 8},
		{"v4.u32", 16, 4, 4, 16, 16},
		{"v4.u32", 80, 4, 4, 32, 16},
		{"u8", 1, 1, 1, 1, 1},
	} {
		to := map[string]string{"u32": "%r", "u64": "%d", "v4.u32": "{%r, %r2, %r3, %r4}", "u8": "%r"}[c.kind]
		src := head + fmt.Sprintf(`.visible .entry k(.param .u64 x) {
.reg .b32 %%r, %%r2, %%r3, %%r4, %%t, %%a; .reg .b64 %%p, %%d; .shared .align 16 .b8 s[4096];
mov.u32 %%t, %%tid.x; mul.lo.s32 %%a, %%t, %d; mov.u64 %%p, s; cvt.u32.u64 %%r, %%p; add.s32 %%a, %%a, %%r;
ld.shared.%s %s, [%%a];
ld.param.u64 %%p, [x]; mul.wide.u32 %%d, %%t, %d; add.s64 %%p, %%p, %%d;
ld.global.%s %s, [%%p];
ret; }`, c.stride, c.kind, to, c.stride, c.kind, to)
		m, err := Parse([]byte(src), 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		k, mem := m.Kernels["k"], &memory{}
		p := NewProfile(k)
		l := &Launch{Grid: [3]int{2, 1, 1}, Threads: [3]int{32, 1, 1}, Args: pack(mem.put(make([]byte, 4096))),
			Memory: mem, Profile: p}
		if err := k.Launch(l); err != nil {
			t.Fatal(err)
		}
		var got Line
		for _, l := range p.Lines {
			got.Passes += l.Passes
			got.LeastPasses += l.LeastPasses
			got.Sectors += l.Sectors
			got.LeastSectors += l.LeastSectors
			got.Warps += l.Warps
		}
		if got != (Line{Warps: 22, Passes: 2 * c.passes, LeastPasses: 2 * c.least, Sectors: 2 * c.sectors,
			LeastSectors: 2 * c.leastSectors}) {
			t.Errorf("%s at a distance of %d: got %+v for two blocks", c.kind, c.stride, got)
		}
		if s := p.String(); !strings.HasPrefix(s, "k: 2 blocks, 22 instructions of warps, 32.0 threads in each\n") {
			t.Error(s)
		}
	}
}
