package pass

import (
	"fmt"
	"math"

	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// BatchNorm is batch normalisation of c channels (Ioffe and Szegedy 2015, section
// 3), as torch.nn.BatchNorm2d does it. What it makes of a batch is Mean, Rstd,
// Scale and Shift: whoever reads the raw tensor y reads y·Scale + Shift.
type BatchNorm struct {
	Gamma, Beta     []float32 // c each
	RunMean, RunVar []float32 // c each
	Batches         []float32 // one value, the number of batches seen
	Bias            []float32 // c: of the layer before, which y comes without; or nil
	Eps, Momentum   float64

	Mean, Rstd   []float64 // c each: 1/√(var + ε), of the biased variance
	Scale, Shift []float32 // c each: γ·rstd; β − mean·scale
}

// BatchNormGrad is the backward of a [BatchNorm]. The gradient of y is read
// through A, B and K as [shape.Grad] says.
type BatchNormGrad struct {
	DGamma, DBeta []float32 // c each, added to; nil where γ and β are fixed
	A, B, K       []float32 // c each
}

// normPiece is how many channels make a piece.
const normPiece = 512

// norming is the call under way.
var norming struct {
	BatchNorm
	BatchNormGrad
	sums  *shape.Sums
	count float64 // values a channel
}

func (n *BatchNorm) check() {
	c := len(n.Gamma)
	for _, m := range []int{len(n.Beta), len(n.RunMean), len(n.RunVar), len(n.Mean), len(n.Rstd), len(n.Scale),
		len(n.Shift)} {
		if m != c {
			panic(fmt.Sprintf("kernel: batch normalisation of %d channels meets %d", c, m))
		}
	}
	if n.Bias != nil && len(n.Bias) != c || len(n.Batches) != 1 {
		panic(fmt.Sprintf("kernel: batch normalisation of %d channels meets a bias of %d and %d counts", c, len(n.Bias), len(n.Batches)))
	}
}

// BatchStatistics takes the statistics of a batch of m values a channel from their
// sums, and moves the running ones towards them:
//
//	mean = Σ y/m, var = Σ y²/m − mean²
//	RunMean = (1 − momentum)·RunMean + momentum·(mean + bias)
//	RunVar = (1 − momentum)·RunVar + momentum·var·m/(m − 1)
func BatchStatistics(n BatchNorm, s *shape.Sums, m int) {
	n.check()
	runNorm(n, BatchNormGrad{}, s, m, batchStatisticsPiece)
	n.Batches[0]++
}

// RunningStatistics normalises by the running statistics instead.
func RunningStatistics(n BatchNorm) {
	n.check()
	runNorm(n, BatchNormGrad{}, nil, 0, runningStatisticsPiece)
}

// BatchNormBackward takes the gradients of the parameters from the sums of d and
// d·y over m values a channel, and says how the gradient of y is read. With
// x̂ = (y − mean)·rstd:
//
//	dβ = Σ d
//	dγ = Σ d·x̂ = rstd·(Σ d·y − mean·Σ d)
//	dy = γ·rstd·(d − dβ/m − x̂·dγ/m) = A·d + B·y + K
func BatchNormBackward(g BatchNormGrad, n BatchNorm, s *shape.Sums, m int) {
	n.check()
	runNorm(n, g, s, m, batchNormBackwardPiece)
}

func runNorm(n BatchNorm, g BatchNormGrad, s *shape.Sums, m int, body func(worker, piece int)) {
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &norming
	j.BatchNorm, j.BatchNormGrad, j.sums, j.count = n, g, s, float64(m)
	parallel.For((len(n.Gamma)+normPiece-1)/normPiece, body)
	j.BatchNorm, j.BatchNormGrad, j.sums = BatchNorm{}, BatchNormGrad{}, nil
}

// normRange returns the channels of a piece.
func normRange(piece int) (lo, hi int) {
	return piece * normPiece, min((piece+1)*normPiece, len(norming.Gamma))
}

func batchStatisticsPiece(_, piece int) {
	j := &norming
	for c, hi := normRange(piece); c < hi; c++ {
		mean := j.sums.A[c] / j.count
		variance := max(0, j.sums.B[c]/j.count-mean*mean)
		j.Mean[c], j.Rstd[c] = mean, 1/math.Sqrt(variance+j.Eps)
		if j.Bias != nil { // it cancels in all but the running mean
			mean += float64(j.Bias[c])
		}
		j.blend(&j.RunMean[c], mean)
		j.blend(&j.RunVar[c], variance*j.count/(j.count-1))
		j.scale(c)
	}
}

func (n *BatchNorm) blend(running *float32, v float64) {
	*running = float32((1-n.Momentum)*float64(*running) + n.Momentum*v)
}

// scale sets Scale and Shift of channel c.
func (n *BatchNorm) scale(c int) {
	n.Scale[c] = float32(float64(n.Gamma[c]) * n.Rstd[c])
	// The rounded scale, so that y = mean gives β.
	n.Shift[c] = float32(float64(n.Beta[c]) - n.Mean[c]*float64(n.Scale[c]))
}

func runningStatisticsPiece(_, piece int) {
	j := &norming
	for c, hi := normRange(piece); c < hi; c++ {
		j.Mean[c] = float64(j.RunMean[c])
		if j.Bias != nil {
			j.Mean[c] -= float64(j.Bias[c])
		}
		j.Rstd[c] = 1 / math.Sqrt(float64(j.RunVar[c])+j.Eps)
		j.scale(c)
	}
}

func batchNormBackwardPiece(_, piece int) {
	j := &norming
	for c, hi := normRange(piece); c < hi; c++ {
		mean, rstd := j.Mean[c], j.Rstd[c]
		dBeta := j.sums.A[c]
		dGamma := rstd * (j.sums.B[c] - mean*dBeta)
		if j.DGamma != nil {
			j.DBeta[c] += float32(dBeta)
			j.DGamma[c] += float32(dGamma)
		}
		a := float64(j.Gamma[c]) * rstd
		b := float32(-a * rstd * dGamma / j.count)
		j.A[c], j.B[c] = float32(a), b
		j.K[c] = float32(-a*dBeta/j.count - float64(b)*mean)
	}
}

// columns is the call of NormaliseColumns under way.
var columns struct {
	y, x []float32
	n, d int
	eps  float64
}

// NormaliseColumns writes the columns of x, n × d, to y as batch normalisation
// without weights does: y = (x − mean)/√(var + ε), of the biased variance. A column
// without variance stays near 0.
func NormaliseColumns(y, x []float32, n, d int, eps float64) {
	shape.CheckRows("NormaliseColumns", d, n*d, len(y), len(x))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &columns
	j.y, j.x, j.n, j.d, j.eps = y, x, n, d, eps
	parallel.For((d+scratch.StripChannels-1)/scratch.StripChannels, normaliseColumnsPiece)
	j.y, j.x = nil, nil
}

func normaliseColumnsPiece(_, piece int) {
	s := &columns
	for j, hi := scratch.Strip(piece, s.d); j < hi; j++ {
		var mean, square float64
		for i := range s.n {
			mean += float64(s.x[i*s.d+j])
		}
		mean /= float64(s.n)
		for i := range s.n {
			c := float64(s.x[i*s.d+j]) - mean
			square += c * c
		}
		inverse := 1 / math.Sqrt(square/float64(s.n)+s.eps)
		for i := range s.n {
			s.y[i*s.d+j] = float32((float64(s.x[i*s.d+j]) - mean) * inverse)
		}
	}
}
