//go:build !linux

package runlog

// Locks are the locks that processes of this machine hold, as far as it tells.
type Locks struct{}

// ReadLocks asks the system for all locks at once. It takes none.
func ReadLocks() Locks { return Locks{} }

// On reports whether a process holds the lock of a run's folder, and whether that can be
// known: not here.
func (l Locks) On(dir string) (held, known bool) { return false, false }
