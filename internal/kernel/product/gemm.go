// Package product multiplies matrices: Gemm on all workers, block products on the calling one.
package product

import "fmt"

//go:generate go -C ../_asm run ./gemm -out ../product/gemm_amd64.s -stubs ../product/gemm_stubs_amd64.go -pkg product

// Mat is a row-major matrix: Rows × Cols as stored, rows Stride elements apart (0 means
// Cols). With Trans a product uses its transpose.
type Mat struct {
	Data       []float32
	Rows, Cols int
	Stride     int
	Trans      bool
}

// T returns the transpose of m, over the same data.
func (m Mat) T() Mat {
	m.Trans = !m.Trans
	return m
}

// Dims returns the size of the matrix, transposed if m.Trans.
func (m Mat) Dims() (rows, cols int) {
	if m.Trans {
		return m.Cols, m.Rows
	}
	return m.Rows, m.Cols
}

// steps returns the distance between rows and between columns of the matrix, transposed
// if m.Trans: element (i, j) is Data[i*rs+j*cs].
func (m Mat) steps() (rs, cs int) {
	if m.Trans {
		return 1, m.Stride
	}
	return m.Stride, 1
}

// part returns a block of rows × cols, from row i and column j on, of the matrix,
// transposed if m.Trans.
func (m Mat) part(i, j, rows, cols int) Mat {
	rs, cs := m.steps()
	m.Data = m.Data[i*rs+j*cs:]
	m.Rows, m.Cols = rows, cols
	if m.Trans {
		m.Rows, m.Cols = cols, rows
	}
	return m
}

// Checked fills in the stride and panics if the data do not hold the matrix.
func (m Mat) Checked(name string) Mat {
	if m.Stride == 0 {
		m.Stride = m.Cols
	}
	if m.Rows < 0 || m.Cols < 0 || m.Stride < m.Cols {
		panic(fmt.Sprintf("kernel: matrix %s has %d rows, %d columns and stride %d", name, m.Rows, m.Cols, m.Stride))
	}
	if m.Rows > 0 && m.Cols > 0 && len(m.Data) < (m.Rows-1)*m.Stride+m.Cols {
		panic(fmt.Sprintf("kernel: matrix %s of %d rows, %d columns and stride %d does not fit %d elements",
			name, m.Rows, m.Cols, m.Stride, len(m.Data)))
	}
	return m
}

// Gemm computes c = a·b, or c += a·b if accumulate. It runs on all workers and
// gives the same bits for any number of them. c must not overlap a or b.
func Gemm(c, a, b Mat, accumulate bool) { gemm(c, a, b, accumulate, false) }

// GemmPairs is Gemm with its operands rounded to bfloat16. Sums are float32.
func GemmPairs(c, a, b Mat, accumulate bool) { gemm(c, a, b, accumulate, true) }

func gemm(c, a, b Mat, accumulate, pairs bool) {
	c, a, b = c.Checked("c"), a.Checked("a"), b.Checked("b")
	m, n := c.Dims()
	am, k := a.Dims()
	bk, bn := b.Dims()
	if am != m || bk != k || bn != n {
		panic(fmt.Sprintf("kernel: product of %d × %d and %d × %d does not give %d × %d", am, k, bk, bn, m, n))
	}
	if k == 0 && !accumulate {
		for i := range c.Rows {
			clear(c.Data[i*c.Stride:][:c.Cols])
		}
	}
	if m == 0 || n == 0 || k == 0 {
		return
	}
	if c.Trans {
		m, n, c, a, b = n, m, c.T(), b.T(), a.T()
	}
	// If rows of b run along k, packing transposes it. Let that be the smaller operand,
	// at the price of writing c transposed.
	if b.Trans && (a.Trans || m < n) {
		m, n, c, a, b = n, m, c.T(), b.T(), a.T()
	}
	g := products.take()
	defer products.put(g)
	g.m, g.n, g.k, g.c, g.a, g.b, g.accumulate = m, n, k, c, a, b, accumulate
	if pairs {
		g.runPairs()
		return
	}
	g.run()
}
