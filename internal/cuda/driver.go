package cuda

import "vicreg/internal/device"

// Driver is a card and NVIDIA's libraries, as far as a [Device] needs them. Package
// card has the real one, package sim one that computes on the host what the card would.
//
// Work is queued on streams, and each stream does it in order; unless a method says
// that it waits, it returns at once. Calls come from one goroutine at a time, which may
// be on another thread each time; only WaitEvent is called beside others. An address is
// one of the card's memory. Errors are *[Error]s.
type Driver interface {
	Card() Card
	Close()

	// Memory returns the bytes that are free, and all there are.
	Memory() (free, total int, err error)
	// Alloc returns bytes of the card's memory, aligned to 256, with any content. Free
	// waits until nothing uses them.
	Alloc(bytes int) (addr uintptr, err error)
	Free(addr uintptr) error
	// Pin returns page-locked memory of the host, which copies run from and to while the
	// host goes on, aligned to 256.
	Pin(bytes int) ([]byte, error)
	Unpin(b []byte) error

	// Upload queues a copy to the card. from must be pinned, and stay as it is until the
	// stream has come past it.
	Upload(s Stream, to uintptr, from []byte) error
	// Download copies to the host when everything queued on the stream before is done,
	// and waits for it. to need not be pinned.
	Download(s Stream, to []byte, from uintptr) error
	// DownloadLater queues that copy to pinned memory, and does not wait.
	DownloadLater(s Stream, to []byte, from uintptr) error
	// Copy and Set work on the card; Set writes n values of four bytes.
	Copy(s Stream, to, from uintptr, bytes int) error
	Set(s Stream, to uintptr, v uint32, n int) error

	// Wait waits until everything queued on a stream is done.
	Wait(s Stream) error
	// An event marks a place in a stream: Record puts it after all that is queued so far,
	// Follow makes what is queued on s afterwards wait for it, Elapsed returns the
	// milliseconds between two of them once it has waited for the later, b.
	NewEvent() (Event, error)
	Record(e Event, s Stream) error
	Follow(s Stream, e Event) error
	WaitEvent(e Event) error
	Elapsed(a, b Event) (ms float64, err error)

	// Load compiles PTX, Function returns one of its kernels. shared is the most bytes
	// of dynamic shared memory that the kernel will be launched with.
	Load(ptx []byte) (Module, error)
	Function(m Module, name string, shared int) (Function, error)
	// Launch queues a kernel: blocks in three dimensions, threads of a block, bytes of
	// dynamic shared memory, and the one parameter, a struct, as bytes. args may be
	// overwritten when Launch has returned.
	Launch(s Stream, f Function, grid [3]int, threads, shared int, args []byte) error

	// Capture has what is queued on the compute stream between Begin and End recorded
	// instead of done; Replay queues it, as often as one likes.
	BeginCapture() error
	EndCapture() (Graph, error)
	Replay(g Graph) error
	FreeGraph(g Graph) error

	// Matmul queues a product on the compute stream (cuBLASLt), Convolve a convolution
	// (cuDNN), by the algorithm that the library proposes first for the shape among the
	// deterministic ones: the same on every card of a kind, in every process. The first
	// call with a shape makes descriptors.
	Matmul(m *Matmul) error
	Convolve(c *Convolution) error
}

// Card says what a card is and which libraries were found.
type Card struct {
	Name            string // NVIDIA H100 80GB HBM3
	Index           int
	Major, Minor    int // compute capability
	Multiprocessors int
	SharedPerBlock  int // bytes, the most that a block may have
	L2              int // bytes
	Memory          int // bytes in all
	Driver          string
	CUDNN, CUBLAS   string // versions
	Places          []string
}

// Handles that a driver gave out.
type (
	Stream   uint8
	Event    uintptr
	Module   uintptr
	Function uintptr
	Graph    uintptr
)

const (
	Compute  Stream = iota // where a device's operations are queued
	Transfer               // where the next batch goes up meanwhile
)

// Matmul is C = A·B, or C = C + A·B, of row-major matrices; sums are float32. Batch
// products at once lie one after the other in each of the three at a distance of its
// Step elements.
type Matmul struct {
	M, N, K    int // A takes part as M × K, B as K × N, C is M × N
	A, B, C    Matrix
	Accumulate bool
	TF32       bool // products of float32 may round their factors to TF32
	Batch      int  // 0 is 1

	// What is added besides, unless there is a batch: N values to every row, and a matrix
	// that lies as C does. Both are of C's type and aligned to 16 bytes; 0 is none.
	Bias, Add uintptr
}

// Matrix is an operand. With Trans it takes part as the transpose of what is stored.
type Matrix struct {
	Addr   uintptr
	Type   device.Type // Float32 or BFloat16; A and B have the same
	Stride int         // elements from the start of a row to that of the next
	Trans  bool        // A and B
	Step   int
}

// Convolution is one of the three products of a convolution, dense in NHWC. Weights lie
// in the order k × r × s × c here.
type Convolution struct {
	Kind    Kind
	Shape   device.Conv
	Type    device.Type // of all three arrays: Float32 or BFloat16; sums are float32
	TF32    bool
	X, Y, W uintptr // two are read, the third, or its gradient, is written
}

// Kind says which product of a convolution.
type Kind uint8

const (
	Forward    Kind = iota // Y from X and W
	InputGrad              // X from Y and W
	WeightGrad             // W from X and Y
)

func (k Kind) String() string { return [...]string{"forward", "input gradient", "weight gradient"}[k] }

// Error is a call that failed.
type Error struct {
	Call string // cuMemAlloc_v2
	Code int
	Name string // CUDA_ERROR_OUT_OF_MEMORY
	What string // what the call was for, with shapes; or empty
	Free int    // bytes of the card's memory that were free then, -1: not known
}
