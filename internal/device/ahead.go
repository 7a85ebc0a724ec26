package device

// What some devices can do besides. Whoever wants it asks by a type assertion.

// Ahead is a device that values go up to while it computes: the views of the next step
// during this one.
type Ahead interface {
	// Hold returns room for n values in the host's memory, which has a twin on the device.
	// Drop takes it back.
	Hold(n int) []float32
	Drop(x []float32)

	// Send begins to bring x, which starts where some Hold does, up to its twin. It
	// returns at once, may be called by any goroutine, and does not panic. The host
	// leaves x alone until Reuse.
	Send(x []float32) error

	// Sent returns the twin of x, for operations from here on; false if x was not sent.
	Sent(x []float32) (Array, bool)

	// Reuse says that the last operation that reads the twin has been called, and returns
	// when the host may write x anew.
	Reuse(x []float32)
}

// Signed is a device that reads the mask of a residual block's sum as signs: bit e of byte j
// says that element 8j + e is not 0 or less. Signs are n/8 of Uint8 for a sum of n elements,
// a multiple of 8.
type Signed interface {
	// AddSigned is AddReLU with a ReLU. It leaves the signs of what it writes.
	AddSigned(y, signs Array, a, b Source, c int)
}

// Sparse is a device that knows gradients of some pixels alone. Of a 1 × 1 convolution with a
// stride ConvGrads may be given a dx of the pixels that it reads, without a Finish; and a
// Finish may add it.
type Sparse interface{ Sparse() }

// Sized is a device that knows how much memory it has.
type Sized interface {
	// Room returns the bytes that a run could have, what is in use left out, and all there
	// are.
	Room() (free, total int)
}

// Described is a device that can say what its bits depend on: the model of a card, the
// versions of its libraries.
type Described interface{ Describe() string }

// Describe names a device and what its bits depend on.
func Describe(d Device) string {
	if s, ok := d.(Described); ok {
		return s.Describe()
	}
	return d.Name()
}
