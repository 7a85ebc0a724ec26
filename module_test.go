package vicreg_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A Go program outside of this repository builds with this module in the way that the README
// names, from the module cache alone, and embeds from eight goroutines.
func TestAnotherModuleUsesIt(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	module := fmt.Sprintf("module outside\n\ngo 1.26\n\nrequire vicreg v0.0.0\n\nreplace vicreg => %s\n", here)
	for name, from := range map[string]string{"main.go": "testdata/outside/main.go", "go.sum": "go.sum", "go.mod": ""} {
		text := []byte(module)
		if from != "" {
			if text, err = os.ReadFile(from); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "outside.exe")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod "+os.Getenv("GOFLAGS"), "GOPROXY=off", "GOWORK=off")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	m := untrained(t, "resnet10", 8, 32)
	said, err := exec.Command(program, m.Info().Path).Output()
	if want := "8 goroutines, 25 images each, the same bits as one\n"; err != nil || string(said) != want {
		t.Errorf("%v: %q, want %q", err, said, want)
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"require vicreg v0.0.0", "replace vicreg => "} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the README does not say %q", line)
		}
	}
}
