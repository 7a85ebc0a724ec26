package ptx

import (
	"strings"
)

// A scope holds the names that a pair of braces declares.
type scope struct {
	parent *scope
	regs   map[string]reg // a name, or the part before the number of a row of them
	labels map[string]int // places among the statements
	vars   map[string]*variable
}

func (s *scope) inner() *scope {
	return &scope{parent: s, regs: map[string]reg{}, labels: map[string]int{}, vars: map[string]*variable{}}
}

func (s *scope) variable(name string) *variable {
	for ; s != nil; s = s.parent {
		if v := s.vars[name]; v != nil {
			return v
		}
	}
	return nil
}

// reg is a declaration of registers: one, or those numbered below count.
type reg struct {
	kind  string // without the dot: pred, b32, …
	count int
}

// variable is a named piece of memory.
type variable struct {
	name   string
	space  string // global, const, shared, local, param
	align  int
	size   int
	extern bool // dynamic shared memory
	init   []byte
	links  []link // addresses within init
	addr   uint64 // of global and const ones
}

// A link is the place of an address in a variable's initial value.
type link struct {
	at, size int
	to       string
	plus     int64
}

var sizes = map[string]int{"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "bf16": 2, "b32": 4, "u32": 4,
	"s32": 4, "f32": 4, "f16x2": 4, "bf16x2": 4, "tf32": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8, "b128": 16, "pred": 1}

// variable reads one declaration up to its end, a comma, or a parenthesis.
func (p *parser) variable(space string) *variable {
	v := &variable{space: space, align: 1}
	line := p.line()
	kind, vector := "", 1
	for strings.HasPrefix(p.peek(), ".") {
		switch word := p.take()[1:]; word {
		case "align":
			v.align = int(p.integer())
			if v.align < 1 || v.align > 4096 || v.align&(v.align-1) != 0 {
				refuse(line, "an alignment of %d", v.align)
			}
		case "v2":
			vector = 2
		case "v4":
			vector = 4
		case "ptr", "global", "const", "shared", "local", "attribute", "managed", "param":
		default:
			if sizes[word] == 0 {
				refuse(line, "unknown type .%s", word)
			}
			kind = word
		}
	}
	size := sizes[kind] * vector
	if size == 0 {
		refuse(line, "a variable without a type")
	}
	v.align = max(v.align, size)
	v.name = p.take()
	count, open := 1, false
	for p.accept("[") {
		if p.accept("]") {
			open = true
			continue
		}
		n := p.integer()
		if n < 0 || n > maxVariable {
			refuse(line, "%s has %d elements", v.name, n)
		}
		count = int(min(int64(count)*n, maxVariable))
		p.want("]")
	}
	if open && space == "shared" {
		v.extern = true
		return v
	}
	if count*size > maxVariable {
		refuse(line, "%s is too large", v.name)
	}
	v.size = count * size
	if p.accept("=") {
		v.init = make([]byte, 0, min(v.size, 1<<16))
		p.initial(v, kind, 0)
		if len(v.init) > v.size && !open {
			refuse(line, "%s has more values than room", v.name)
		}
		v.size = max(v.size, len(v.init))
	}
	return v
}

// initial reads the initial value of a variable.
func (p *parser) initial(v *variable, kind string, depth int) {
	if p.accept("{") {
		for depth < 8 && !p.accept("}") {
			p.initial(v, kind, depth+1)
			p.accept(",")
		}
		return
	}
	line := p.line()
	if p.peek() == "generic" {
		p.take()
		p.want("(")
		defer p.want(")")
	}
	o := p.operand()
	size := sizes[kind]
	if !o.num {
		v.links = append(v.links, link{len(v.init), size, o.text, o.off})
		o.val = 0
	}
	if len(v.init)+size > maxVariable {
		refuse(line, "%s is too large", v.name)
	}
	bits := o.bits(kind)
	for range size {
		v.init = append(v.init, byte(bits))
		bits >>= 8
	}
}

// variables reads declarations up to a semicolon.
func (p *parser) variables(space string, s *scope) {
	line := p.line()
	v := p.variable(space)
	p.want(";")
	if s.vars[v.name] != nil && s.vars[v.name].size != 0 {
		refuse(line, "%s is declared twice", v.name)
	}
	s.vars[v.name] = v
	if s == p.mod.scope && (space == "global" || space == "const") {
		p.mod.vars = append(p.mod.vars, v)
	}
}

func (p *parser) parameters() []*variable {
	var list []*variable
	if !p.accept("(") {
		return nil
	}
	for !p.accept(")") {
		p.want(".param")
		list = append(list, p.variable("param"))
		p.accept(",")
	}
	return list
}

// targets keeps the labels of a brx.idx under the list's name.
func (p *parser) targets(f *function, s *scope, name string) {
	var list []string
	for !p.accept(";") {
		list = append(list, p.take())
		p.accept(",")
	}
	if p.mod.targets == nil {
		p.mod.targets = map[*scope]map[string][]string{}
	}
	if p.mod.targets[f.scope] == nil {
		p.mod.targets[f.scope] = map[string][]string{}
	}
	p.mod.targets[f.scope][name] = list
}

func (p *parser) registers(s *scope) {
	line := p.line()
	kind := strings.TrimPrefix(p.take(), ".")
	if sizes[kind] == 0 {
		refuse(line, "registers of unknown type .%s", kind)
	}
	for {
		name := p.take()
		r := reg{kind: kind}
		if p.accept("<") {
			r.count = int(p.integer())
			p.want(">")
			if r.count < 1 || r.count > 1<<20 {
				refuse(line, "%d registers", r.count)
			}
		}
		s.regs[name] = r
		if !p.accept(",") {
			break
		}
	}
	p.want(";")
}
