// Command peak generates the loops that measure the ceilings of arithmetic.
package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// c is what is being built.
var c = build.NewContext()

func main() {
	c.ConstraintExpr("amd64")
	multiply := func(x, y, acc reg.VecVirtual) { c.VFMADD231PS(x, y, acc) }
	peak("peakAVX512", "one multiply-add", 24, c.ZMM, multiply)
	peak("peakAVX2", "one multiply-add", 12, c.YMM, multiply)
	peak("peakBF16", "two multiply-adds", 24, c.ZMM, func(x, y, acc reg.VecVirtual) { emit.DotPairs(c, x, y, acc) })
	tiles()
	emit.Write(c, pass.FunctionPass(emit.Encode))
}

// peak generates a loop of multiply-adds that depend on none but those of the
// iteration before, and read no memory.
func peak(name, what string, chains int, register func() reg.VecVirtual, multiply func(x, y, acc reg.VecVirtual)) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(n int)")
	c.Doc(name + " does n times " + what + " in each lane of its accumulators.")
	n := c.Load(c.Param("n"), c.GP64())
	zero := func() reg.VecVirtual {
		z := register()
		c.VXORPS(z.AsX(), z.AsX(), z.AsX())
		return z
	}
	x, y := zero(), zero()
	acc := make([]reg.VecVirtual, chains)
	for i := range acc {
		acc[i] = zero()
	}
	c.Label("loop")
	for _, a := range acc {
		multiply(x, y, a)
	}
	c.DECQ(n)
	c.JNZ(LabelRef("loop"))
	c.VZEROUPPER()
	c.RET()
}

// tiles generates the loop of AMX, with as many accumulators as products have.
func tiles() {
	const accumulators = 4
	c.Function("peakAMX")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(n int, config *[64]byte)")
	c.Pragma("noescape")
	c.Doc("peakAMX does n times one product of tiles for each of four accumulators.")
	n := c.Load(c.Param("n"), c.GP64())
	emit.Configure(c, Mem{Base: c.Load(c.Param("config"), c.GP64())})
	for t := range accumulators + 4 {
		emit.ZeroTile(c, t)
	}
	c.Label("loop")
	for t := range accumulators {
		emit.MultiplyTiles(c, t, accumulators+t/2, accumulators+2+t%2)
	}
	c.DECQ(n)
	c.JNZ(LabelRef("loop"))
	emit.Release(c)
	c.RET()
}
