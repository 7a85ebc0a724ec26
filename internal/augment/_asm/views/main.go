// Command views generates the passes over pixels that views are made of, for
// AVX2. The loop that each stands for is its twin's in ../passes_plain.go.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	interleave()
	split()
	weigh()
	box()
	substitute()
	lumaSum()
	grey()
	saturate()
	hue()
	Generate()
}

func start(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

func end() {
	VZEROUPPER()
	RET()
}

func arg(name string) Register { return Load(Param(name), GP64()) }

// broadcast fills a vector with a parameter of four bytes.
func broadcast(name string) VecVirtual {
	a, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(a.Addr, v)
	return v
}

// dwords are a constant of eight values, or one repeated.
func dwords(name string, values ...uint32) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(values[i%len(values)]))
	}
	return m
}

// none in a shuffle makes a zero.
const none = 0x80

// lanes are a constant of two times sixteen bytes.
func lanes(name string, low, high [16]uint8) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i, v := range append(low[:], high[:]...) {
		DATA(i, U8(v))
	}
	return m
}

// same are sixteen bytes, twice.
func same(name string, v [16]uint8) Mem { return lanes(name, v, v) }

// at is the place of an element behind a pointer.
func at(base Register, disp int) Mem { return Mem{Base: base, Disp: disp} }

func zero() VecVirtual {
	v := YMM()
	VPXOR(v, v, v)
	return v
}
