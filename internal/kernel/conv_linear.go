package kernel

// A linear layer is a matrix product over n rows: few rows, and weights that may be too
// large to pack a copy of. It runs on Gemm; loading the input and finishing the result
// are passes of their own.

func linear(s Conv) bool { return s.H == 1 && s.W == 1 && s.R == 1 && s.S == 1 && s.Pad == 0 }

func linearForward(y []float32, s Conv, src Source, w []float32, sums *Sums) {
	r := sourceReader(src, s.C)
	sharedArena.reset(matrixRoom(&r, s.N))
	x := matrix(&r, s.N)
	Gemm(Mat{Data: y, Rows: s.N, Cols: s.K}, x, Mat{Data: w, Rows: s.C, Cols: s.K}, false)
	if sums != nil {
		sumPass(sums, y, s.K)
	}
}

func linearInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	r := gradReader(g, s.K)
	sharedArena.reset(matrixRoom(&r, s.N))
	d := matrix(&r, s.N)
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
	sharedArena.reset(matrixRoom(&rx, s.N) + matrixRoom(&rd, s.N))
	x, d := matrix(&rx, s.N), matrix(&rd, s.N)
	Gemm(Mat{Data: dw, Rows: s.C, Cols: s.K}, x.T(), d, true)
}

// matrixRoom returns how much matrix needs of the shared arena.
func matrixRoom(r *reader, rows int) int {
	if r.plain() {
		return 0
	}
	return room(rows * r.c)
}

// matrix returns what r reads, as rows × c: a copy, unless r changes nothing.
func matrix(r *reader, rows int) Mat {
	m := Mat{Data: r.x, Rows: rows, Cols: r.c}
	if !r.plain() {
		m.Data = sharedArena.take(rows * r.c)
		applyTo(m.Data, *r)
	}
	return m
}
