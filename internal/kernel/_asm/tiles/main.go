// Command tiles generates products of bfloat16 with AMX.
package main

import (
	"fmt"
	"strings"

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
	for down := 1; down <= 2; down++ {
		for across := 1; across <= 2; across++ {
			product(down, across)
		}
	}
	emit.Write(c, pass.FunctionPass(emit.Encode))
}

// words are the fields of a tileCall behind the 64 bytes of its configuration, 8 bytes
// each.
var words = strings.Fields(`a b c ars aNext aGroup aTail brs bPanel bTail tail lanes0 lanes1 crs cGroup cPanel
	groups panels runs steps accumulate perStep queue bStep groupsLeft runsLeft bAt cAt`)

// field returns a field of the call.
func field(call reg.Register, name string) Mem {
	for i, w := range words {
		if w == name {
			return Mem{Base: call, Disp: 64 + 8*i}
		}
	}
	panic(name)
}

// Tiles: sums 0 to 3, row by row; then those of a, and those of b.
const tileA, tileB = 4, 6

// product generates a function for sums of down × across tiles.
func product(down, across int) {
	name := fmt.Sprintf("tilesAMX%dx%d", down, across)
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(call *byte)")
	c.Pragma("noescape")
	c.Doc(fmt.Sprintf("%s computes a product whose sums fill %d × %d tiles at a time. It gets the bytes", name, down, across),
		"of a tileCall, which says what it does.")
	call := c.Load(c.Param("call"), c.GP64())
	get := func(field Mem) reg.Register {
		r := c.GP64()
		c.MOVQ(field, r)
		return r
	}
	of := func(name string) Mem { return field(call, name) }
	emit.Configure(c, Mem{Base: call})
	queue := get(of("queue"))
	c.ADDQ(call, queue)
	fetch, left := get(Mem{Base: queue}), get(Mem{Base: queue, Disp: 8})
	ars, brs := get(of("ars")), get(of("brs"))

	put(get(of("b")), of("bAt"))
	put(get(of("c")), of("cAt"))

	c.Label("panel")
	tailRows(of, get, call, brs)
	put(get(of("groups")), of("groupsLeft"))
	rows, sums := get(of("a")), get(of("cAt"))
	c.Label("group")
	start(of, get, sums, down, across)
	a, below, b := c.GP64(), c.GP64(), get(of("bAt"))
	c.MOVQ(rows, a)
	sixteenBelow(down, ars, a, below)
	put(get(of("runs")), of("runsLeft"))
	c.Label("run")
	steps := get(of("steps"))
	c.Label("step")
	step(down, across, a, below, ars, Mem{Base: b, Index: brs, Scale: 1})
	prefetch(of, get, call, fetch, left)
	c.ADDQ(Imm(64), a)
	if down == 2 {
		c.ADDQ(Imm(64), below)
	}
	c.ADDQ(of("bStep"), b)
	c.DECQ(steps)
	c.JNZ(LabelRef("step"))
	c.ADDQ(of("aNext"), a)
	if down == 2 {
		c.ADDQ(of("aNext"), below)
	}
	c.DECQ(of("runsLeft"))
	c.JNZ(LabelRef("run"))

	c.CMPQ(of("tail"), Imm(0))
	c.JEQ(LabelRef("store"))
	c.MOVQ(rows, a)
	c.ADDQ(of("aTail"), a)
	sixteenBelow(down, ars, a, below)
	stride := c.GP64()
	c.MOVQ(U32(128), stride)
	step(down, across, a, below, ars, Mem{Base: spare(call), Index: stride, Scale: 1})

	c.Label("store")
	eachSum(of, get, sums, down, across, func(t int, m Mem) { emit.StoreTile(c, t, m) })
	c.ADDQ(of("aGroup"), rows)
	c.ADDQ(of("cGroup"), sums)
	c.DECQ(of("groupsLeft"))
	c.JNZ(LabelRef("group"))

	for _, advance := range [][2]string{{"bPanel", "bAt"}, {"cPanel", "cAt"}} {
		by := get(of(advance[0]))
		c.ADDQ(by, of(advance[1]))
	}
	c.DECQ(of("panels"))
	c.JNZ(LabelRef("panel"))
	at := get(of("queue"))
	c.ADDQ(call, at)
	put(left, Mem{Base: at, Disp: 8})
	emit.Release(c)
	c.VZEROUPPER()
	c.RET()
}

func put(r reg.Register, field Mem) { c.MOVQ(r, field) }

// spareRows is where the spare rows of a call are.
const spareRows = 560

func spare(call reg.Register) reg.Register {
	r := c.GP64()
	c.LEAQ(Mem{Base: call, Disp: spareRows}, r)
	return r
}

// tailRows copies the rows of b that the last step takes to the end of the spare tile.
// What is before them stays zero.
func tailRows(of func(string) Mem, get func(Mem) reg.Register, call, brs reg.Register) {
	left := get(of("tail"))
	c.TESTQ(left, left)
	c.JEQ(LabelRef("whole"))
	from, to, skip := get(of("bAt")), spare(call), c.GP64()
	c.ADDQ(of("bTail"), from)
	c.MOVQ(left, skip)
	c.NEGQ(skip)
	c.ADDQ(Imm(16), skip)
	c.SHLQ(Imm(7), skip)
	c.ADDQ(skip, to)
	for v, k := range []reg.Register{reg.K1, reg.K2} {
		lanes := get(of(fmt.Sprintf("lanes%d", v)))
		c.KMOVW(lanes.(reg.GPVirtual).As32(), k)
	}
	c.Label("copy")
	for v, k := range []reg.OpmaskPhysical{reg.K1, reg.K2} {
		z := c.ZMM()
		c.VMOVUPS_Z(Mem{Base: from, Disp: 64 * v}, k, z)
		c.VMOVUPS(z, Mem{Base: to, Disp: 64 * v})
	}
	c.ADDQ(brs, from)
	c.ADDQ(Imm(128), to)
	c.DECQ(left)
	c.JNZ(LabelRef("copy"))
	c.Label("whole")
}

// start clears the sums, or loads what they are added to.
func start(of func(string) Mem, get func(Mem) reg.Register, sums reg.Register, down, across int) {
	c.CMPQ(of("accumulate"), Imm(0))
	c.JEQ(LabelRef("zero"))
	eachSum(of, get, sums, down, across, func(t int, m Mem) { emit.LoadTile(c, m, t) })
	c.JMP(LabelRef("sum"))
	c.Label("zero")
	for i := range down {
		for j := range across {
			emit.ZeroTile(c, 2*i+j)
		}
	}
	c.Label("sum")
}

// eachSum visits the tiles of sums with their places.
func eachSum(of func(string) Mem, get func(Mem) reg.Register, sums reg.Register, down, across int,
	visit func(t int, m Mem)) {
	crs, row := get(of("crs")), c.GP64()
	c.MOVQ(sums, row)
	for i := range down {
		for j := range across {
			visit(2*i+j, Mem{Base: row, Index: crs, Scale: 1, Disp: 64 * j})
		}
		if i < down-1 {
			sixteenBelow(2, crs, row, row)
		}
	}
}

// sixteenBelow sets below to the row 16 under at, if there is a second tile down.
func sixteenBelow(down int, stride, at, below reg.Register) {
	if down < 2 {
		return
	}
	far := c.GP64()
	c.MOVQ(stride, far)
	c.SHLQ(Imm(4), far)
	c.ADDQ(at, far)
	c.MOVQ(far, below)
}

// step adds the products of 16 pairs along k.
func step(down, across int, a, below, ars reg.Register, b Mem) {
	for j := range across {
		m := b
		m.Disp = 64 * j
		emit.LoadTile(c, m, tileB+j)
	}
	for i, base := range []reg.Register{a, below}[:down] {
		emit.LoadTile(c, Mem{Base: base, Index: ars, Scale: 1}, tileA+i)
		for j := range across {
			emit.MultiplyTiles(c, 2*i+j, tileA+i, tileB+j)
		}
	}
}

// prefetch fetches the next few lines of the queue, the last of a list first: so how much is
// left says all, and no pointer moves.
func prefetch(of func(string) Mem, get func(Mem) reg.Register, call, fetch, left reg.Register) {
	n := get(of("perStep"))
	c.TESTQ(n, n)
	c.JEQ(LabelRef("fetched"))
	c.Label("fetch")
	c.TESTQ(left, left)
	c.JEQ(LabelRef("next"))
	c.PREFETCHT1(Mem{Base: fetch, Index: left, Scale: 1, Disp: -64})
	c.SUBQ(Imm(64), left)
	c.DECQ(n)
	c.JNZ(LabelRef("fetch"))
	c.JMP(LabelRef("fetched"))
	c.Label("next")
	c.ADDQ(Imm(16), of("queue"))
	queue := get(of("queue"))
	c.ADDQ(call, queue)
	c.MOVQ(Mem{Base: queue}, fetch)
	c.MOVQ(Mem{Base: queue, Disp: 8}, left)
	c.TESTQ(left, left)
	c.JNE(LabelRef("fetch"))
	c.MOVQ(U32(0), of("perStep"))
	c.Label("fetched")
}
