package ptx

import (
	"fmt"
	"math/bits"
)

// Fault is what a kernel must not do, with where it did.
type Fault struct {
	Kernel string
	Block  [3]int
	Thread [3]int
	Line   int
	Text   string // of the instruction
	What   string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("ptx: %s, block %v, thread %v, line %d (%s): %s", f.Kernel, f.Block, f.Thread, f.Line, f.Text, f.What)
}

const all = 1<<32 - 1

// warp is 32 threads that go through the code together. Where they part, those who are
// least far go on first, until they meet the others.
type warp struct {
	b       *block
	index   int
	r       []row
	p       []uint32
	consts  []row
	code    []inst
	pc      int32
	mask    uint32 // the threads that are at pc
	live    uint32 // those that have not ended
	blocked uint32 // those that wait for others at a meeting
	pcs     [32]int32
	next    int32 // where the first of the other threads are
	tmp     row
	local   []byte
	room    int // bytes of local memory of a thread
	copies  [32]copies
	wait    waiting
	clock   []uint32 // for races
	syncs   uint32   // how often bar.warp.sync brought it together
	fences  uint32   // how often it did fence.proxy.async
	yields  bool     // it asked a barrier in vain: others go on first
	begun   bool

	products products
	right    [][16]float64 // room for a factor
}

func (w *warp) row(i int32) *row {
	if i >= 0 {
		return &w.r[i]
	}
	return &w.consts[^i]
}

func (w *warp) fault(lane int, format string, args ...any) {
	in := &w.code[w.pc]
	panic(&Fault{w.b.l.k.Name, w.b.at, w.thread(lane), int(in.line), in.text, fmt.Sprintf(format, args...)})
}

// thread returns the place of a thread in its block.
func (w *warp) thread(lane int) [3]int {
	t, n := 32*w.index+lane, w.b.l.Threads
	return [3]int{t % n[0], t / n[0] % n[1], t / n[0] / n[1]}
}

// park keeps where the threads in m are.
func (w *warp) park(m uint32, pc int32) {
	for ; m != 0; m &= m - 1 {
		w.pcs[bits.TrailingZeros32(m)] = pc
	}
}

// choose takes up the threads that are least far. It says false when none is left, and
// faults when those that are left wait for each other.
func (w *warp) choose() bool {
	can := w.live &^ w.blocked
	if can == 0 {
		if w.live == 0 {
			return false
		}
		w.unblock()
		return true
	}
	first, second := int32(1<<30), int32(1<<30)
	m := uint32(0)
	for rest := can; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros32(rest)
		switch pc := w.pcs[i]; {
		case pc < first:
			first, second, m = pc, first, 1<<i
		case pc == first:
			m |= 1 << i
		default:
			second = min(second, pc)
		}
	}
	w.pc, w.mask, w.next = first, m, second
	return true
}

// unblock takes up threads whose meeting is complete.
func (w *warp) unblock() {
	for rest := w.blocked; rest != 0; {
		pc := w.pcs[bits.TrailingZeros32(rest)]
		m := w.blockedAt(pc)
		if w.code[pc].need(w, m)&w.live&^m == 0 {
			w.pc, w.mask = pc, m
			w.blocked &^= m
			w.setNext()
			return
		}
		rest &^= m
	}
	lane := bits.TrailingZeros32(w.blocked)
	w.pc = w.pcs[lane]
	w.mask = w.blockedAt(w.pc)
	w.fault(lane, "threads %s of the warp wait here for threads that have gone elsewhere", lanes(w.mask))
}

func (w *warp) blockedAt(pc int32) uint32 {
	m := uint32(0)
	for rest := w.blocked; rest != 0; rest &= rest - 1 {
		if i := bits.TrailingZeros32(rest); w.pcs[i] == pc {
			m |= 1 << i
		}
	}
	return m
}

func (w *warp) setNext() {
	w.next = 1 << 30
	for rest := w.live &^ w.blocked &^ w.mask; rest != 0; rest &= rest - 1 {
		w.next = min(w.next, w.pcs[bits.TrailingZeros32(rest)])
	}
}

func lanes(m uint32) string {
	s := ""
	for i := 0; i < 32; i++ {
		if m>>i&1 == 0 {
			continue
		}
		j := i
		for j < 31 && m>>(j+1)&1 == 1 {
			j++
		}
		if s != "" {
			s += ","
		}
		if s += fmt.Sprint(i); j > i {
			s += fmt.Sprintf("-%d", j)
		}
		i = j
	}
	return s
}

// run goes on until the warp has ended, which it says, or waits for others.
func (w *warp) run() (ended bool) {
	if w.mask == 0 && !w.choose() {
		return true
	}
	code := w.code
	steps, threads := int64(0), int64(0)
	defer func() {
		w.b.l.Steps += steps
		w.b.l.Instructions += threads
	}()
	budget := w.b.l.Limit
	if w.b.l.Steps > budget {
		w.fault(bits.TrailingZeros32(w.mask), "the kernel runs for too long")
	}
	for {
		in := &code[w.pc]
		m := w.mask
		if in.guard != 0 {
			g := w.p[in.guard]
			if in.not {
				g = ^g
			}
			m &= g
		}
		steps++
		if p := w.b.l.Profile; p != nil {
			p.Lines[w.pc].Warps++
			p.Lines[w.pc].Lanes += int64(bits.OnesCount32(m))
		}
		threads += int64(bits.OnesCount32(m))
		if steps&0x3ff == 0 && w.b.l.Steps+steps > budget {
			w.fault(bits.TrailingZeros32(w.mask), "the kernel runs for too long")
		}
		switch {
		case m == 0:
			w.pc++
		case in.kind == pure:
			a, b, c := w.row(in.a), w.row(in.b), w.row(in.c)
			d := &w.r[in.d]
			if m == all {
				in.fn(d, a, b, c)
			} else {
				in.fn(&w.tmp, a, b, c)
				for ; m != 0; m &= m - 1 {
					i := bits.TrailingZeros32(m) & 31
					d[i] = w.tmp[i]
				}
			}
			w.pc++
		case in.kind == effect:
			in.do(w, m)
			w.pc++
			if w.yields {
				w.yields = false
				w.settle()
				return false
			}
		case in.kind == branch:
			if m == w.mask {
				w.pc = in.to
				break
			}
			w.park(m, in.to)
			w.park(w.mask&^m, w.pc+1)
			w.choose()
			continue
		case in.kind == indexed:
			w.park(w.mask, w.pc+1)
			in.do(w, m)
			w.choose()
			continue
		case in.kind == leave:
			w.live &^= m
			w.park(w.mask&^m, w.pc+1)
			if !w.choose() {
				w.mask = 0
				return true
			}
			continue
		default:
			m |= w.blockedAt(w.pc) & ^(w.mask &^ m)
			if in.need(w, m)&w.live&^m != 0 {
				w.park(m, w.pc)
				w.park(w.mask&^m, w.pc+1)
				w.blocked |= m
				w.choose()
				continue
			}
			w.blocked &^= m
			w.mask |= m
			if in.kind == barrier {
				in.do(w, m)
				w.pc++
				if w.wait.on {
					w.settle()
					return false
				}
				break
			}
			in.do(w, m)
			w.pc++
		}
		if w.pc >= w.next {
			w.settle()
		}
	}
}

// settle parks the threads that run and chooses anew.
func (w *warp) settle() {
	w.park(w.mask, w.pc)
	w.choose()
}
