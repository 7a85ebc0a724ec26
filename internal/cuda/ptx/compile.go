package ptx

import (
	"strings"
	"sync"
)

// row is a register of the 32 threads of a warp. What is above the width of the
// register's type is zero.
type row [32]uint64

// op computes d of a, b and c for all threads.
type op func(d, a, b, c *row)

// inst is an instruction, ready to be run.
type inst struct {
	kind       kind
	not        bool
	guard      int32 // a predicate
	d, a, b, c int32 // rows; constants count down from -1
	to         int32 // of a branch
	line       int32
	fn         op
	do         func(w *warp, m uint32)
	need       func(w *warp, m uint32) uint32 // the threads that must come together
	text       string
}

type kind uint8

const (
	pure    kind = iota // fn
	effect              // do
	branch              // to
	indexed             // a branch by a table
	leave               // ends threads
	meet                // do, when the threads that need says have come
	barrier             // a meeting of warps
)

// special is a register whose value the launch gives.
type special struct {
	row     int32
	name    string
	changes bool // from block to block and from launch to launch
}

// compiler turns one kernel into instructions.
type compiler struct {
	m     *Module
	k     *Kernel
	known map[uint64]int32
	spec  map[string]int32
	f     *frame
	depth int
	calls int
	sink  int32
	none  int32
	local int
	s     *statement
}

// frame is the body of a function where it stands: each call has its own.
type frame struct {
	fn     *function
	rows   map[*scope]map[string]int32
	at     []int32 // of statements
	vars   map[*variable]int
	alias  map[*variable]int // parameters of functions
	jumps  []jump
	leaves []int
}

type jump struct {
	inst  int
	label string
	scope *scope
	table []int32
	k     int
	line  int32
}

func (m *Module) compile(f *function) *Kernel {
	k := &Kernel{Name: f.name, mod: m, at: map[*variable]int{}, paramAt: map[*variable]int{}, align: 16, grain: 4,
		spare: &sync.Pool{}}
	for _, v := range f.params {
		k.Params = up(k.Params, v.align)
		k.paramAt[v] = k.Params
		if k.Params += v.size; k.Params > 32764 {
			refuse(f.line, "%s has too many parameters", f.name)
		}
	}
	c := &compiler{m: m, k: k, known: map[uint64]int32{}, spec: map[string]int32{}}
	for i := range f.body {
		k.async = k.async || f.body[i].op[0] == "wgmma"
	}
	k.preds = 1 // the first is always true
	c.sink = c.newRow()
	c.none = c.number(0)
	c.function(f, nil)
	k.code = append(k.code, inst{kind: leave, line: f.line, text: "the end of the kernel"})
	k.Local = up(c.local, 16)
	for _, l := range k.dynamic {
		fill(&k.consts[l.row], sharedStart+uint64(up(k.Shared, k.align))+l.plus)
	}
	return k
}

func fill(r *row, v uint64) {
	for i := range r {
		r[i] = v
	}
}

// function adds the body of a function to the code. alias holds where the parameters of
// one that was called lie in local memory.
func (c *compiler) function(fn *function, alias map[*variable]int) {
	outer, stmt := c.f, c.s
	c.f = &frame{fn: fn, rows: map[*scope]map[string]int32{}, vars: map[*variable]int{}, alias: alias}
	c.calls++
	if c.depth++; c.depth > 16 || c.calls > maxCalls {
		refuse(fn.line, "%s calls itself, or functions call each other too often", fn.name)
	}
	for i := range fn.body {
		c.f.at = append(c.f.at, int32(len(c.k.code)))
		c.statement(&fn.body[i])
		if len(c.k.code) > maxCode {
			refuse(fn.body[i].line, "too many instructions")
		}
	}
	c.f.at = append(c.f.at, int32(len(c.k.code)))
	for _, j := range c.f.jumps {
		to := c.label(j)
		if j.table != nil {
			j.table[j.k] = to
		} else {
			c.k.code[j.inst].to = to
		}
	}
	for _, i := range c.f.leaves { // of a call: go on behind it
		c.k.code[i].to = int32(len(c.k.code))
	}
	c.depth--
	c.f, c.s = outer, stmt
}

func (c *compiler) label(j jump) int32 {
	for s := j.scope; s != nil; s = s.parent {
		if at, ok := s.labels[j.label]; ok {
			return c.f.at[at]
		}
	}
	refuse(j.line, "there is no label %s", j.label)
	return 0
}

// refuse names the instruction that cannot be taken.
func (c *compiler) refuse(format string, args ...any) {
	refuse(c.s.line, "%s: "+format, append([]any{c.s.name()}, args...)...)
}

// emit adds an instruction under the statement's guard.
func (c *compiler) emit(in inst) {
	in.line = c.s.line
	if in.text == "" {
		in.text = c.s.name()
	}
	if c.s.guard != "" {
		in.guard = c.predicate(&operand{text: c.s.guard})
		in.not = c.s.not
	}
	c.k.code = append(c.k.code, in)
}

// args checks how many operands there are.
func (c *compiler) args(n int) {
	if len(c.s.args) != n {
		c.refuse("%d operands, want %d", len(c.s.args), n)
	}
}

func (c *compiler) newRow() int32 {
	c.k.rows++
	return int32(c.k.rows - 1)
}

// number returns a constant.
func (c *compiler) number(v uint64) int32 {
	if at, ok := c.known[v]; ok {
		return at
	}
	at := c.fresh(v)
	c.known[v] = at
	return at
}

func (c *compiler) fresh(v uint64) int32 {
	var r row
	fill(&r, v)
	c.k.consts = append(c.k.consts, r)
	return int32(-len(c.k.consts))
}

// register finds the declaration of a register.
func (c *compiler) register(name string) (kind string, s *scope, ok bool) {
	base := strings.TrimRight(name, "0123456789")
	for s := c.s.scope; s != nil; s = s.parent {
		if r, ok := s.regs[name]; ok && r.count == 0 {
			return r.kind, s, true
		}
		if r, ok := s.regs[base]; ok && base != name && len(name)-len(base) < 8 {
			n := 0
			for _, d := range name[len(base):] {
				n = 10*n + int(d-'0')
			}
			if n < r.count {
				return r.kind, s, true
			}
		}
	}
	return "", nil, false
}

// row returns the row of a register.
func (c *compiler) row(name string) int32 {
	kind, s, ok := c.register(name)
	if !ok {
		c.refuse("there is no register %s", name)
	}
	rows := c.f.rows[s]
	if rows == nil {
		rows = map[string]int32{}
		c.f.rows[s] = rows
	}
	at, ok := rows[name]
	if !ok {
		if kind == "pred" {
			at = int32(c.k.preds)
			c.k.preds++
		} else {
			at = c.newRow()
		}
		rows[name] = at
	}
	return at
}

// width returns the bits of a register; 64 of what is thrown away.
func (c *compiler) width(o *operand) int {
	kind, _, ok := c.register(o.text)
	if !ok {
		return 64
	}
	return 8 * sizes[kind]
}

// dst returns the row that an operand writes.
func (c *compiler) dst(o *operand) int32 {
	if o.text == "_" {
		return c.sink
	}
	if o.num || o.list != nil || o.at {
		c.refuse("a destination that is no register")
	}
	if kind, _, ok := c.register(o.text); ok && kind == "pred" {
		c.refuse("%s is a predicate", o.text)
	}
	return c.row(o.text)
}

// src returns the row of what an operand reads, of a type.
func (c *compiler) src(o *operand, kind string) int32 {
	switch {
	case o.list != nil || o.at:
		c.refuse("an operand in brackets or braces")
	case o.num:
		return c.number(o.bits(kind))
	case o.text == "WARP_SZ":
		return c.number(32)
	}
	if k, _, ok := c.register(o.text); ok {
		if k == "pred" {
			c.refuse("%s is a predicate", o.text)
		}
		return c.row(o.text)
	}
	if o.text[0] == '%' {
		return c.special(o.text)
	}
	at, _ := c.symbol(o)
	return at
}

// predicate returns a predicate; 0 is always true.
func (c *compiler) predicate(o *operand) int32 {
	if o.num && o.val != 0 {
		return 0
	}
	if kind, _, ok := c.register(o.text); !ok || kind != "pred" {
		c.refuse("%q is no predicate", o.text)
	}
	return c.row(o.text)
}

// symbol returns the address of a variable, in its own space.
func (c *compiler) symbol(o *operand) (at int32, space string) {
	v := c.s.scope.variable(o.text)
	if v == nil {
		c.refuse("there is no %s", o.text)
	}
	plus := uint64(o.off)
	switch v.space {
	case "global", "const":
		if v.addr == 0 {
			c.refuse("%s has no memory", v.name)
		}
		return c.number(v.addr + plus), v.space
	case "shared":
		return c.sharedAddress(v, plus), v.space
	case "param":
		if at, ok := c.k.paramAt[v]; ok && c.depth == 1 {
			return c.number(uint64(at) + plus), v.space
		}
		if at, ok := c.f.alias[v]; ok {
			return c.number(localWindow + uint64(at) + plus), "local"
		}
		return c.number(localWindow + uint64(c.localAt(v)) + plus), "local"
	default:
		return c.number(uint64(c.localAt(v)) + plus), v.space
	}
}

func (c *compiler) localAt(v *variable) int {
	at, ok := c.f.vars[v]
	if !ok {
		at = up(c.local, v.align)
		c.f.vars[v] = at
		if c.local = at + v.size; c.local > maxLocal {
			c.refuse("a thread has too much local memory")
		}
	}
	return at
}

func (c *compiler) sharedAddress(v *variable, plus uint64) int32 {
	if v.extern {
		c.k.align = max(c.k.align, v.align)
		at := c.fresh(0)
		c.k.dynamic = append(c.k.dynamic, later{int(-at - 1), plus})
		return at
	}
	at, ok := c.k.at[v]
	if !ok {
		at = up(c.k.Shared, v.align)
		c.k.at[v] = at
		if c.k.Shared = at + v.size; c.k.Shared > maxShared {
			c.refuse("%s has %d bytes of shared memory, a block can have %d", c.k.Name, c.k.Shared, maxShared)
		}
	}
	return c.number(sharedStart + uint64(at) + plus)
}
