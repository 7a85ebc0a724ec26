package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

func sum(s isa) {
	start(s, "sumColumns", "func(dst *float32, ds int, z *float32, zs int, rows int, cols int, sum *float64)",
		": dst = z, sum += z over the rows.")
	each(s, emit.Pointer("cols"), func(label string, w columns) {
		p, q := w.down("z"), w.down("dst")
		sums := w.params("sum")
		rows(label, []Register{p, q}, []Register{emit.Stride("zs"), emit.Stride("ds")}, func() {
			for j := range w.vectors {
				v := w.load(w.at(p, j))
				w.store(v, w.at(q, j))
				VADDPD(s.widen(v), sums[j], sums[j])
			}
		})
		w.putParams(sums, "sum")
	})
	emit.End()
}

func centre(s isa) {
	start(s, "centreColumns", "func(z *float32, zs int, rows int, cols int, mean *float64, square *float64)",
		": z -= mean, square += z² over the rows.")
	each(s, emit.Pointer("cols"), func(label string, w columns) {
		p := w.down("z")
		means, squares := w.params("mean"), w.params("square")
		rows(label, []Register{p}, []Register{emit.Stride("zs")}, func() {
			for j := range w.vectors {
				d := s.widen(w.load(w.at(p, j)))
				VSUBPD(means[j], d, d)
				w.store(s.narrow(d), w.at(p, j))
				VFMADD231PD(d, d, squares[j])
			}
		})
		w.putParams(squares, "square")
	})
	emit.End()
}

func distance(s isa) {
	start(s, "distanceColumns", "func(a *float32, as int, b *float32, bs int, rows int, cols int, lanes *float64)",
		": Σ (a - b)² is added to 8 partial sums.")
	lanes := emit.Pointer("lanes")
	acc := make([]VecVirtual, 8/s.lanes)
	for j := range acc {
		acc[j] = s.doubles()
		VMOVUPD(Mem{Base: lanes, Disp: j * s.lanes * 8}, acc[j])
	}
	for len(acc) < s.group {
		v := s.doubles()
		VXORPD(v, v, v)
		acc = append(acc, v)
	}
	each(s, emit.Pointer("cols"), func(label string, w columns) {
		p, q := w.down("a"), w.down("b")
		rows(label, []Register{p, q}, []Register{emit.Stride("as"), emit.Stride("bs")}, func() {
			for j := range w.vectors {
				d, e := s.widen(w.load(w.at(p, j))), s.widen(w.load(w.at(q, j)))
				VSUBPD(e, d, d)
				VFMADD231PD(d, d, acc[j])
			}
		})
	})
	for n := len(acc) / 2; n >= 8/s.lanes; n /= 2 {
		for j := range n {
			VADDPD(acc[j+n], acc[j], acc[j])
		}
	}
	for j := range 8 / s.lanes {
		VMOVUPD(acc[j], Mem{Base: lanes, Disp: j * s.lanes * 8})
	}
	emit.End()
}

func grad(s isa) {
	start(s, "gradColumns", "func(dst *float32, ds int, c *float32, cs int, a *float32, b *float32, zs int, rows int, cols int, mean *float64, coef *float32, beta float32)",
		": c = a - mean, dst = coef·c + beta·(a - b).")
	beta := s.floats()
	m, err := Param("beta").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, beta)
	each(s, emit.Pointer("cols"), func(label string, w columns) {
		means := w.params("mean")
		coef := emit.Pointer("coef")
		coefs := w.all(func(j int) VecVirtual {
			return w.load(Mem{Base: coef, Index: w.i, Scale: 1, Disp: j * w.lanes * 4})
		})
		p, q, out, centred := w.down("a"), w.down("b"), w.down("dst"), w.down("c")
		zs := emit.Stride("zs")
		rows(label, []Register{p, q, out, centred}, []Register{zs, zs, emit.Stride("ds"), emit.Stride("cs")}, func() {
			for j := range w.vectors {
				v, other := w.load(w.at(p, j)), w.load(w.at(q, j))
				d := s.widen(v)
				VSUBPD(means[j], d, d)
				x := s.narrow(d)
				w.store(x, w.at(centred, j))
				VSUBPS(other, v, v)
				VMULPS(beta, v, v)
				VFMADD231PS(coefs[j], x, v)
				w.store(v, w.at(out, j))
			}
		})
	})
	emit.End()
}

// put generates a copy of rows past the caches. It is bound by memory, so one
// instruction set serves.
func put() {
	emit.Start("putRowsAVX2", "func(dst *float32, ds int, src *float32, ss int, rows int, lines int)",
		"putRowsAVX2: dst = src past the caches, rows of lines of 16 floats, ds and ss floats apart; dst is aligned to 64 bytes.")
	dst, src := emit.Pointer("dst"), emit.Pointer("src")
	ds, ss := emit.Stride("ds"), emit.Stride("ss")
	left, lines := emit.Pointer("rows"), emit.Pointer("lines")
	from, to, n := GP64(), GP64(), GP64()
	Label("row")
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(lines, n)
	Label("line")
	for at := 0; at < 64; at += 32 {
		v := YMM()
		VMOVUPS(Mem{Base: from, Disp: at}, v)
		VMOVNTPS(v, Mem{Base: to, Disp: at})
	}
	ADDQ(Imm(64), from)
	ADDQ(Imm(64), to)
	DECQ(n)
	JNZ(LabelRef("line"))
	ADDQ(ss, src)
	ADDQ(ds, dst)
	DECQ(left)
	JNZ(LabelRef("row"))
	SFENCE()
	emit.End()
}
