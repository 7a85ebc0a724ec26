package devices

import (
	"runtime"
	"strings"
	"testing"

	"vicreg/internal/device"
)

func TestOpen(t *testing.T) {
	if d, err := Open("cpu"); err != nil || d != device.Local {
		t.Errorf("cpu is %v, %v", d, err)
	}
	for _, name := range []string{"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:99999", "CUDA", "cuda0"} {
		if _, err := Open(name); err == nil || !strings.Contains(err.Error(), "known: cpu, cuda, cuda:1 and so on") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestNumber(t *testing.T) {
	for name, want := range map[string]int{"cuda": 0, "cuda:0": 0, "cuda:1": 1, "cuda:12": 12} {
		if n, ok := number(name); !ok || n != want {
			t.Errorf("%s is card %d, %v", name, n, ok)
		}
	}
}

func TestList(t *testing.T) {
	all := List()
	if len(all) < 2 || all[0].Name != "cpu" || all[0].What == "" || !strings.Contains(all[0].Details[0], " core") ||
		all[0].Trouble != "" || all[1].Name != "cuda" {
		t.Fatalf("%+v", all)
	}
	for _, i := range all[1:] {
		if i.What == "" && i.Trouble == "" {
			t.Errorf("%s is said to be nothing", i.Name)
		}
	}
}

// A build without native libraries says which build has them.
func TestNoCards(t *testing.T) {
	if err := errNoCards("linux", "amd64"); !strings.Contains(err.Error(), "go install -tags native vicreg/cmd/vicreg") {
		t.Error(err)
	}
	if err := errNoCards("windows", "amd64"); !strings.Contains(err.Error(), "Linux") ||
		!strings.Contains(err.Error(), "windows with amd64") {
		t.Error(err)
	}
	if hasNative || runtime.GOOS != "linux" {
		return
	}
	if _, err := Open("cuda:1"); err == nil || !strings.HasPrefix(err.Error(), "--device cuda:1: NVIDIA cards need the build") {
		t.Errorf("%v", err)
	}
}
