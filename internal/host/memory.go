package host

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Memory is the most that this process may hold, what it holds already included.
type Memory struct {
	Bytes float64 // +Inf: nobody tells of a limit
	Limit string  // what sets it, as the start of a sentence: "this container may use"
}

// MemoryVariable names the environment variable that says how much memory to
// reckon with, such as 6GB, in place of what the system says.
const MemoryVariable = "VICREG_MEMORY"

// MemoryLimit returns the smallest of the limits of this machine, its free memory,
// the containers (control groups) this process is in, and the process itself.
func MemoryLimit() Memory {
	if given := os.Getenv(MemoryVariable); given != "" {
		if bytes, ok := parseBytes(given); ok {
			return Memory{bytes, MemoryVariable + " allows"}
		}
	}
	return memoryLimit()
}

// EnvError says what is wrong with the value of MemoryVariable, which is then
// passed over.
func EnvError() error {
	given := os.Getenv(MemoryVariable)
	if _, ok := parseBytes(given); !ok && given != "" {
		return fmt.Errorf("%s is %q, which is no amount of memory; give one such as 6GB", MemoryVariable, given)
	}
	return nil
}

// Respect makes the garbage collector keep the program within the limit, as far as it
// can, unless GOMEMLIMIT says otherwise. Without that, garbage may grow to as much again
// as is in use before it is collected.
func (m Memory) Respect() {
	if os.Getenv("GOMEMLIMIT") == "" && m.Bytes < math.MaxInt64/2 {
		debug.SetMemoryLimit(int64(0.95 * m.Bytes))
	}
}

// String is a sentence without its full stop: "this container may use 6.4 GB".
func (m Memory) String() string { return m.Limit + " " + Bytes(m.Bytes) }

// below keeps the smaller limit.
func (m *Memory) below(bytes float64, limit string) {
	if bytes < m.Bytes {
		*m = Memory{max(0, bytes), limit}
	}
}

// Bytes writes an amount of memory for people.
func Bytes(n float64) string {
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	switch {
	case n < 1e3:
		return fmt.Sprintf("%.0f bytes", n)
	case n >= 999e18 || math.IsNaN(n):
		return "999 EB or more"
	}
	i := 0
	for n /= 1e3; n >= 999.5 && i+1 < len(units); n /= 1e3 {
		i++
	}
	digits := 0
	if n < 9.95 && i > 0 {
		digits = 1
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " " + units[i]
}

// parseBytes reads an amount of memory: 6000000000, 6GB, 6 GiB or 6g.
func parseBytes(s string) (float64, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	number := strings.TrimRight(s, "kmgtib ")
	factor := 1.0
	switch unit := strings.TrimSpace(s[len(number):]); unit {
	case "", "b":
	default:
		power := strings.IndexByte("kmgt", unit[0]) + 1
		thousand := 1000.0
		switch unit[1:] {
		case "b":
		case "", "ib":
			thousand = 1024
		default:
			power = 0
		}
		if power == 0 {
			return 0, false
		}
		factor = math.Pow(thousand, float64(power))
	}
	n, err := strconv.ParseFloat(number, 64)
	return n * factor, err == nil && n > 0 && n < 1e15
}
