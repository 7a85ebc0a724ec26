package ptx

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestFaults(t *testing.T) {
	m := parse(t, "wrong.ptx")
	for _, c := range []struct {
		name, kernel string
		blocks       int
		threads      int
		arg          int32
		races        bool
		want         string // empty: no fault
	}{
		{"behind", "over", 1, 64, 1, false, "thread [63 0 0], line"},
		{"behind, what", "over", 1, 64, 1, false, "4 bytes at 0x700000000100 lie behind an allocation of 256 at 0x700000000000"},
		{"within", "over", 1, 64, 0, false, ""},
		{"far away", "over", 1, 64, 1 << 28, false, "lie in no allocation"},
		{"before", "over", 1, 64, -1, false, "lie in no allocation"},
		{"not aligned", "crooked", 1, 1, 8, false, "(st.global.v4.u32): the address 0x700000000008 is not aligned to 16"},
		{"running over", "crooked", 1, 1, 256 - 16, false, ""},
		{"shared", "overshared", 1, 32, 4, false, "4 bytes at 0x480 of shared memory, which goes from 0x400 to 0x480"},
		{"shared before", "overshared", 1, 32, -1, false, "0x3fc of shared memory"},
		{"shared within", "overshared", 1, 32, 0, true, ""},
		{"two barriers", "unordered", 1, 64, 3, true, ""},
		{"read after write", "unordered", 1, 64, 2, true, "a race for byte"},
		{"write after read", "unordered", 1, 64, 1, true, "a race for byte"},
		{"not looked for", "unordered", 1, 64, 1, false, ""},
		{"warp, two syncs", "neighbours", 1, 32, 3, true, ""},
		{"warp, read after write", "neighbours", 1, 32, 2, true, "thread 1 of the warp wrote it"},
		{"warp, write after read", "neighbours", 1, 32, 1, true, "of the warp read it"},
		{"blocks apart", "shift", 2, 32, 0, true, ""},
		{"blocks read each other's", "shift", 2, 32, 32, true, "a race for 0x7000000000"},
		{"blocks write apart", "overlap", 2, 32, 32, true, ""},
		{"blocks write the same", "overlap", 2, 32, 31, true, "a race for 0x70000000007c: block "},
		{"halves of words", "halves", 2, 64, 1, true, ""},
		{"endless", "endless", 1, 32, 0, false, "the kernel runs for too long"},
		{"stuck", "stuck", 1, 64, 0, false, "the block waits at barrier 1 for threads that never come"},
		{"apart", "apart", 1, 32, 0, false, "wait here for threads that have gone elsewhere"},
		{"stray", "stray", 1, 32, 0, false, "takes from thread 20 of the warp, which takes no part"},
	} {
		mem := &memory{}
		x := mem.put(make([]float32, 64))
		args := pack(x, c.arg)
		k := m.Kernels[c.kernel]
		for seed := range uint64(3) {
			l := &Launch{Grid: [3]int{c.blocks, 1, 1}, Threads: [3]int{c.threads, 1, 1}, Args: args[:k.Params],
				Memory: mem, Races: c.races, Limit: 1 << 17, Seed: seed}
			err := k.Launch(l)
			var f *Fault
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s: got %v", c.name, err)
			case c.want != "" && (!errors.As(err, &f) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
		}
	}
}

func TestWhatNothingWroteIsNoNumber(t *testing.T) {
	m, mem := parse(t, "wrong.ptx"), &memory{}
	x := make([]float32, 64)
	p := mem.put(x)
	launch(t, m, "untouched", mem, 1, 64, 0, p)
	mem.get(p, x)
	if x[0] != 1 || !math.IsNaN(float64(x[1])) || !math.IsNaN(float64(x[63])) {
		t.Errorf("got %v", x)
	}
}

func TestLaunchRefuses(t *testing.T) {
	k := parse(t, "wrong.ptx").Kernels["over"]
	for _, c := range []struct {
		l    Launch
		want string
	}{
		{Launch{Grid: [3]int{0, 1, 1}, Threads: [3]int{32, 1, 1}}, "a grid of [0 1 1] blocks"},
		{Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{1025, 1, 1}}, "too large"},
		{Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{32, 1, 1}, Args: make([]byte, 8)}, "takes 12 bytes of parameters, got 8"},
		{Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{32, 1, 1}, Args: make([]byte, 12), Shared: 1 << 20}, "shared memory"},
	} {
		if err := k.Launch(&c.l); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
