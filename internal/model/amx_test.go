package model

import (
	"testing"

	"vicreg/internal/amx"
)

// Where the processor has no AMX, whole networks are tested under a tracer.
func TestAMX(t *testing.T) {
	amx.Run(t, "^TestResNetGolden(BF16|Half)$/^resnet18_w4_small$/^winograd$")
}
