package kernel

// A linear layer is a matrix product over n rows: few rows, and weights that may be too
// large to pack a copy of. It runs on Gemm; loading the input and finishing the result
// are passes of their own.

func (s Conv) linear() bool { return s.H == 1 && s.W == 1 && s.R == 1 && s.S == 1 && s.Pad == 0 }

func linearForward(y []float32, s Conv, src Source, w []float32, sums *Sums) {
	r := sourceReader(src, s.C)
	sharedArena.reset(r.room(s.N))
	x := r.matrix(s.N)
	Gemm(Mat{Data: y, Rows: s.N, Cols: s.K}, x, Mat{Data: w, Rows: s.C, Cols: s.K}, false)
	if sums != nil {
		sumPass(sums, y, s.K)
	}
}

func linearInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	r := gradReader(g, s.K)
	sharedArena.reset(r.room(s.N))
	d := r.matrix(s.N)
	accumulate := f.Add != nil && &f.Add[0] == &dx[0]
	if accumulate {
		f.Add = nil
	}
	Gemm(Mat{Data: dx, Rows: s.N, Cols: s.C}, d, Mat{Data: w, Rows: s.C, Cols: s.K}.T(), accumulate)
	if f.Add != nil || f.Mask.X != nil || f.Sums != nil {
		finishPass(dx, s.C, f)
	}
}

func linearWeightGrad(dw []float32, s Conv, g Grad, src Source) {
	rx, rd := sourceReader(src, s.C), gradReader(g, s.K)
	sharedArena.reset(rx.room(s.N) + rd.room(s.N))
	x, d := rx.matrix(s.N), rd.matrix(s.N)
	Gemm(Mat{Data: dw, Rows: s.C, Cols: s.K}, x.T(), d, true)
}

// room returns how much matrix needs of the shared arena.
func (r *reader) room(rows int) int {
	if r.plain() {
		return 0
	}
	return room(rows * r.c)
}

// matrix returns what r reads, as rows × c: a copy, unless r changes nothing.
func (r *reader) matrix(rows int) Mat {
	m := Mat{Data: r.x, Rows: rows, Cols: r.c}
	if !r.plain() {
		m.Data = sharedArena.take(rows * r.c)
		pass.dst, pass.a = m.Data, *r
		runPass(len(m.Data), r.c, applyPiece)
	}
	return m
}
