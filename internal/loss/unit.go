package loss

import (
	"fmt"
	"math"

	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// shortest is the length below which a row is not stretched to a unit vector, as in
// torch.nn.functional.normalize.
const shortest = 1e-12

// Units divides the rows of embeddings by their lengths and takes gradients back through
// that:
//
//	u = z/max(‖z‖, 1e-12)
//	dz = (du − u·(u·du))/‖z‖
//
// A row of no length has no direction: its gradient is taken as 0, where PyTorch
// multiplies du by 1e12. The zero value is ready; one Units serves one embedding at a
// time.
type Units struct {
	Data []float32 // n × d

	n, d    int
	inverse []float64 // of the lengths
	z       []float32
	du, dz  []float32
	rows    int // in a piece

	forward, backward func(worker, piece int)
}

// Forward sets Data to the unit rows of z (n × d) and returns it.
func (u *Units) Forward(z []float32, n, d int) []float32 {
	u.Data = tensor.Grow(u.Data, n*d)
	u.into(u.Data, z, n, d)
	return u.Data
}

// into is Forward with the caller's memory.
func (u *Units) into(dst, z []float32, n, d int) {
	checkLen("embeddings", n, d, len(z), len(dst))
	if u.forward == nil {
		u.forward, u.backward = u.forwardPiece, u.backwardPiece
	}
	u.Data, u.z, u.n, u.d = dst, z, n, d
	u.inverse = grow(u.inverse, n)
	u.rows = rowsOf(d)
	parallel.For((n+u.rows-1)/u.rows, u.forward)
	u.z = nil
}

// Backward takes du, the gradient of the unit rows, and sets dz to the gradient of the
// embeddings; both n × d. They may be the same.
func (u *Units) Backward(dz, du []float32) {
	checkLen("gradients", u.n, u.d, len(dz), len(du))
	u.dz, u.du = dz, du
	parallel.For((u.n+u.rows-1)/u.rows, u.backward)
	u.dz, u.du = nil, nil
}

func (u *Units) forwardPiece(_, piece int) {
	for i := piece * u.rows; i < min((piece+1)*u.rows, u.n); i++ {
		z, out := u.z[i*u.d:][:u.d], u.Data[i*u.d:][:u.d]
		var sum float64
		for _, v := range z {
			sum += float64(v) * float64(v)
		}
		u.inverse[i] = 1 / math.Max(math.Sqrt(sum), shortest)
		for j, v := range z {
			out[j] = float32(float64(v) * u.inverse[i])
		}
	}
}

func (u *Units) backwardPiece(_, piece int) {
	for i := piece * u.rows; i < min((piece+1)*u.rows, u.n); i++ {
		unit, du, dz := u.Data[i*u.d:][:u.d], u.du[i*u.d:][:u.d], u.dz[i*u.d:][:u.d]
		if u.inverse[i] >= 1/shortest {
			clear(dz)
			continue
		}
		var dot float64
		for j, v := range du {
			dot += float64(v) * float64(unit[j])
		}
		for j, v := range du {
			dz[j] = float32((float64(v) - dot*float64(unit[j])) * u.inverse[i])
		}
	}
}

// rowsOf returns how many rows of d elements make a piece of a pass.
func rowsOf(d int) int { return max(1, 1<<13/max(d, 1)) }

// checkLen panics unless all lengths are those of n × d.
func checkLen(what string, n, d int, lengths ...int) {
	if n < 1 || d < 1 {
		panic(fmt.Sprintf("loss: %s of %d × %d", what, n, d))
	}
	for _, l := range lengths {
		if l != n*d {
			panic(fmt.Sprintf("loss: %s of %d × %d come with %d values", what, n, d, l))
		}
	}
}

// checkGrad panics unless a gradient of n × d is absent or whole.
func checkGrad(n, d int, gradients ...[]float32) {
	for _, g := range gradients {
		if g != nil {
			checkLen("gradients", n, d, len(g))
		}
	}
}
