package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// Passes over long vectors: one row of n channels.

func axpy(s isa) {
	start(s, "axpy", "func(y *float32, a float32, x *float32, n int)", "axpy"+s.suffix+": y += a·x.")
	y, x := emit.Pointer("y"), emit.Pointer("x")
	a := s.broadcast("a")
	r := channels(s, emit.Pointer("n"))
	r.each("n", func(i Register, masked bool) {
		v, u := r.load(idx(x, i), masked), r.load(idx(y, i), masked)
		VFMADD231PS(v, a, u)
		r.store(u, idx(y, i), masked)
	})
	emit.End()
}

func scale(s isa) {
	start(s, "scale", "func(x *float32, a float32, n int)", "scale"+s.suffix+": x *= a.")
	x := emit.Pointer("x")
	a := s.broadcast("a")
	r := channels(s, emit.Pointer("n"))
	r.each("n", func(i Register, masked bool) {
		v := r.load(idx(x, i), masked)
		VMULPS(a, v, v)
		r.store(v, idx(x, i), masked)
	})
	emit.End()
}

func dot(s isa) {
	start(s, "dot", "func(a *float32, b *float32, n int, lanes *float32)",
		"dot"+s.suffix+" leaves Σ a·b in 16 partial sums.")
	a, b := emit.Pointer("a"), emit.Pointer("b")
	r := channels(s, emit.Pointer("n"))
	const unroll = 4
	var acc []VecVirtual
	for range unroll {
		v := s.vec()
		VXORPS(v, v, v)
		acc = append(acc, v)
	}
	i, next := GP64(), GP64()
	XORQ(i, i)
	Label("many")
	LEAQ(Mem{Base: i, Disp: unroll * s.bytes}, next)
	CMPQ(next, r.full)
	JA(LabelRef("few"))
	for u := range unroll {
		v := r.load(Mem{Base: a, Index: i, Scale: 1, Disp: u * s.bytes}, false)
		VFMADD231PS(Mem{Base: b, Index: i, Scale: 1, Disp: u * s.bytes}, v, acc[u])
	}
	MOVQ(next, i)
	JMP(LabelRef("many"))
	Label("few")
	CMPQ(i, r.full)
	JAE(LabelRef("tail"))
	v := r.load(idx(a, i), false)
	VFMADD231PS(idx(b, i), v, acc[0])
	ADDQ(Imm(uint64(s.bytes)), i)
	JMP(LabelRef("few"))
	Label("tail")
	TESTQ(r.rest, r.rest)
	JZ(LabelRef("write"))
	va, vb := r.load(idx(a, i), true), r.load(idx(b, i), true)
	VFMADD231PS(va, vb, acc[1])
	Label("write")
	lanes := emit.Pointer("lanes")
	VADDPS(acc[2], acc[0], acc[0])
	VADDPS(acc[3], acc[1], acc[1])
	if s.wide() {
		VADDPS(acc[1], acc[0], acc[0])
		VMOVUPS(acc[0], Mem{Base: lanes})
	} else {
		VMOVUPS(acc[0], Mem{Base: lanes})
		VMOVUPS(acc[1], Mem{Base: lanes, Disp: 32})
	}
	emit.End()
}

func momentum(s isa) {
	start(s, "momentum", "func(w *float32, m *float32, grad *float32, n int, lr float32, momentum float32, weightDecay float32, scale float32)",
		"momentum"+s.suffix+": m = momentum·m + scale·(g + weightDecay·w), w -= lr·m.")
	w, m, g := emit.Pointer("w"), emit.Pointer("m"), emit.Pointer("grad")
	lr, mu, wd, sc := s.broadcast("lr"), s.broadcast("momentum"), s.broadcast("weightDecay"), s.broadcast("scale")
	r := channels(s, emit.Pointer("n"))
	r.each("n", func(i Register, masked bool) {
		vw, vm, vg := r.load(idx(w, i), masked), r.load(idx(m, i), masked), r.load(idx(g, i), masked)
		VFMADD231PS(wd, vw, vg)
		VMULPS(mu, vm, vm)
		VFMADD231PS(sc, vg, vm)
		VFNMADD231PS(lr, vm, vw)
		r.store(vm, idx(m, i), masked)
		r.store(vw, idx(w, i), masked)
	})
	emit.End()
}

func adam(s isa) {
	start(s, "adam", "func(w *float32, m *float32, v *float32, grad *float32, n int, a *[8]float32)",
		"adam"+s.suffix+": m = beta1·m + rest1·g, v = beta2·v + rest2·g², w = keep·w - rate·m/(√v·rootScale + eps).")
	w, m, v, g, a := emit.Pointer("w"), emit.Pointer("m"), emit.Pointer("v"), emit.Pointer("grad"), emit.Pointer("a")
	field := func(n int) VecVirtual {
		x := s.vec()
		VBROADCASTSS(Mem{Base: a, Disp: 4 * n}, x)
		return x
	}
	beta1, rest1, beta2, rest2 := field(0), field(1), field(2), field(3)
	keep, rate, rootScale, eps := field(4), field(5), field(6), field(7)
	r := channels(s, emit.Pointer("n"))
	r.each("n", func(i Register, masked bool) {
		vm, vv, vg, vw := r.load(idx(m, i), masked), r.load(idx(v, i), masked), r.load(idx(g, i), masked),
			r.load(idx(w, i), masked)
		VMULPS(beta1, vm, vm)
		VFMADD231PS(rest1, vg, vm)
		r.store(vm, idx(m, i), masked)
		VMULPS(vg, vg, vg)
		VMULPS(beta2, vv, vv)
		VFMADD231PS(rest2, vg, vv)
		r.store(vv, idx(v, i), masked)
		VSQRTPS(vv, vv)
		VFMADD213PS(eps, rootScale, vv)
		VMULPS(rate, vm, vm)
		VDIVPS(vv, vm, vm)
		VMULPS(keep, vw, vw)
		VSUBPS(vm, vw, vw)
		r.store(vw, idx(w, i), masked)
	})
	emit.End()
}
