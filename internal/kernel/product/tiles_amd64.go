package product

import (
	"unsafe"

	"vicreg/internal/cpu"
)

//go:generate go -C ../_asm run ./tiles -out ../product/tiles_amd64.s -stubs ../product/tiles_stubs_amd64.go -pkg product

// hasTiles says whether products of pairs run on AMX.
func hasTiles() bool { return cpu.AMX }

// tileCall is what the assembly reads: a product c = a·b, or c += a·b, in which every sum
// of tiles has the same shape. Distances count bytes. A group is the rows of a, one or two
// tiles of 16, that are multiplied at once; a panel is one or two tiles of columns.
//
//	for p := range panels {
//		for g := range groups {
//			sums of c + g·cGroup + p·cPanel: zero, or loaded
//			for r := range runs {
//				for s := range steps {
//					sums += 16 pairs of a + g·aGroup + r·(64·steps + aNext) + s·64
//						times 16 rows of b + p·bPanel + (r·steps + s)·bStep
//				}
//			}
//			if tail > 0 {
//				sums += 16 pairs of a + g·aGroup + aTail times spare
//			}
//			sums stored
//		}
//	}
//
// A depth that is no multiple of 16 pairs ends with a step that begins so much earlier
// that it ends with the row; what came before meets zeros in spare, to which the last
// tail rows of b, bTail behind the first, are copied once a panel.
//
// The assembly sets the tiles' shapes and gives them back, as a goroutine may move to
// another thread between two calls. Of the call it writes panels, perStep, queue, the
// fields behind bStep, and the bytes of the list that queue points to; no other pointer, as
// one past the end of memory would be none.
type tileCall struct {
	config         [64]byte
	a, b, c        *float32
	ars            uintptr
	aNext          uintptr
	aGroup, aTail  uintptr
	brs            uintptr
	bPanel, bTail  uintptr
	tail           int
	lanes0, lanes1 int // of the rows of b, a bit each
	crs            uintptr
	cGroup, cPanel uintptr
	groups, panels int
	runs, steps    int
	accumulate     int
	perStep        int     // lines to fetch at each step
	queue          uintptr // where of the call the first list is
	bStep          uintptr
	left           [2]int     // groups and runs
	at             [2]uintptr // panels of b and c

	lists [len(Fetcher{}.list) + 1]fetchLines // ends with an empty one
	spare [16 * 32]float32
}

// The assembly expects spare here.
const _ = -(unsafe.Offsetof(tileCall{}.spare) ^ 560)

// fetchLines is some memory to fetch: so many bytes of it, whole lines.
type fetchLines struct {
	from  *float32
	bytes int
}

// multiplyTiles computes c = a·b, or c += a·b, for m × n elements of each block of c, next
// apart. Rows of b lie brs apart, and its panels of 32 columns panel apart. With a single
// run, b ends with it; with several, after each come rows of zeros up to RunDepth.
func multiplyTiles(m, n int, c []float32, crs, next int, a Runs, b []float32, brs, panel int, accumulate bool,
	f *Fetcher, lines int) {
	var t tileCall
	t.ars, t.brs, t.crs = uintptr(a.Step)*4, uintptr(brs)*4, uintptr(crs)*4
	t.runs, t.steps = a.Count, a.Length/16
	pairs, depth := 16, a.Length // of a step, and in all
	if a.Count > 1 {
		t.steps = RunDepth(a.Length) / 16
		depth = a.Count * t.steps * 16
	} else if t.tail = a.Length % 16; t.steps == 0 {
		t.steps, pairs, t.tail = 1, a.Length, 0
	}
	last := (a.Blocks-1)*a.Next + (m-1)*a.Step + (a.Count-1)*a.Apart + max(a.Length, t.steps*pairs) - 1
	if a.Odd {
		last++
	}
	_ = a.Data[last]
	_ = c[(a.Blocks-1)*next+(m-1)*crs+n-1]
	_ = b[(n-1)/32*panel+(depth-1)*brs+(n-1)%32]
	t.aNext = uintptr(a.Apart*4 - 64*t.steps)
	t.aTail = uintptr(a.Length-16) * 4
	t.bPanel, t.bStep, t.bTail = uintptr(panel)*4, t.brs*16, uintptr(depth-t.tail)*t.brs
	t.cPanel = 128
	if accumulate {
		t.accumulate = 1
	}
	t.fetch(f, lines, a.Blocks*((m+31)/32)*((n+31)/32)*t.runs*t.steps)

	// All panels for a block, or all blocks for a panel.
	wide := n
	if a.Blocks > 1 && n*depth > tilePanels {
		wide = 32
	}
	for from := 0; from < n; from += wide {
		to := min(n, from+wide)
		if m <= 32 {
			t.groups, t.aGroup, t.cGroup = a.Blocks, uintptr(a.Next)*4, uintptr(next)*4
			t.across(m, from, to, pairs, c, a.Data, a.Odd, b, panel)
			continue
		}
		for block := range a.Blocks {
			for i := 0; i < m; {
				rows := min(32, m-i)
				t.groups, t.aGroup, t.cGroup = (m-i)/rows, 32*t.ars, 32*t.crs
				t.across(rows, from, to, pairs, c[block*next+i*crs:], a.Data[block*a.Next+i*a.Step:], a.Odd, b, panel)
				i += rows * t.groups
			}
		}
	}
}

// across computes columns [from, to) of groups of rows.
func (t *tileCall) across(rows, from, to, pairs int, c, a []float32, odd bool, b []float32, panel int) {
	for j := from; j < to; {
		cols := min(32, to-j)
		panels := (to - j) / cols
		t.a, t.b, t.c = &a[0], &b[j/32*panel], &c[j]
		if odd {
			t.a = (*float32)(unsafe.Add(unsafe.Pointer(t.a), 2))
		}
		t.panels = panels
		t.lanes0, t.lanes1 = 1<<min(cols, 16)-1, 1<<max(cols-16, 0)-1
		t.shape(rows, cols, pairs)
		t.run(rows > 16, cols > 16)
		j += cols * panels
	}
}

// shape writes the configuration of tiles, palette 1 (Intel 64 manual, volume 1, section
// 18.2): bytes of a row from 16 on, rows from 48 on.
func (t *tileCall) shape(rows, cols, pairs int) {
	t.config = [64]byte{0: 1}
	set := func(tile, rows, bytes int) {
		if rows > 0 && bytes > 0 {
			t.config[48+tile], t.config[16+2*tile] = byte(rows), byte(bytes)
		}
	}
	for i := range 2 {
		high, wide := max(0, min(rows-16*i, 16)), max(0, min(cols-16*i, 16))
		set(4+i, high, 4*pairs)
		set(6+i, pairs, 4*wide)
		for j := range 2 {
			set(2*i+j, high, 4*max(0, min(cols-16*j, 16)))
		}
	}
}

func (t *tileCall) run(down, across bool) {
	call := (*byte)(unsafe.Pointer(t))
	switch {
	case down && across:
		tilesAMX2x2(call)
	case down:
		tilesAMX2x1(call)
	case across:
		tilesAMX1x2(call)
	default:
		tilesAMX1x1(call)
	}
}

// fetch has the calls fetch the first lines of a queue, spread over their steps. Each call
// begins with the list that the one before had come to.
func (t *tileCall) fetch(f *Fetcher, lines, steps int) {
	t.queue = unsafe.Offsetof(t.lists)
	t.perStep = (lines + steps - 1) / steps
	for i := 0; lines > 0 && f.next < f.count; i++ {
		m := &f.list[f.next]
		some := min(lines, m.Rows)
		t.lists[i] = fetchLines{&m.Data[0], 64 * some}
		lines -= some
		if m.Rows -= some; m.Rows == 0 {
			f.next++
		} else {
			m.Data = m.Data[some*m.Stride:]
		}
	}
}

// transposePairs writes k rows of m pairs, stride apart, as columns of dst, ds apart.
func transposePairs(dst []float32, ds int, src []float32, stride, m, k int) {
	_, _ = src[(k-1)*stride+m-1], dst[(m-1)*ds+k-1]
	if !cpu.AVX2 {
		Transpose(dst, ds, src, stride, k, m)
		return
	}
	wide, deep := m&^7, k&^7
	if wide > 0 {
		for p := 0; p < deep; p += 8 {
			transposeAVX2(wide/8, &src[p*stride], uintptr(stride)*4, &dst[p], uintptr(ds)*4)
		}
	}
	for p := range k {
		from := 0
		if p < deep {
			from = wide
		}
		for i, v := range src[p*stride:][from:m] {
			dst[(from+i)*ds+p] = v
		}
	}
}
