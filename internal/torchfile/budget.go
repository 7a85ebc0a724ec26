package torchfile

import "unsafe"

// most is the memory that what a pickle builds may take. Real checkpoints, optimizer and
// all, take a few MiB.
const most = 32 << 20

// budget counts the memory that reading a file has taken, given back or not.
type budget struct{ spent int }

// spend reports whether there is memory for n bytes more.
func (b *budget) spend(n int) bool {
	b.spent += n
	return b.spent <= most
}

// extend appends to a slice, which doubles when it is full, at the cost of its bytes.
// It reports whether there is memory for it.
func extend[T any](b *budget, s []T, v ...T) ([]T, bool) {
	if need := len(s) + len(v); need > cap(s) {
		grown := max(need, 2*cap(s))
		var one T
		if !b.spend(grown * int(unsafe.Sizeof(one))) {
			return s, false
		}
		s = append(make([]T, 0, grown), s...)
	}
	return append(s, v...), true
}
