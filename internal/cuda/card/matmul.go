//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// productKey is everything that the choice of an algorithm depends on.
type productKey struct {
	m, n, k, batch                   int
	strideA, strideB, strideC        int
	stepA, stepB, stepC              int
	alignA, alignB, alignC           uint8
	in, out                          device.Type
	transA, transB, accumulate, tf32 bool
	bias, add                        bool
}

// product is a product as cuBLASLt knows it. It sees matrices in columns, so that a
// row-major one is its transpose: it computes Cᵀ = Bᵀ·Aᵀ, with B first.
type product struct {
	desc              uintptr
	first, second, to uintptr // layouts of B, A and C
	algo              *algo
	workspace         int
}

// algo is cublasLtMatmulAlgo_t.
type algo [8]uint64

// heuristic is cublasLtMatmulHeuristicResult_t.
type heuristic struct {
	algo      algo
	workspace uintptr
	state     int32
	_         float32 // waves
	_         [4]int32
}

const (
	heuristicsMost = 8        // algorithms that are asked for
	blasWorkspace  = 64 << 20 // bytes, the most that one may use
)

func keyOf(m *cuda.Matmul) productKey {
	k := productKey{
		m: m.M, n: m.N, k: m.K, batch: max(m.Batch, 1), strideA: m.A.Stride, strideB: m.B.Stride, strideC: m.C.Stride,
		alignA: alignment(m.A.Addr), alignB: alignment(m.B.Addr), alignC: alignment(m.C.Addr),
		in: m.A.Type, out: m.C.Type, transA: m.A.Trans, transB: m.B.Trans, accumulate: m.Accumulate,
		tf32: m.TF32 && m.A.Type == device.Float32, bias: m.Bias != 0, add: m.Add != 0,
	}
	if k.batch > 1 {
		k.stepA, k.stepB, k.stepC = m.A.Step, m.B.Step, m.C.Step
	}
	return k
}

// alignment is the largest power of two that divides an address, up to 16: no more is
// ever asked for.
func alignment(addr uintptr) uint8 {
	a := uint8(16)
	for addr%uintptr(a) != 0 {
		a /= 2
	}
	return a
}

func (k productKey) String() string {
	s := fmt.Sprintf("%d × %d by %d × %d", k.m, k.k, k.k, k.n)
	if k.transA {
		s += ", first transposed"
	}
	if k.transB {
		s += ", second transposed"
	}
	if k.batch > 1 {
		s += fmt.Sprintf(", %d at once", k.batch)
	}
	s += fmt.Sprintf(", %s to %s", k.in, k.out)
	if k.tf32 {
		s += " by TF32"
	}
	if k.accumulate {
		s += ", added"
	}
	if k.bias {
		s += ", with a bias"
	}
	if k.add {
		s += ", with a sum"
	}
	return s
}

// Matmul queues a product.
func (d *driver) Matmul(m *cuda.Matmul) error {
	if m.M == 0 || m.N == 0 || m.K == 0 {
		panic(fmt.Sprintf("card: a product of %d × %d by %d × %d", m.M, m.K, m.K, m.N))
	}
	if m.A.Type != m.B.Type || m.A.Type == device.Float32 && m.C.Type != device.Float32 {
		panic(fmt.Sprintf("card: a product of %s by %s to %s", m.A.Type, m.B.Type, m.C.Type))
	}
	if (m.Bias != 0 || m.Add != 0) && (m.Batch > 1 || m.Accumulate) || m.Bias%16 != 0 || m.Add%16 != 0 {
		panic("card: a product with a bias or a sum that it cannot have")
	}
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	key := keyOf(m)
	p := d.products[key]
	if p == nil {
		var err error
		if p, err = d.newProduct(key); err != nil {
			return err
		}
		d.products[key] = p
	}
	if r := d.multiply(p, p.algo, m, m.C.Addr); r != 0 {
		return d.blasFailed(r, key)
	}
	return nil
}

// multiply queues a product with an algorithm, and returns cuBLASLt's status.
func (d *driver) multiply(p *product, a *algo, m *cuda.Matmul, to uintptr) int {
	s := d.s
	beta, from := &s.zero, to
	if m.Accumulate {
		beta = &s.one
	}
	if m.Add != 0 {
		beta, from = &s.one, m.Add
	}
	if m.Bias != 0 {
		s.word = m.Bias
		if r := d.blas.CublasLtMatmulDescSetAttribute.Call(p.desc, descBiasPointer, at(&s.word), 8); r != 0 {
			return r
		}
	}
	return d.blas.CublasLtMatmul.Call(d.blasHandle, p.desc, at(&s.one), m.B.Addr, p.first, m.A.Addr, p.second,
		at(beta), from, p.to, to, p.to, at(a), d.work.addr, uintptr(p.workspace), d.streams[cuda.Compute])
}

func (d *driver) blasFailed(code int, key productKey) error {
	f := &d.blas.CublasLtMatmul
	return d.failedIn(f, code, d.blas.CublasLtGetStatusName.Text(uintptr(code)), key.String())
}

// newProduct makes descriptors and finds an algorithm.
func (d *driver) newProduct(key productKey) (*product, error) {
	if d.capturing {
		return nil, d.unseen(&d.blas.CublasLtMatmul, "product "+key.String())
	}
	p := &product{workspace: blasWorkspace}
	if err := d.describe(p, key); err != nil {
		d.forget(p)
		return nil, err
	}
	first, err := d.propose(p, key)
	if err != nil {
		d.forget(p)
		return nil, err
	}
	p.algo, p.workspace = &first.algo, int(first.workspace)
	return p, nil
}

func (d *driver) describe(p *product, k productKey) error {
	s, blas := d.s, &d.blas
	compute, in, out := uintptr(compute32F), blasType(k.in), blasType(k.out)
	if k.tf32 {
		compute = compute32FTF32
	}
	check := func(r int) error {
		if r != 0 {
			return d.blasFailed(r, k)
		}
		return nil
	}
	if err := check(blas.CublasLtMatmulDescCreate.Call(at(&s.word), compute, realFloat)); err != nil {
		return err
	}
	p.desc = s.word
	for attribute, trans := range map[uintptr]bool{descTransA: k.transB, descTransB: k.transA} {
		s.int = blasN
		if trans {
			s.int = blasT
		}
		if err := check(blas.CublasLtMatmulDescSetAttribute.Call(p.desc, attribute, at(&s.int), 4)); err != nil {
			return err
		}
	}
	if k.bias {
		s.int = epilogueBias
		if err := check(blas.CublasLtMatmulDescSetAttribute.Call(p.desc, descEpilogue, at(&s.int), 4)); err != nil {
			return err
		}
	}
	layout := func(to *uintptr, kind uintptr, rows, columns, stride, step int) error {
		// What lies in rows of columns is, seen in columns, columns × rows.
		r := blas.CublasLtMatrixLayoutCreate.Call(at(&s.word), kind, uintptr(columns), uintptr(rows), uintptr(stride))
		if err := check(r); err != nil {
			return err
		}
		*to = s.word
		if k.batch == 1 {
			return nil
		}
		s.int, s.other = int32(k.batch), uintptr(step)
		set := &blas.CublasLtMatrixLayoutSetAttribute
		if err := check(set.Call(*to, layoutBatchCount, at(&s.int), 4)); err != nil {
			return err
		}
		return check(set.Call(*to, layoutBatchOffset, at(&s.other), 8))
	}
	rows, columns := stored(k.k, k.n, k.transB)
	if err := layout(&p.first, in, rows, columns, k.strideB, k.stepB); err != nil {
		return err
	}
	rows, columns = stored(k.m, k.k, k.transA)
	if err := layout(&p.second, in, rows, columns, k.strideA, k.stepA); err != nil {
		return err
	}
	return layout(&p.to, out, k.m, k.n, k.strideC, k.stepC)
}

// stored returns the sizes of a matrix as it lies in memory.
func stored(rows, columns int, trans bool) (int, int) {
	if trans {
		return columns, rows
	}
	return rows, columns
}

func blasType(t device.Type) uintptr {
	if t == device.BFloat16 {
		return realBFloat16
	}
	return realFloat
}

// forget gives descriptors back.
func (d *driver) forget(p *product) {
	for _, layout := range []uintptr{p.first, p.second, p.to} {
		if layout != 0 {
			d.blas.CublasLtMatrixLayoutDestroy.Call(layout)
		}
	}
	if p.desc != 0 {
		d.blas.CublasLtMatmulDescDestroy.Call(p.desc)
	}
}

// propose asks cuBLASLt for deterministic algorithms and returns the one that it takes for
// the quickest. Trying eight of them out gave no other figure on an H100.
func (d *driver) propose(p *product, key productKey) (*heuristic, error) {
	s, blas := d.s, &d.blas
	if err := d.work.ensure(d, blasWorkspace); err != nil {
		return nil, err
	}
	if r := blas.CublasLtMatmulPreferenceCreate.Call(at(&s.word)); r != 0 {
		return nil, d.blasFailed(r, key)
	}
	preference := s.word
	defer blas.CublasLtMatmulPreferenceDestroy.Call(preference)
	s.other = blasWorkspace
	if r := blas.CublasLtMatmulPreferenceSetAttribute.Call(preference, prefWorkspace, at(&s.other), 8); r != 0 {
		return nil, d.blasFailed(r, key)
	}
	for _, p := range []struct {
		attribute uintptr
		value     int32
	}{
		{prefReduction, reduceInComputeType},
		{prefAlignmentA, int32(key.alignB)}, {prefAlignmentA + 1, int32(key.alignA)},
		{prefAlignmentA + 2, int32(key.alignC)}, {prefAlignmentA + 3, int32(key.alignC)},
	} {
		s.int = p.value
		if r := blas.CublasLtMatmulPreferenceSetAttribute.Call(preference, p.attribute, at(&s.int), 4); r != 0 {
			return nil, d.blasFailed(r, key)
		}
	}
	r := blas.CublasLtMatmulAlgoGetHeuristic.Call(d.blasHandle, p.desc, p.first, p.second, p.to, p.to, preference,
		heuristicsMost, at(&s.heuristics), at(&s.int))
	if r != 0 {
		return nil, d.failedIn(&blas.CublasLtMatmulAlgoGetHeuristic, r, blas.CublasLtGetStatusName.Text(uintptr(r)),
			key.String())
	}
	for _, h := range s.heuristics[:min(max(s.int, 0), heuristicsMost)] {
		if h.state == 0 && h.workspace <= blasWorkspace {
			return &h, nil // on the heap, where C reads it
		}
	}
	return nil, d.failedIn(&blas.CublasLtMatmulAlgoGetHeuristic, blasNotSupported,
		blas.CublasLtGetStatusName.Text(blasNotSupported), key.String())
}
