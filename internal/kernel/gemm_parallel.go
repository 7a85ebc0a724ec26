package kernel

import (
	"sync"

	"vicreg/internal/parallel"
)

// workspace is the scratch memory of one piece of a product.
type workspace struct {
	a, b, c []float32
}

// workspaces keeps the scratch memory that no piece is using; the last used,
// and still cached, is the first given out.
var workspaces struct {
	sync.Mutex
	free []*workspace
}

func takeWorkspace() *workspace {
	workspaces.Lock()
	defer workspaces.Unlock()
	n := len(workspaces.free)
	if n == 0 {
		return new(workspace)
	}
	w := workspaces.free[n-1]
	workspaces.free = workspaces.free[:n-1]
	return w
}

func (w *workspace) done() {
	workspaces.Lock()
	workspaces.free = append(workspaces.free, w)
	workspaces.Unlock()
}

func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, n)
	}
	return (*buf)[:n]
}

// gemm cuts c into blocks, by its shape alone, and computes each on one worker.
func gemm(m, n, k int, c, a, b Mat, accumulate bool) {
	if c.Trans {
		m, n, c, a, b = n, m, c.T(), b.T(), a.T()
	}
	// Packing b transposes it if its rows run along k: let that be the smaller
	// operand, at the price of writing c transposed.
	if b.Trans && (a.Trans || m < n) {
		m, n, c, a, b = n, m, c.T(), b.T(), a.T()
	}
	mb, nb := blockShape(m, n, k)
	down := (m + mb - 1) / mb
	across := (n + nb - 1) / nb
	parallel.For(down*across, func(_, piece int) {
		i, j := piece%down*mb, piece/down*nb
		w := takeWorkspace()
		w.product(i, min(mb, m-i), j, min(nb, n-j), k, c, a, b, accumulate)
		w.done()
	})
}

func blockShape(m, n, k int) (mb, nb int) {
	const pieces = 8
	mb, nb = m, min(n, 512)
	for {
		down, across := (m+mb-1)/mb, (n+nb-1)/nb
		if down*across >= pieces || float64(mb)*float64(nb)*float64(k) < 1<<20 {
			return mb, nb
		}
		if mb >= nb {
			mb = (mb + 1) / 2
		} else {
			nb = ((nb+1)/2 + 31) &^ 31
		}
	}
}

// product computes m × n elements of c from row i and column j on.
func (w *workspace) product(i0, m, j0, n, k int, c, a, b Mat, accumulate bool) {
	const rowsOfA = 112
	out, crs := []float32(nil), n
	if c.Trans {
		out = grow(&w.c, m*n)
	} else {
		out, crs = c.Data[i0*c.Stride+j0:], c.Stride
	}
	if k == 0 {
		block(m, n, 0, out, crs, nil, 0, 0, nil, 0, accumulate && !c.Trans)
	}
	for p := 0; p < k; {
		kb := share(k-p, depth)
		pb := grow(&w.b, packedLen(kb, n))
		packB(pb, b.part(p, j0, kb, n))
		for i := 0; i < m; {
			rows := min(rowsOfA, m-i)
			pa := a.part(i0+i, p, rows, kb)
			stride := (pa.Cols+15)&^15 + 16 // an odd number of cache lines, if the block is as wide as depth
			buf := grow(&w.a, stride*pa.Rows)
			for r := range pa.Rows {
				copy(buf[r*stride:][:pa.Cols], pa.Data[r*pa.Stride:])
			}
			ars, aks := stride, 1
			if a.Trans {
				ars, aks = 1, stride
			}
			block(rows, n, kb, out[i*crs:], crs, buf, ars, aks, pb, 0, p > 0 || accumulate && !c.Trans)
			i += rows
		}
		p += kb
	}
	if c.Trans {
		for j := range n {
			col := c.Data[(j0+j)*c.Stride+i0:][:m]
			for i := range col {
				v := out[i*n+j]
				if accumulate {
					v += col[i]
				}
				col[i] = v
			}
		}
	}
}

// part returns rows × cols of what m stands for, from row i and column j on.
func (m Mat) part(i, j, rows, cols int) Mat {
	rs, cs := m.steps()
	m.Data = m.Data[i*rs+j*cs:]
	m.Rows, m.Cols = rows, cols
	if m.Trans {
		m.Rows, m.Cols = cols, rows
	}
	return m
}
