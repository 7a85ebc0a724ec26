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
func (w *World) Sum(x []float32) {
	w.do(func() error { return sum(w, x, func(y, x []float32) { row.Axpy(y, 1, x) }) })
}

// SumWide implements [group.Group].
func (w *World) SumWide(x []float64) {
	w.do(func() error {
		return sum(w, x, func(y, x []float64) {
			for i, v := range x {
				y[i] += v
			}
		})
	})
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
func sum[T float32 | float64](w *World, x []T, add func(y, x []T)) error {
	size := int(unsafe.Sizeof(T(0)))
	if len(x)*size*w.size <= few {
		all := numbers[T](w.buffer[1])
		copy(numbers[T](w.buffer[0]), x)
		if err := w.gather(0, 1, len(x)*size); err != nil {
			return err
		}
		copy(x, all[:len(x)])
		for r := 1; r < w.size; r++ {
			add(x, all[r*len(x):][:len(x)])
		}
		return nil
	}
	block := min(w.piece/size/w.size, (len(x)+w.size-1)/w.size) // numbers of a rank in a piece
	pieces := (len(x) + block*w.size - 1) / (block * w.size)
	piece := func(k int) []T { return x[k*block*w.size : min((k+1)*block*w.size, len(x))] }
	// Piece k+1 crosses while piece k is added. Each has two buffers in turn: out has the
	// blocks of this rank, but in place of its own block that of the rank it begins with,
	// which becomes the sum; the others' come to in.
	scatter := func(k int) error {
		all, x := numbers[T](w.buffer[2*(k%2)]), piece(k)
		mine := min(w.rank*block, len(x))
		copy(all, x[:mine])
		if next := (w.rank + 1) * block; next < len(x) {
			copy(all[next:], x[next:])
		}
		return w.beginScatter(k%2, block*size)
	}
	addUp := func(k int) error {
		if err := w.finish(k%2, "add up numbers"); err != nil {
			return err
		}
		x, others := piece(k), numbers[T](w.buffer[2*(k%2)+1])
		mine := x[min(w.rank*block, len(x)):min((w.rank+1)*block, len(x))]
		y := numbers[T](w.buffer[2*(k%2)])[w.rank*block:][:block]
		for r := range w.size {
			switch {
			case r == w.rank:
				add(y[:len(mine)], mine) // of two numbers either may be the first
			case r != w.begins():
				add(y, others[r*block:][:block])
			}
		}
		return w.beginCollect(k%2, block*size)
	}
	collect := func(k int) error {
		if err := w.finish(k%2, "add up numbers"); err != nil {
			return err
		}
		copy(piece(k), numbers[T](w.buffer[2*(k%2)]))
		return nil
	}
	if err := scatter(0); err != nil {
		return err
	}
	for k := range pieces {
		if k > 0 {
			if err := collect(k - 1); err != nil {
				return err
			}
		}
		if k+1 < pieces {
			if err := scatter(k + 1); err != nil {
				return err
			}
		}
		if err := addUp(k); err != nil {
			return err
		}
	}
	return collect(pieces - 1)
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
