package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

func affine(s isa) {
	start(s, "affineRows", "func(dst *float32, ds int, src *float32, ss int, rows int, c int, scale *float32, shift *float32, lo float32)",
		"affineRows"+s.suffix+": dst = max(lo, src·scale + shift).")
	dst, ds, src, ss := emit.Pointer("dst"), emit.Stride("ds"), emit.Pointer("src"), emit.Stride("ss")
	rows, scale, shift := emit.Pointer("rows"), emit.Pointer("scale"), emit.Pointer("shift")
	lo := s.broadcast("lo")
	c := emit.Pointer("c")
	narrow(s, c, 4, func(r row, vectors int) {
		var a, b [4]VecVirtual
		r.unrolled(vectors, func(j, disp int, masked bool) {
			a[j] = r.load(Mem{Base: scale, Disp: disp}, masked)
			b[j] = r.load(Mem{Base: shift, Disp: disp}, masked)
		})
		loop := fmt.Sprintf("narrow%d_row", vectors)
		Label(loop)
		r.unrolled(vectors, func(j, disp int, masked bool) {
			x := r.load(Mem{Base: src, Disp: disp}, masked)
			VFMADD213PS(b[j], a[j], x)
			VMAXPS(x, lo, x) // in this order a NaN of x comes through
			r.store(x, Mem{Base: dst, Disp: disp}, masked)
		})
		ADDQ(ds, dst)
		ADDQ(ss, src)
		DECQ(rows)
		JNZ(LabelRef(loop))
	})
	r := channels(s, c)
	Label("row")
	r.each("c", func(i Register, masked bool) {
		v := r.load(idx(scale, i), masked)
		t := r.load(idx(shift, i), masked)
		x := r.load(idx(src, i), masked)
		VFMADD213PS(t, x, v)
		VMAXPS(v, lo, v)
		r.store(v, idx(dst, i), masked)
	})
	ADDQ(ds, dst)
	ADDQ(ss, src)
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

func grad(s isa) {
	start(s, "gradRows", "func(dst *float32, ds int, d *float32, y *float32, ss int, rows int, c int, a *float32, b *float32, k *float32)",
		"gradRows"+s.suffix+": dst = a·d + b·y + k.")
	dst, ds, d, y, ss := emit.Pointer("dst"), emit.Stride("ds"), emit.Pointer("d"), emit.Pointer("y"), emit.Stride("ss")
	rows, a, b, k := emit.Pointer("rows"), emit.Pointer("a"), emit.Pointer("b"), emit.Pointer("k")
	c := emit.Pointer("c")
	most := 4
	if !s.wide() {
		most = 3
	}
	narrow(s, c, most, func(r row, vectors int) {
		var va, vb, vk [4]VecVirtual
		r.unrolled(vectors, func(j, disp int, masked bool) {
			va[j] = r.load(Mem{Base: a, Disp: disp}, masked)
			vb[j] = r.load(Mem{Base: b, Disp: disp}, masked)
			vk[j] = r.load(Mem{Base: k, Disp: disp}, masked)
		})
		loop := fmt.Sprintf("narrow%d_row", vectors)
		Label(loop)
		r.unrolled(vectors, func(j, disp int, masked bool) {
			v := r.load(Mem{Base: y, Disp: disp}, masked)
			VFMADD213PS(vk[j], vb[j], v)
			u := r.load(Mem{Base: d, Disp: disp}, masked)
			VFMADD231PS(va[j], u, v)
			r.store(v, Mem{Base: dst, Disp: disp}, masked)
		})
		ADDQ(ds, dst)
		ADDQ(ss, d)
		ADDQ(ss, y)
		DECQ(rows)
		JNZ(LabelRef(loop))
	})
	r := channels(s, c)
	Label("row")
	r.each("c", func(i Register, masked bool) {
		v := r.load(idx(k, i), masked)
		vb, vy := r.load(idx(b, i), masked), r.load(idx(y, i), masked)
		VFMADD231PS(vb, vy, v)
		va, vd := r.load(idx(a, i), masked), r.load(idx(d, i), masked)
		VFMADD231PS(va, vd, v)
		r.store(v, idx(dst, i), masked)
	})
	ADDQ(ds, dst)
	ADDQ(ss, d)
	ADDQ(ss, y)
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

func join(s isa) {
	start(s, "joinRows", "func(dst *float32, a *float32, b *float32, rows int, c int, as *float32, at *float32, bs *float32, bt *float32, lo float32, loA float32, loB float32)",
		"joinRows"+s.suffix+": dst = max(lo, max(loA, a·as + at) + max(loB, b·bs + bt)), rows without gaps.")
	dst, a, b := emit.Pointer("dst"), emit.Pointer("a"), emit.Pointer("b")
	rows, as, at, bs, bt := emit.Pointer("rows"), emit.Pointer("as"), emit.Pointer("at"), emit.Pointer("bs"), emit.Pointer("bt")
	lo, loA, loB := s.broadcast("lo"), s.broadcast("loA"), s.broadcast("loB")
	width := emit.Stride("c")
	r := channels(s, emit.Pointer("c"))
	Label("row")
	r.each("c", func(i Register, masked bool) {
		va, vb := r.load(idx(as, i), masked), r.load(idx(bs, i), masked)
		ta, tb := r.load(idx(at, i), masked), r.load(idx(bt, i), masked)
		xa, xb := r.load(idx(a, i), masked), r.load(idx(b, i), masked)
		VFMADD213PS(ta, xa, va)
		VFMADD213PS(tb, xb, vb)
		VMAXPS(va, loA, va)
		VMAXPS(vb, loB, vb)
		VADDPS(vb, va, va)
		VMAXPS(va, lo, va)
		r.store(va, idx(dst, i), masked)
	})
	ADDQ(width, dst)
	ADDQ(width, a)
	ADDQ(width, b)
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

// gather copies segments, of any length, without regard to what they hold.
func gather(s isa) {
	start(s, "gatherRows", "func(dst *float32, ds int, src *float32, step int, pixels int, segments int, skip int, n int)",
		"gatherRows"+s.suffix+": dst[p·ds + g·n + i] = src[p·step + g·skip + i] for p < pixels, g < segments, i < n.")
	dst, ds, src, step := emit.Pointer("dst"), emit.Stride("ds"), emit.Pointer("src"), emit.Stride("step")
	pixels, segments, skip := emit.Pointer("pixels"), emit.Pointer("segments"), emit.Stride("skip")
	n := emit.Pointer("n")
	length := GP64()
	LEAQ(Mem{Base: n, Index: n, Scale: 1}, length)
	SHLQ(Imm(1), length)
	r := channels(s, n)
	from, to, left := GP64(), GP64(), GP64()
	Label("pixel")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(segments, left)
	Label("segment")
	r.each("n", func(i Register, masked bool) {
		r.store(r.load(idx(from, i), masked), idx(to, i), masked)
	})
	ADDQ(skip, from)
	ADDQ(length, to)
	DECQ(left)
	JNZ(LabelRef("segment"))
	ADDQ(step, src)
	ADDQ(ds, dst)
	DECQ(pixels)
	JNZ(LabelRef("pixel"))
	emit.End()
}
