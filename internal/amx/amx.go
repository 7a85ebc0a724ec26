package amx

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"vicreg/internal/cpu"
)

// traced is set in the environment of a test binary that runs under the tracer.
const traced = "VICREG_TEST_TRACED"

func init() {
	if Traced() {
		cpu.Emulated()
	}
}

// Traced reports whether the tests run under the tracer, which makes them slow.
func Traced() bool { return os.Getenv(traced) != "" }

var errNotAllowed = errors.New("processes cannot be traced here")

// Run runs those tests of the calling package's binary whose names match pattern, as the
// flag -run does, again under the tracer: with variant amx usable and active. It does
// nothing where the processor has AMX, and skips the test where that is not possible.
func Run(t *testing.T, pattern string) {
	switch {
	case Traced():
		t.Skip("the tests run under the tracer already")
	case slices.Contains(cpu.Variants(), "amx"):
		t.Skip("this processor has AMX")
	case !cpu.HasBF16():
		t.Skip("variant amx needs AVX512_BF16, which this processor does not have")
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	env := append(slices.DeleteFunc(os.Environ(), func(v string) bool { return len(v) > 10 && v[:11] == "VICREG_CPU=" }),
		traced+"=1")
	args := []string{"-test.run=" + pattern, "-test.count=1", "-test.timeout=10m"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	n, err := trace(os.Args[0], args, env, out)
	if errors.Is(err, errNotAllowed) {
		t.Skip(err)
	}
	text, _ := os.ReadFile(out.Name())
	if err != nil {
		t.Fatalf("under the tracer: %v after %d instructions of AMX\n%s", err, n, text)
	}
	if n == 0 {
		t.Fatalf("no instruction of AMX was executed\n%s", text)
	}
	t.Logf("%d instructions of AMX\n%s", n, text)
}
