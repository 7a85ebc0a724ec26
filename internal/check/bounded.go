package check

import (
	"runtime/metrics"
	"testing"
	"time"
)

// Bounded runs f and fails if that took more than mib MiB of memory or more time than
// limit. It is for code that must not take more than its input justifies. Memory is all
// that was allocated meanwhile, freed or not, by other goroutines too. Time is that of
// the clock or of the processor, whichever is less, so that a busy machine fails nobody.
func Bounded(t testing.TB, mib int, limit time.Duration, f func()) {
	t.Helper()
	before, start, worked := allocated(), time.Now(), processorTime()
	f()
	took, used := time.Since(start), allocated()-before
	if worked > 0 {
		took = min(took, processorTime()-worked)
	}
	if used > uint64(mib)<<20 {
		t.Errorf("it took %.1f MiB of memory, more than %d", float64(used)/(1<<20), mib)
	}
	if took > limit {
		t.Errorf("it took %v, more than %v", took.Round(time.Millisecond), limit)
	}
}

// allocated returns the bytes allocated since the process began.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
