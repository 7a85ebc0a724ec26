package host

import (
	"runtime"
	"testing"
)

func TestPeakRSSCountsWhatIsTouched(t *testing.T) {
	before := PeakRSS()
	if before < 1 {
		t.Skip("the system does not tell")
	}
	const mib = 256
	b := make([]byte, mib<<20)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	after := PeakRSS()
	runtime.KeepAlive(b)
	if after < mib || after < before || after > before+4*mib {
		t.Errorf("%v MiB before, %v after touching %d", before, after, mib)
	}
}
