package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// geluOf returns max(u, 0) − |u|·Φ(−|u|).
func (s isa) geluOf(u, size, q VecVirtual) VecVirtual {
	v := s.zero()
	VMAXPS(u, v, v)
	VFNMADD231PS(size, q, v)
	return v
}

func gelu(s isa) {
	start(s, "geluRow", "func(dst *float32, u *float32, n int)", ": dst = u·Φ(u).")
	dst, p := emit.Pointer("dst"), emit.Pointer("u")
	elements(s).each("n", func(a at) {
		u := a.load(p)
		size, q, _ := s.tail(u)
		a.store(s.geluOf(u, size, q), dst)
	})
	emit.End()
}

func geluGrad(s isa) {
	start(s, "geluGradRow", "func(dst *float32, d *float32, u *float32, n int)", ": dst = d·(Φ(u) + u·φ(u)), u = u·Φ(u).")
	dst, d, p := emit.Pointer("dst"), emit.Pointer("d"), emit.Pointer("u")
	elements(s).each("n", func(a at) {
		u := a.load(p)
		size, q, e := s.tail(u)
		a.store(s.geluOf(u, size, q), p)
		// Φ(u) = 1/2 ± (1/2 − Φ(−|u|)), with the sign of u
		slope, sign := s.vec(), s.vec()
		VMOVUPS(constant(0.5), slope)
		VSUBPS(q, slope, slope)
		VANDPS(pattern(0x80000000), u, sign)
		VORPS(sign, slope, slope)
		VADDPS(constant(0.5), slope, slope)
		VMULPS(constant(0.3989422804), u, u)
		VFMADD231PS(e, u, slope)
		VMULPS(a.load(d), slope, slope)
		a.store(slope, dst)
	})
	emit.End()
}

func softmax(s isa) {
	start(s, "softmaxRow", "func(x *float32, n int, scale float32, peak *float32, sum *float32)",
		": peak = max(x), x = exp(scale·(x − peak)), sum = Σ x.")
	p := emit.Pointer("x")
	r := elements(s)
	most := s.vec()
	VBROADCASTSS(Mem{Base: p}, most)
	r.each("max", func(a at) {
		v := a.load(p)
		a.instead(v, most)
		VMAXPS(v, most, most)
	})
	top := s.largest(most)
	VMOVSS(top, Mem{Base: emit.Pointer("peak")})
	peak, scale, sum := s.spread(top), s.broadcast("scale"), s.zero()
	r.each("exp", func(a at) {
		v := a.load(p)
		VSUBPS(peak, v, v)
		VMULPS(scale, v, v)
		s.exp(v)
		a.store(v, p)
		a.zeroed(v)
		VADDPS(v, sum, sum)
	})
	VMOVSS(s.sum(sum), Mem{Base: emit.Pointer("sum")})
	emit.End()
}

func softmaxGrad(s isa) {
	start(s, "softmaxGradRow", "func(x *float32, d *float32, n int, scale float32, lse float32, dot float32)",
		": x = exp(scale·x − lse), d = scale·x·(d − dot).")
	p, q := emit.Pointer("x"), emit.Pointer("d")
	r := elements(s)
	scale, lse, dot := s.broadcast("scale"), s.broadcast("lse"), s.broadcast("dot")
	r.each("n", func(a at) {
		v, d := a.load(p), a.load(q)
		VMULPS(scale, v, v) // rounded, as it was for lse
		VSUBPS(lse, v, v)
		s.exp(v)
		a.store(v, p)
		VSUBPS(dot, d, d)
		VMULPS(scale, v, v)
		VMULPS(v, d, d)
		a.store(d, q)
	})
	emit.End()
}

func norm(s isa) {
	start(s, "normRow", "func(dst *float32, x *float32, n int, gamma *float32, beta *float32, inverse float32, eps float32, mean *float32, rstd *float32)",
		": dst = γ·(x − mean)·rstd + β, and the statistics; inverse is 1/n.")
	dst, p, gamma, beta := emit.Pointer("dst"), emit.Pointer("x"), emit.Pointer("gamma"), emit.Pointer("beta")
	r := elements(s)
	total := s.zero()
	r.each("sum", func(a at) { VADDPS(a.load(p), total, total) })
	m := s.sum(total)
	inverse := Load(Param("inverse"), XMM())
	VMULSS(inverse, m, m)
	VMOVSS(m, Mem{Base: emit.Pointer("mean")})
	mean, squares := s.spread(m), s.zero()
	r.each("square", func(a at) {
		v := a.load(p)
		VSUBPS(mean, v, v)
		a.zeroed(v)
		VFMADD231PS(v, v, squares)
	})
	v := s.sum(squares)
	inverse = Load(Param("inverse"), XMM())
	VMULSS(inverse, v, v)
	eps := Load(Param("eps"), XMM())
	VADDSS(eps, v, v)
	VSQRTSS(v, v, v)
	one := XMM()
	VMOVSS(constant(1), one)
	VDIVSS(v, one, one)
	VMOVSS(one, Mem{Base: emit.Pointer("rstd")})
	rstd := s.spread(one)
	r.each("write", func(a at) {
		v := a.load(p)
		VSUBPS(mean, v, v)
		VMULPS(rstd, v, v)
		b := a.load(beta)
		VFMADD231PS(a.load(gamma), v, b)
		a.store(b, dst)
	})
	emit.End()
}

func normGrad(s isa) {
	start(s, "normGradRow", "func(dst *float32, add *float32, d *float32, x *float32, n int, gamma *float32, beta *float32, dGamma *float32, dBeta *float32, inverse float32, mean float32, rstd float32)",
		": dst = add + the gradient of x, dγ += d·x̂, dβ += d, x = γ·x̂ + β; inverse is 1/n.")
	dst, add, d, p := emit.Pointer("dst"), emit.Pointer("add"), emit.Pointer("d"), emit.Pointer("x")
	gamma := emit.Pointer("gamma")
	r := elements(s)
	mean, rstd, sum, dot := s.broadcast("mean"), s.broadcast("rstd"), s.zero(), s.zero()
	hat := func(a at) VecVirtual {
		v := a.load(p)
		VSUBPS(mean, v, v)
		VMULPS(rstd, v, v)
		return v
	}
	dGamma, dBeta := emit.Pointer("dGamma"), emit.Pointer("dBeta")
	r.each("sums", func(a at) {
		h, g := hat(a), a.load(d)
		v := a.load(dBeta)
		VADDPS(g, v, v)
		a.store(v, dBeta)
		v = a.load(dGamma)
		VFMADD231PS(g, h, v)
		a.store(v, dGamma)
		VMULPS(a.load(gamma), g, g)
		VADDPS(g, sum, sum)
		VFMADD231PS(g, h, dot)
	})
	means := make([]VecVirtual, 2)
	for i, v := range []VecVirtual{sum, dot} {
		x := s.sum(v)
		inverse := Load(Param("inverse"), XMM())
		VMULSS(inverse, x, x)
		means[i] = s.spread(x)
	}
	beta := emit.Pointer("beta")
	r.each("write", func(a at) {
		h, g, scale := hat(a), a.load(d), a.load(gamma)
		VMULPS(scale, g, g)
		VSUBPS(means[0], g, g)
		VFNMADD231PS(means[1], h, g)
		out := a.load(add)
		VFMADD231PS(rstd, g, out)
		a.store(out, dst)
		b := a.load(beta)
		VFMADD231PS(scale, h, b)
		a.store(b, p)
	})
	emit.End()
}

// fill writes the constants while their table is being made: a table takes no
// more once functions have begun.
func fill() {
	for _, v := range append([]float32{
		-87.3365, 3 << 22, 1.44269504, 0.693359375, -2.12194440e-4,
		1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1,
		-0.5, 0.27, 0.5, 0.3989422804,
	}, normalTail...) {
		constant(v)
	}
	pattern(0x7fffffff)
	pattern(0x80000000)
	sealed = true
}
