// Package group is the processes that train one network together.
//
// Each of them is a rank, from 0. All call the same operations in the same order, with
// operands of the same lengths: an operation returns when every rank has called it. One
// process alone is a group of one, [Alone], where every operation is done already.
package group

import (
	"errors"
	"fmt"
)

// Group is what the processes do together. Sums are added in the order of the ranks,
// element by element, or in another order that depends on nothing but the lengths and the
// number of ranks: every rank gets the same bits, and gets them again in the next run.
//
// If a rank fails, or the engine below does, an operation panics with a [Failure].
type Group interface {
	Rank() int // of this process
	Size() int // of the group

	// Sum and SumWide add over all ranks, in place. Sum adds several arrays as one, as if each lay behind the one
	// before.
	Sum(arrays ...[]float32)
	SumWide(x []float64)

	// Gather copies the from of every rank to to, which is Size times as long, by rank.
	// Either from is apart from to, or it lies there where it belongs.
	Gather(to, from []float32)

	// GatherBytes returns what every rank has given, by rank. Lengths may differ.
	GatherBytes(from []byte) [][]byte

	// Broadcast copies x of one rank to x of the others, which is as long.
	Broadcast(x []byte, root int)

	// Barrier returns when every rank has called it.
	Barrier()
}

// Alone is the group of a process that trains by itself.
type Alone struct{}

func (Alone) Rank() int                        { return 0 }
func (Alone) Size() int                        { return 1 }
func (Alone) Sum(...[]float32)                 {}
func (Alone) SumWide([]float64)                {}
func (Alone) GatherBytes(from []byte) [][]byte { return [][]byte{from} }
func (Alone) Broadcast([]byte, int)            {}
func (Alone) Barrier()                         {}

func (Alone) Gather(to, from []float32) {
	Check("Gather", len(to) == len(from))
	copy(to, from)
}

// Or returns g, or Alone if that is nil.
func Or(g Group) Group {
	if g == nil {
		return Alone{}
	}
	return g
}

// IsAlone reports whether g is that of a process that trains by itself: one of another type, which tests use, goes the
// way of several processes even where it has one rank.
func IsAlone(g Group) bool {
	_, ok := g.(Alone)
	return ok
}

// Placed is a group that knows which of its ranks share a machine.
type Placed interface {
	// Local returns which of those on this machine this one is, and how many they are.
	Local() (rank, size int)
}

// Here returns how many ranks share this machine; 1 where the group does not know.
func Here(g Group) int {
	if p, ok := g.(Placed); ok {
		_, n := p.Local()
		return n
	}
	return 1
}

// Check panics unless the operands of an operation fit.
func Check(operation string, fits bool) {
	if !fits {
		panic(fmt.Sprintf("group: the operands of %s do not fit", operation))
	}
}

// Share returns which of n rows, of which each rank has as many, are those of a rank.
func Share(g Group, n int) (from, to int) {
	Check("Share", n%g.Size() == 0)
	n /= g.Size()
	return g.Rank() * n, (g.Rank() + 1) * n
}

// Failure is what an operation panics with when the processes can no longer work together.
type Failure struct {
	Rank int // that failed, or -1: it is not known which
	Err  error
}

func (f Failure) Error() string { return f.Err.Error() }
func (f Failure) Unwrap() error { return f.Err }

// Catch, deferred, turns the panic of an operation that failed into the error of the
// function that returns. Other panics go on.
func Catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case Failure:
		*err = r
	default:
		panic(r)
	}
}

// Other is the error of a rank that stops because another one met with an error.
type Other struct {
	Rank int
	Text string // of the error there
}

func (e *Other) Error() string { return fmt.Sprintf("rank %d: %s", e.Rank, e.Text) }

// Agree makes the error of one rank that of all. It returns err itself where there is one,
// and else the first of the other ranks' as an [Other]; nil if there is none anywhere.
func Agree(g Group, err error) error {
	if g.Size() == 1 || errors.As(err, new(Failure)) {
		return err
	}
	var text []byte
	if err != nil {
		text = append([]byte{1}, err.Error()...)
	}
	all := g.GatherBytes(text)
	if err != nil {
		return err
	}
	for rank, text := range all {
		if len(text) > 0 {
			return &Other{rank, string(text[1:])}
		}
	}
	return nil
}
