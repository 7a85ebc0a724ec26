// Package emit holds what the generators have in common: the register tiles of
// matrix products, and the start, masks and end of passes along rows.
package emit

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Tile is a register tile of a matrix product: rows of registers that gather
// the products of elements of a and rows of b.
type Tile struct {
	Name      string
	Signature string // parameters rows, k, a, ars, aks, b, bks, c, crs, accumulate
	Doc       []string
	MaxRows   int
	Vectors   int // registers across
	Bytes     int // of a register
	Register  func() reg.VecVirtual
	Zero      func(acc reg.VecVirtual)
	// MultiplyAdd adds the products of one element of a and a register of b. The element is
	// in all places of a register or, where there is one register across, in memory.
	MultiplyAdd func(a Op, b, acc reg.VecVirtual)
	// Ahead says that there is a parameter ahead: the distance from the rows of b
	// to what is fetched meanwhile.
	Ahead bool
	Empty bool // k may be 0
	// Many says that there are parameters count, how many tiles to compute below
	// each other, and fetches, how many of them fetch ahead.
	Many bool
	// Reach fetches what the end will touch; otherwise that is c.
	Reach func(rows int, label func(string) string)
	// End makes something of the sums and returns; otherwise they go to c.
	End func(acc [][]reg.VecVirtual, label func(string) string)
}

// Emit generates a function with one section for each number of rows.
func (t Tile) Emit(c *build.Context) {
	c.Function(t.Name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr(t.Signature)
	c.Pragma("noescape")
	c.Doc(t.Doc...)
	rows := c.Load(c.Param("rows"), c.GP64())
	for n := t.MaxRows; n > 1; n-- {
		c.CMPQ(rows, Imm(uint64(n)))
		c.JEQ(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	for n := 1; n <= t.MaxRows; n++ {
		c.Label(fmt.Sprintf("rows%d", n))
		t.section(c, n)
	}
}

// section generates the code for a fixed number of rows.
func (t Tile) section(c *build.Context, rows int) {
	label := func(name string) string { return fmt.Sprintf("%s%d", name, rows) }
	if t.Many {
		c.Label(label("tile"))
	}
	k := c.Load(c.Param("k"), c.GP64())
	b := c.Load(c.Param("b"), c.GP64())
	bks := c.Load(c.Param("bks"), c.GP64())
	var ahead reg.Register
	if t.Ahead {
		ahead = c.Load(c.Param("ahead"), c.GP64())
	}
	row, step := pointers(c, rows)
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		for range t.Vectors {
			z := t.Register()
			t.Zero(z)
			acc[i] = append(acc[i], z)
		}
	}
	if t.Reach != nil {
		t.Reach(rows, label)
	} else {
		Fetch(c, "c", "crs", rows, t.Vectors*t.Bytes) // c will be there when the sums are
	}
	if t.Empty {
		c.TESTQ(k, k)
		c.JLE(LabelRef(label("sum")))
	}

	c.Label(label("loop"))
	bv := make([]reg.VecVirtual, t.Vectors)
	for v := range bv {
		bv[v] = t.Register()
		c.VMOVUPS(Mem{Base: b, Disp: t.Bytes * v}, bv[v])
	}
	if t.Ahead {
		for at := 0; at < t.Vectors*t.Bytes; at += 64 {
			c.PREFETCHT1(Mem{Base: b, Index: ahead, Scale: 1, Disp: at})
		}
	}
	c.ADDQ(bks, b)
	for i := range rows {
		var a Op = row[i]
		if t.Vectors > 1 { // loaded once for all of them
			x := t.Register()
			c.VBROADCASTSS(a, x)
			a = x
		}
		for v := range bv {
			t.MultiplyAdd(a, bv[v], acc[i][v])
		}
	}
	step()
	c.DECQ(k)
	c.JNZ(LabelRef(label("loop")))

	if t.Empty {
		c.Label(label("sum"))
	}
	to := c.Load(c.Param("c"), c.GP64())
	crs := c.Load(c.Param("crs"), c.GP64())
	accumulate := c.GP8()
	c.Load(c.Param("accumulate"), accumulate)
	c.TESTB(accumulate, accumulate)
	c.JZ(LabelRef(label("store")))
	from := c.GP64()
	c.MOVQ(to, from)
	for i := range rows {
		for v := range t.Vectors {
			c.VADDPS(Mem{Base: from, Disp: t.Bytes * v}, acc[i][v], acc[i][v])
		}
		if i < rows-1 {
			c.ADDQ(crs, from)
		}
	}

	c.Label(label("store"))
	if t.End != nil {
		t.End(acc, label)
		return
	}
	for i := range rows {
		for v := range t.Vectors {
			c.VMOVUPS(acc[i][v], Mem{Base: to, Disp: t.Bytes * v})
		}
		if i < rows-1 {
			c.ADDQ(crs, to)
		}
	}
	if t.Many {
		c.ADDQ(crs, to)
		c.MOVQ(to, place(c, "c"))
		t.next(c, rows, label)
	}
	c.VZEROUPPER()
	c.RET()
}

// Fetch fetches rows of some bytes; the parameters are their place and how far apart they lie.
func Fetch(c *build.Context, at, apart string, rows, bytes int) {
	from, step := c.Load(c.Param(at), c.GP64()), c.Load(c.Param(apart), c.GP64())
	for i := range rows {
		for k := 0; k < bytes; k += 64 {
			c.PREFETCHT0(Mem{Base: from, Disp: k})
		}
		if i < rows-1 {
			c.ADDQ(step, from)
		}
	}
}

// place returns where a parameter lies.
func place(c *build.Context, name string) Mem {
	p, err := c.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// next steps to the tile below, if there is one: its rows of a, and what to fetch.
func (t Tile) next(c *build.Context, rows int, label func(string) string) {
	c.DECQ(place(c, "count"))
	c.JZ(LabelRef(label("done")))
	step, zero := c.Load(c.Param("ars"), c.GP64()), c.GP64()
	c.IMUL3Q(Imm(uint64(rows)), step, step)
	c.ADDQ(step, place(c, "a"))
	ahead, bks := c.Load(c.Param("k"), c.GP64()), c.Load(c.Param("bks"), c.GP64())
	c.IMULQ(bks, ahead)
	c.ADDQ(place(c, "ahead"), ahead)
	c.XORQ(zero, zero)
	c.DECQ(place(c, "fetches"))
	c.CMOVQLE(zero, ahead)
	c.MOVQ(ahead, place(c, "ahead"))
	c.JMP(LabelRef(label("tile")))

	c.Label(label("done"))
}

// group is the number of rows addressed from one pointer: x86 multiplies an
// index register by 1, 2 or 4, and a second one holds 3·ars.
const group = 5

// pointers returns the operands of a's rows and a function that steps them to
// the next k.
func pointers(c *build.Context, rows int) (row []Mem, step func()) {
	a := c.Load(c.Param("a"), c.GP64())
	aks := c.Load(c.Param("aks"), c.GP64())
	ars, ars3, ars5 := c.GP64(), c.GP64(), c.GP64()
	if rows > 1 {
		c.Load(c.Param("ars"), ars)
	}
	if rows > 3 {
		c.LEAQ(Mem{Base: ars, Index: ars, Scale: 2}, ars3)
	}
	if rows > group {
		c.LEAQ(Mem{Base: ars, Index: ars, Scale: 4}, ars5)
	}
	base := []reg.Register{a}
	for i := range rows {
		if i > 0 && i%group == 0 {
			next := c.GP64()
			c.LEAQ(Mem{Base: base[len(base)-1], Index: ars5, Scale: 1}, next)
			base = append(base, next)
		}
		m := Mem{Base: base[len(base)-1]}
		switch i % group {
		case 1, 2, 4:
			m.Index, m.Scale = ars, uint8(i%group)
		case 3:
			m.Index, m.Scale = ars3, 1
		}
		row = append(row, m)
	}
	return row, func() {
		for _, r := range base {
			c.ADDQ(aks, r)
		}
	}
}
