//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"unsafe"

	"vicreg/internal/group"
	"vicreg/internal/kernel/row"
)

// A Sum is made of transfers alone, and added here: what a library promises of MPI_Allreduce
// is the same bits on all ranks where it is called in the same way, not in which order it
// adds. Each rank gets its block of everybody's numbers, adds them in the order of the ranks,
// and sends the sums to all; as much crosses as in the best of those reductions.

// few is the most bytes, of all ranks together, that are sent to all and added by each:
// one transfer instead of two.
const few = 128 << 10

// Sum implements [group.Group].
func (w *World) Sum(arrays ...[]float32) {
	w.do(func() error { return sum(w, arrays, func(y, x []float32) { row.Axpy(y, 1, x) }) })
}

// SumWide implements [group.Group].
func (w *World) SumWide(x []float64) {
	w.do(func() error {
		w.wide[0] = x
		defer clear(w.wide[:])
		return sum(w, w.wide[:], func(y, x []float64) {
			for i, v := range x {
				y[i] += v
			}
		})
	})
}

// arrays are several, of which element i is that of all of them behind one another.
type arrays[T float32 | float64] [][]T

func (a arrays[T]) len() (n int) {
	for _, x := range a {
		n += len(x)
	}
	return n
}

// visit calls do with the stretches of elements [lo, hi), and where each begins, from lo on.
func (a arrays[T]) visit(lo, hi int, do func(at int, x []T)) {
	begin := 0 // of an array
	for _, x := range a {
		end := begin + len(x)
		if from, to := max(lo, begin), min(hi, end); from < to {
			do(from-lo, x[from-begin:to-begin])
		}
		if begin = end; begin >= hi {
			return
		}
	}
}

// get copies elements from lo on to dst.
func (a arrays[T]) get(dst []T, lo int) {
	a.visit(lo, lo+len(dst), func(at int, x []T) { copy(dst[at:], x) })
}

// put copies src to elements from lo on.
func (a arrays[T]) put(src []T, lo int) {
	a.visit(lo, lo+len(src), func(at int, x []T) { copy(x, src[at:]) })
}

// do does something while no other thread is in the library.
func (w *World) do(f func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := f(); err != nil {
		panic(err)
	}
}

// sum adds x over all ranks. add computes y += x.
func sum[T float32 | float64](w *World, x arrays[T], add func(y, x []T)) error {
	size, n := int(unsafe.Sizeof(T(0))), x.len()
	if n*size*w.size <= few {
		all := numbers[T](w.buffer[1])
		x.get(numbers[T](w.buffer[0])[:n], 0)
		if err := w.gather(0, 1, n*size); err != nil {
			return err
		}
		for r := 1; r < w.size; r++ {
			add(all[:n], all[r*n:][:n])
		}
		x.put(all[:n], 0)
		return nil
	}
	block := min(w.piece/size/w.size, (n+w.size-1)/w.size) // numbers of a rank in a piece
	pieces := (n + block*w.size - 1) / (block * w.size)
	piece := func(k int) (lo, length int) { return k * block * w.size, min(block*w.size, n-k*block*w.size) }
	// The next pieces cross while piece k is added, and the sums of those before. Each has two
	// buffers in turn: out has the blocks of this rank, but in place of its own block that of the
	// rank it begins with, which becomes the sum; the others' come to in.
	scatter := func(k int) error {
		all := numbers[T](w.buffer[2*(k%slots)])
		lo, length := piece(k)
		x.get(all[:min(w.rank*block, length)], lo)
		if next := (w.rank + 1) * block; next < length {
			x.get(all[next:length], lo+next)
		}
		return w.beginScatter(k%slots, block*size)
	}
	addUp := func(k int) error {
		if err := w.finish(k%slots, "add up numbers"); err != nil {
			return err
		}
		lo, length := piece(k)
		others := numbers[T](w.buffer[2*(k%slots)+1])
		y := numbers[T](w.buffer[2*(k%slots)])[w.rank*block:][:block]
		for r := range w.size {
			switch {
			case r == w.rank: // of two numbers either may be the first
				from, to := lo+min(r*block, length), lo+min((r+1)*block, length)
				x.visit(from, to, func(at int, mine []T) { add(y[at:][:len(mine)], mine) })
			case r != w.begins():
				add(y, others[r*block:][:block])
			}
		}
		return w.beginCollect(k%slots, block*size)
	}
	collect := func(k int) error {
		if err := w.finish(k%slots, "add up numbers"); err != nil {
			return err
		}
		lo, length := piece(k)
		x.put(numbers[T](w.buffer[2*(k%slots)])[:length], lo)
		return nil
	}
	for k, next := 0, 0; k < pieces; k++ {
		for ; next < pieces && next <= k+ahead; next++ {
			if next >= slots {
				if err := collect(next - slots); err != nil {
					return err
				}
			}
			if err := scatter(next); err != nil {
				return err
			}
		}
		if err := addUp(k); err != nil {
			return err
		}
	}
	for k := max(0, pieces-slots); k < pieces; k++ {
		if err := collect(k); err != nil {
			return err
		}
	}
	return nil
}

// begins is the rank whose numbers this one begins a sum with: 0, or 1 where those of 0 are
// its own.
func (w *World) begins() int {
	if w.rank == 0 {
		return 1
	}
	return 0
}

// numbers is memory as numbers.
func numbers[T float32 | float64](b []byte) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(b)/int(unsafe.Sizeof(T(0))))
}

// bytesOf is numbers as memory.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// beginScatter sends block r of buffer 2·slot to rank r. Its own place there gets the block
// of the rank that begins; the others come to the next buffer, by rank.
func (w *World) beginScatter(slot, bytes int) error {
	c := w.cells
	for r := range w.size {
		c.sent[r], c.sentAt[r], c.gotAt[r] = int32(bytes), int32(r*bytes), int32(r*bytes)
	}
	c.sent[w.rank], c.gotAt[w.begins()] = 0, int32(w.rank*bytes-staging)
	out, in := at(&w.buffer[2*slot][0]), at(&w.buffer[2*slot+1][0])
	return w.start("add up numbers", &w.api.MPI_Ialltoallv, out, at(&c.sent[0]), at(&c.sentAt[0]), w.h.byte,
		in, at(&c.sent[0]), at(&c.gotAt[0]), w.h.byte, w.h.world, at(&c.request[slot]))
}

// beginCollect sends block w.rank of buffer 2·slot to all others.
func (w *World) beginCollect(slot, bytes int) error {
	return w.start("add up numbers", &w.api.MPI_Iallgather, w.h.inPlace, 0, w.h.byte, at(&w.buffer[2*slot][0]),
		uintptr(bytes), w.h.byte, w.h.world, at(&w.cells.request[slot]))
}

// beginGather sends the first bytes of a buffer to all.
func (w *World) beginGather(from, to, bytes int) error {
	return w.start("gather", &w.api.MPI_Iallgather, at(&w.buffer[from][0]), uintptr(bytes), w.h.byte,
		at(&w.buffer[to][0]), uintptr(bytes), w.h.byte, w.h.world, at(&w.cells.request[from/2]))
}

func (w *World) gather(from, to, bytes int) error {
	if bytes == 0 {
		return nil
	}
	if err := w.beginGather(from, to, bytes); err != nil {
		return err
	}
	return w.finish(from/2, "gather")
}

// Gather implements [group.Group].
func (w *World) Gather(to, from []float32) {
	group.Check("Gather", len(to) == w.size*len(from))
	w.do(func() error { return w.gatherPieces(bytesOf(to), bytesOf(from)) })
}

// gatherPieces copies the from of every rank to to, by rank.
func (w *World) gatherPieces(to, from []byte) error {
	most := w.room / w.size &^ 63
	for lo := 0; lo < len(from); lo += most {
		n := copy(w.buffer[0][:most], from[lo:])
		if err := w.gather(0, 1, n); err != nil {
			return err
		}
		for r := range w.size {
			copy(to[r*len(from)+lo:][:n], w.buffer[1][r*n:])
		}
	}
	return nil
}

// GatherBytes implements [group.Group].
func (w *World) GatherBytes(from []byte) [][]byte {
	list := make([][]byte, w.size)
	w.do(func() error {
		lengths := make([]byte, 8*w.size)
		var mine [8]byte
		*(*int64)(unsafe.Pointer(&mine)) = int64(len(from))
		if err := w.gatherPieces(lengths, mine[:]); err != nil {
			return err
		}
		most := 0
		for r := range list {
			n := *(*int64)(unsafe.Pointer(&lengths[8*r]))
			list[r] = make([]byte, n)
			most = max(most, int(n))
		}
		step := w.room / w.size &^ 63
		for lo := 0; lo < most; lo += step {
			n := min(step, most-lo)
			if lo < len(from) {
				copy(w.buffer[0][:n], from[lo:])
			}
			if err := w.gather(0, 1, n); err != nil {
				return err
			}
			for r, to := range list {
				if lo < len(to) {
					copy(to[lo:], w.buffer[1][r*n:][:n])
				}
			}
		}
		return nil
	})
	return list
}

// Broadcast implements [group.Group].
func (w *World) Broadcast(x []byte, root int) {
	w.do(func() error {
		for len(x) > 0 {
			n := min(len(x), w.room)
			b := w.buffer[0][:n]
			if w.rank == root {
				copy(b, x)
			}
			if err := w.start("take over what one of them has", &w.api.MPI_Ibcast, at(&b[0]), uintptr(n), w.h.byte,
				uintptr(root), w.h.world, at(&w.cells.request[0])); err != nil {
				return err
			}
			if err := w.finish(0, "take over what one of them has"); err != nil {
				return err
			}
			copy(x, b)
			x = x[n:]
		}
		return nil
	})
}

// Barrier implements [group.Group].
func (w *World) Barrier() {
	w.do(func() error {
		if err := w.start("meet", &w.api.MPI_Ibarrier, w.h.world, at(&w.cells.request[0])); err != nil {
			return err
		}
		return w.finish(0, "meet")
	})
}
