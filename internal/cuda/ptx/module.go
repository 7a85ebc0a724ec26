// Package ptx runs, on the host, the kernels that a compiler made for NVIDIA's cards. It
// is for tests: it reads PTX, the assembly language of these cards, and does what each
// thread of each block would, one warp after the other, and looks at every access that
// they make to memory.
package ptx

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
)

const (
	maxVariable = 1 << 24 // bytes
	maxCode     = 1 << 18 // instructions
	maxCalls    = 1 << 14
	maxShared   = 227 << 10
	maxLocal    = 512 << 10
	sharedStart = 1 << 10 // the card keeps what lies below for itself
)

// Windows of addresses that name one block's or one thread's memory.
const (
	sharedWindow = 1 << 56
	localWindow  = 2 << 56
	windows      = 255 << 56
)

// Module is a file of PTX.
type Module struct {
	Target    string // sm_80
	Kernels   map[string]*Kernel
	functions map[string]*function
	scope     *scope
	vars      []*variable
	targets   map[*scope]map[string][]string
	extern    bool
	base      uint64
	memory    []byte // of global variables
}

// Kernel is one that can be launched.
type Kernel struct {
	Name   string
	Params int // bytes
	Shared int // bytes of shared memory besides the dynamic
	Local  int // bytes of local memory of a thread

	mod      *Module
	code     []inst
	consts   []row
	rows     int
	preds    int
	specials []special
	at       map[*variable]int // of shared variables
	paramAt  map[*variable]int
	dynamic  []later // addresses in dynamic shared memory
	align    int     // of dynamic shared memory
	grain    int     // bytes of the smallest access
	async    bool    // has products that are under way for a while
	spare    *sync.Pool
}

// later is a constant that is known when all of a kernel has been read.
type later struct {
	row  int
	plus uint64
}

// Parse reads PTX. Global variables get addresses from base on; see Globals.
func Parse(src []byte, base uint64) (m *Module, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *SyntaxError:
			m, err = nil, e
		default:
			panic(e)
		}
	}()
	m = &Module{Kernels: map[string]*Kernel{}, functions: map[string]*function{}, base: base}
	m.scope = (*scope)(nil).inner()
	p := &parser{t: scan(string(src)), mod: m}
	p.file()
	m.place()
	byLine := func(a, b *function) int { return cmp.Compare(a.line, b.line) }
	for _, f := range slices.SortedFunc(maps.Values(m.functions), byLine) {
		if f.entry && f.defined {
			m.Kernels[f.name] = m.compile(f)
		}
	}
	return m, nil
}

// place gives global variables their addresses and values.
func (m *Module) place() {
	at, last := 0, int32(1)
	for _, v := range m.vars {
		at = up(at, max(v.align, 16))
		v.addr = m.base + uint64(at)
		if at += v.size + 64; at > 4*maxVariable { // a gap, to notice what runs over
			refuse(last, "too many global variables")
		}
	}
	m.memory = make([]byte, at)
	for _, v := range m.vars {
		copy(m.memory[v.addr-m.base:], v.init)
		for _, l := range v.links {
			to := m.scope.variable(l.to)
			if to == nil || l.size != 8 {
				refuse(last, "%s holds the address of %s, which is no variable", v.name, l.to)
			}
			binary.LittleEndian.PutUint64(m.memory[v.addr-m.base+uint64(l.at):], to.addr+uint64(l.plus))
		}
	}
}

// Clone returns a module of the same kernels and with global variables of its own, as they
// are in m now.
func (m *Module) Clone() *Module {
	c := *m
	c.memory = slices.Clone(m.memory)
	c.Kernels = map[string]*Kernel{}
	for name, k := range m.Kernels {
		own := *k
		own.mod = &c
		c.Kernels[name] = &own
	}
	return &c
}

// Base returns where global variables begin.
func (m *Module) Base() uint64 { return m.base }

// Global returns the place of a global variable, or nil.
func (m *Module) Global(name string) []byte {
	if v := m.scope.vars[name]; v != nil && v.addr != 0 {
		return m.memory[v.addr-m.base:][:v.size:v.size]
	}
	return nil
}

// Kernel returns a kernel by name.
func (m *Module) Kernel(name string) (*Kernel, error) {
	if k := m.Kernels[name]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("ptx: there is no kernel %s", name)
}

func up(n, align int) int { return (n + align - 1) &^ (align - 1) }
