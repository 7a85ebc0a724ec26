// Command peak generates the loops that measure the ceiling of float32
// arithmetic.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

func main() {
	ConstraintExpr("amd64")
	peak("peakAVX512", 24, func() VecVirtual { return ZMM() })
	peak("peakAVX2", 12, func() VecVirtual { return YMM() })
	Generate()
}

// peak generates a loop of multiply-adds that depend on none but those of the
// iteration before, and read no memory.
func peak(name string, chains int, register func() VecVirtual) {
	emit.Start(name, "func(n int)", name+" does n times one multiply-add in each lane of its accumulators.")
	n := emit.Pointer("n")
	x, y := register(), register()
	VXORPS(x.AsX(), x.AsX(), x.AsX())
	VXORPS(y.AsX(), y.AsX(), y.AsX())
	acc := make([]VecVirtual, chains)
	for i := range acc {
		acc[i] = register()
		VXORPS(acc[i].AsX(), acc[i].AsX(), acc[i].AsX())
	}
	Label("loop")
	for _, a := range acc {
		VFMADD231PS(x, y, a)
	}
	DECQ(n)
	JNZ(LabelRef("loop"))
	emit.End()
}
