package device

// Device computes on arrays of its own memory. Operations may return before they
// are done, as long as they take effect in the order of the calls: only Down waits, and
// whoever reads a [Number].
//
// A device that fails, or has no memory left, panics with a [Failure].
//
// On a device that stores activations as BFloat16, every array of pixels × channels,
// rows × channels or the like may be of BFloat16 or of Float32, each by itself: what is
// read, what is written, what is added, what gives the sign or the sums. Float32 are
// parameters and their gradients, values of a channel or of a row (scales, shifts, the
// mean and the deviation of rows, the lse of attention), and what optimizers keep; what
// BFloat16 adds up, such as the gradient of a weight, is added up in float32 or wider.
//
// Shapes are those of package kernel, whose functions of the same names say what
// each operation does.
type Device interface {
	Memory
	Convolutions
	Norms
	Passes
	Pools
	Tokens
	Updates
}

// Memory is where arrays come from, and where values cross.
type Memory interface {
	// Name is what people call the device.
	Name() string

	// Shared says that the device's memory is the host's.
	Shared() bool

	// Activations returns the type in which activations, and their gradients, of a
	// network with such products are best stored: Float32 or BFloat16.
	Activations(p Precision) Type

	// KeptSum is the most elements of type t of a residual block's sum that is kept for backward.
	// A larger one is made again: its memory is worth more than that time.
	KeptSum(t Type) int

	// Alloc returns n zeros, Free takes them back. Close gives back the device and all
	// of its memory.
	Alloc(t Type, n int) Array
	Free(a Array)
	Close()

	// Up and Down copy from and to the host, Down when all before is done. An array of
	// BFloat16 is rounded, to nearest even, on the way up, and widened on the way down.
	Up(a Array, x []float32)
	UpInts(a Array, x []int32)
	Down(x []float32, a Array)

	// UpWide and DownWide are Up and Down of arrays of Float64: sums that the ranks of a
	// group add up.
	UpWide(a Array, x []float64)
	DownWide(x []float64, a Array)

	// Copy converts if one of the arrays is of BFloat16 and the other of Float32.
	Copy(to, from Array)
	Fill(a Array, v float32)
}

// Convolutions are those of images and sequences, and linear layers of few rows,
// which are convolutions of one pixel.
type Convolutions interface {
	ConvForward(y Array, s Conv, src Source, w Array, sums Sums)
	ConvInfer(y Array, s Conv, src Source, w Array, t Tail)
	ConvInputGrad(dx Array, s Conv, g Grad, w Array, f Finish)
	ConvWeightGrad(dw Array, s Conv, g Grad, src Source)
	ConvGrads(dx, dw Array, s Conv, g Grad, src Source, w Array, f Finish)
	Gemm(c, a, b Mat, accumulate bool)
}

// Norms are normalisations: of channels by the batch, of rows by themselves.
type Norms interface {
	BatchStatistics(n BatchNorm, s Sums, m int)
	RunningStatistics(n BatchNorm)
	BatchNormBackward(g BatchNormGrad, n BatchNorm, s Sums, m int)
	LayerNorm(y, x Array, n RowNorm)
	LayerNormGrad(dx, d Array, f RowFinish)
}

// Passes go once over activations of rows of c channels.
type Passes interface {
	Apply(y Array, src Source, c int)
	ApplyGrad(y Array, g Grad, c int)
	AddReLU(y Array, a, b Source, c int, relu bool)
	FinishGrad(d Array, c int, f Finish)
	AddSums(x, sums Array)            // x += sums, of float64
	Axpy(y Array, a float32, x Array) // y += a·x
}

// Pools are means and maxima over pixels.
type Pools interface {
	MaxPool(y, argmax Array, s Conv, src Source)
	MaxPoolGrad(dx, d, argmax Array, s Conv, f Finish)
	AvgPool(y Array, n, pixels, c int, src Source)
	AvgPoolGrad(dx, d Array, n, pixels, c int, f Finish)
}

// Tokens are the parts of transformers, on rows of c channels.
type Tokens interface {
	DenseForward(y Array, s Dense, src RowSource, w, bias, add Array)
	DenseInputGrad(dx Array, s Dense, d, w, dBias Array, f RowFinish)
	DenseWeightGrad(dw Array, s Dense, x, d Array)
	AttentionForward(o, lse Array, s Attention, qkv Array)
	AttentionGrad(dqkv Array, s Attention, qkv, o, do, lse Array)
	PatchTokens(y Array, s Patches, x, position, class, bias Array)
	PatchTokensGrad(d Array, s Patches, dPosition, dClass, dBias Array)
	Lookup(y Array, c int, ids, table, position Array)
	LookupGrad(d Array, c int, ids, dTable, dPosition Array)
	TokenMean(y Array, c int, starts, x Array)
	TokenMeanGrad(dx Array, c int, starts, d Array)
	FirstToken(y Array, c int, starts, x Array)
	FirstTokenGrad(dx Array, c int, starts, d Array)
}

// Updates go over all parameters at once.
type Updates interface {
	// Update changes parameters from their gradients. Where a gradient is not finite, a
	// device may leave all as they are.
	Update(u *Update)

	// Norm returns the length of all gradients, which stay as they are until the update
	// that it is called for.
	Norm(u *Update) Number

	Blend(g *Group, keep, take float32) // W = keep·W + take·G
	Clear(g *Group)                     // G = 0
}
