package cuda

import (
	_ "embed" // of the kernels
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"vicreg/internal/device"
)

// modules are the files of kernels, from _ptx. They are loaded when a device opens, or when
// one of their kernels is needed for the first time.
var modules = []module{
	{name: "pass", ptx: passPTX},
	{name: "narrow", ptx: narrowPTX},
	{name: "strided", ptx: stridedPTX},
	{name: "norm", ptx: normPTX},
	{name: "pool", ptx: poolPTX},
	{name: "update", ptx: updatePTX},
	{name: "forward", ptx: forwardPTX, later: true},
	{name: "run", ptx: runPTX, later: true},
	{name: "inputgrad", ptx: inputGradPTX, later: true},
	{name: "weightgrad", ptx: weightGradPTX, later: true},
	{name: "partial", ptx: partialPTX},
	{name: "both", ptx: bothPTX, later: true},
	{name: hopper, ptx: hopperPTX, later: true},
	{name: "layernorm", ptx: layernormPTX},
	{name: "token", ptx: tokenPTX},
	{name: "lookup", ptx: lookupPTX},
	{name: "attention", ptx: attentionPTX},
	{name: "flash", ptx: flashPTX},
	{name: "loss", ptx: lossPTX},
}

//go:embed pass.ptx
var passPTX []byte

//go:embed loss.ptx
var lossPTX []byte

//go:embed update.ptx
var updatePTX []byte

//go:embed narrow.ptx
var narrowPTX []byte

//go:embed strided.ptx
var stridedPTX []byte

//go:embed norm.ptx
var normPTX []byte

//go:embed pool.ptx
var poolPTX []byte

//go:embed forward.ptx
var forwardPTX []byte

//go:embed run.ptx
var runPTX []byte

//go:embed inputgrad.ptx
var inputGradPTX []byte

//go:embed weightgrad.ptx
var weightGradPTX []byte

//go:embed both.ptx
var bothPTX []byte

// hopper is the module that cards of compute capability 9.0 alone can load.
const hopper = "hopper"

//go:embed hopper.ptx
var hopperPTX []byte

//go:embed partial.ptx
var partialPTX []byte

//go:embed layernorm.ptx
var layernormPTX []byte

//go:embed token.ptx
var tokenPTX []byte

//go:embed lookup.ptx
var lookupPTX []byte

//go:embed attention.ptx
var attentionPTX []byte

//go:embed flash.ptx
var flashPTX []byte

type module struct {
	name  string
	ptx   []byte
	later bool // is loaded when needed
}

// kernel is one of the card's programs, whose parameter is a P, laid out as the struct
// in its source.
type kernel[P any] struct{ index int }

// declared is every kernel there is.
var declared []declaration

type declaration struct {
	module, name string
	shared       int          // most bytes of dynamic shared memory
	params       reflect.Type // of P
}

// declare names a kernel of a module.
func declare[P any](module, name string, shared int) kernel[P] {
	declared = append(declared, declaration{module, name, shared, reflect.TypeFor[P]()})
	return kernel[P]{len(declared) - 1}
}

// argsRoom is the most bytes that a kernel's parameter has.
const argsRoom = 4096

// launch queues the kernel: grid blocks, of so many threads, with shared bytes of
// dynamic shared memory each.
func (k kernel[P]) launch(d *Device, grid [3]int, threads, shared int, p P) {
	d.await()
	n := int(unsafe.Sizeof(p))
	*(*P)(unsafe.Pointer(&d.args[0])) = p
	d.launch(d.function(k.index), grid, threads, shared, d.args[:n])
}

// grid1 returns a grid for n pieces of work, each a thread's, in blocks of so many
// threads; kernels go round until all is done, so it is never larger than what keeps the
// card busy.
func (d *Device) grid1(n, threads int) [3]int {
	blocks := over(n, threads)
	return [3]int{max(1, min(blocks, d.card.Multiprocessors*8*(1024/threads))), 1, 1}
}

// hopper says that the card has Hopper's own instructions.
func (d *Device) hopper() bool { return d.card.Major == 9 && d.card.Minor == 0 }

// load compiles the modules that every run needs, and finds their kernels.
func (d *Device) load() error {
	d.functions = make([]Function, len(declared))
	for _, m := range modules {
		if !m.later {
			if err := d.loadModule(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Device) loadModule(m module) error {
	h, err := d.driver.Load(m.ptx)
	if err != nil {
		return fmt.Errorf("the kernels of %s: %w", m.name, err)
	}
	for i, k := range declared {
		if k.module != m.name {
			continue
		}
		if d.functions[i], err = d.driver.Function(h, k.name, k.shared); err != nil {
			return fmt.Errorf("kernel %s: %w", k.name, err)
		}
	}
	return nil
}

// function returns a kernel of this index, whose module may have to be loaded.
func (d *Device) function(i int) Function {
	if d.functions[i] == 0 {
		m := slices.IndexFunc(modules, func(m module) bool { return m.name == declared[i].module })
		d.check(d.loadModule(modules[m]), "loading")
	}
	return d.functions[i]
}

// What kernels get of arrays, as kernel.h declares it.

type arr struct {
	p uint64
	t uint32
	_ uint32
}

type source struct {
	x            arr
	scale, shift uint64
	relu         uint32
	_            uint32
}

type grad struct {
	d, y    arr
	a, b, k uint64
}

// types are kernel.h's FLOAT32, BFLOAT16 and BITS.
const (
	cFloat32  = 0
	cBFloat16 = 1
	cBits     = 2
)

// arr is an array of values for a kernel.
func (d *Device) arr(a device.Array) arr {
	if a.None() {
		return arr{}
	}
	return arr{p: d.addr(a), t: typeOf(a.Type())}
}

func typeOf(t device.Type) uint32 {
	switch t {
	case device.Float32:
		return cFloat32
	case device.BFloat16:
		return cBFloat16
	}
	panic(fmt.Sprintf("cuda: an array of %s where values belong", t))
}

// addr is where an array begins; 0 for none.
func (d *Device) addr(a device.Array) uint64 {
	if !a.None() && a.Addr() == 0 {
		panic("cuda: an array of the host's memory reached the card")
	}
	return uint64(a.Addr())
}

// f32 is addr of an array that must be float32; f64, i32 and u8 are alike.
func (d *Device) f32(a device.Array) uint64 { return d.typed(a, device.Float32) }
func (d *Device) f64(a device.Array) uint64 { return d.typed(a, device.Float64) }
func (d *Device) i32(a device.Array) uint64 { return d.typed(a, device.Int32) }
func (d *Device) u8(a device.Array) uint64  { return d.typed(a, device.Uint8) }

func (d *Device) typed(a device.Array, t device.Type) uint64 {
	if !a.None() && a.Type() != t {
		panic(fmt.Sprintf("cuda: an array of %s where one of %s belongs", a.Type(), t))
	}
	return d.addr(a)
}

func (d *Device) source(s device.Source) source {
	c := source{x: d.arr(s.X), scale: d.f32(s.Scale), shift: d.f32(s.Shift)}
	if s.ReLU {
		c.relu = 1
	}
	return c
}

func (d *Device) grad(g device.Grad) grad {
	return grad{d: d.arr(g.D), y: d.arr(g.Y), a: d.f32(g.A), b: d.f32(g.B), k: d.f32(g.K)}
}

// plain says that a source is read as it is stored.
func plain(s device.Source) bool { return s.Scale.None() && !s.ReLU }

// wide says that kernels may go through rows of c channels of these arrays eight at a
// time.
func wide(c int, arrays ...device.Array) bool {
	if c%8 != 0 {
		return false
	}
	for _, a := range arrays {
		if a.Addr()%16 != 0 {
			return false
		}
	}
	return true
}
