package cuda

import (
	"fmt"
)

func (e *Error) Error() string {
	s := fmt.Sprintf("%s failed: %s (%d)", e.Call, e.Name, e.Code)
	if e.What != "" {
		s += ", for " + e.What
	}
	if e.Free >= 0 {
		s += fmt.Sprintf("; %s of the card's memory were free", gib(e.Free))
	}
	return s
}

// Codes of the driver that a [Device] tells apart.
const (
	codeOutOfMemory = 2
)

// OutOfMemory says that the card's memory did not suffice.
func (e *Error) OutOfMemory() bool { return e.Code == codeOutOfMemory && e.Call[:2] == "cu" }

// gib writes an amount of memory.
func gib(bytes int) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
