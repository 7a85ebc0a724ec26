//go:build native && linux && (amd64 || arm64)

package card

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"vicreg/internal/cuda"
)

// real opens the card of this machine, if it has one.
func real(t *testing.T) cuda.Driver {
	if _, err := os.Stat("/dev/nvidiactl"); err != nil {
		t.Skip("this machine has no NVIDIA card")
	}
	d, err := Open(0)
	must(t, err)
	return d
}

func TestCard(t *testing.T) {
	d := real(t)
	defer d.Close()
	suite(t, d)
}

const lostVariable = "VICREG_TEST_LOSE_CARD"

// A kernel that writes where it may not takes all that this process has on the card with
// it, so another process does that.
func TestCardLost(t *testing.T) {
	d := real(t)
	defer d.Close()
	if os.Getenv(lostVariable) == "" {
		command := exec.Command(os.Args[0], "-test.run", "^TestCardLost$")
		command.Env = append(os.Environ(), lostVariable+"=1")
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	b := &bench{T: t, Driver: d}
	args := axpy{y: 256, x: 256, n: 256} // no memory is there
	must(t, d.Launch(cuda.Compute, b.function("axpy", 0), [3]int{1, 1, 1}, 256, 0, args.bytes()))
	err := d.Wait(cuda.Compute)
	if !cuda.Lost(err) || !strings.Contains(err.Error(), "CUDA_ERROR_ILLEGAL_ADDRESS (700)") {
		t.Errorf("waiting: %v", err)
	}
	if _, again := d.Alloc(100); again == nil || again.Error() != err.Error() {
		t.Errorf("the next call: %v", again)
	}
}
