package ptx

import (
	"math"
	"strconv"
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

// statement is an instruction as written.
type statement struct {
	line  int32
	guard string // predicate register, or empty
	not   bool
	op    []string // the pieces of the operation between its dots
	args  []operand
	scope *scope
	lists [][]string // a call's: results, function, arguments
}

func (s *statement) name() string { return strings.Join(s.op, ".") }

// operand is one of an instruction: a register, a symbol or a number, several of them
// within braces, or an address of such a base.
type operand struct {
	text string // register or symbol
	also string // the second destination, after a bar
	not  bool
	neg  bool
	num  bool // a number, in value
	val  uint64
	flt  byte // f or d for the bits of a float, e for one in decimals
	off  int64
	list []operand // within braces
	at   bool      // within brackets
}

// function is a kernel, or a function that kernels call.
type function struct {
	name    string
	line    int32
	entry   bool
	params  []*variable
	results []*variable
	body    []statement
	scope   *scope
	defined bool
}

type parser struct {
	t   []token
	i   int
	mod *Module
}

func (p *parser) peek() string {
	if p.i < len(p.t) {
		return p.t[p.i].text
	}
	return ""
}

func (p *parser) line() int32 {
	if p.i < len(p.t) {
		return p.t[p.i].line
	}
	if len(p.t) > 0 {
		return p.t[len(p.t)-1].line
	}
	return 1
}

func (p *parser) take() string {
	if p.i >= len(p.t) {
		refuse(p.line(), "the file ends too early")
	}
	p.i++
	return p.t[p.i-1].text
}

func (p *parser) want(text string) {
	if got := p.take(); got != text {
		p.i--
		refuse(p.line(), "%q stands where %q should", got, text)
	}
}

func (p *parser) accept(text string) bool {
	if p.peek() == text {
		p.i++
		return true
	}
	return false
}

func (p *parser) skip() {
	for p.take() != ";" {
	}
}

func (p *parser) integer() int64 {
	neg := p.accept("-")
	line := p.line()
	v, ok := number(p.take())
	if !ok {
		refuse(line, "no number where one should be")
	}
	if neg {
		return -int64(v)
	}
	return int64(v)
}

// number reads an integer.
func number(s string) (uint64, bool) {
	s = strings.TrimSuffix(s, "U")
	v, err := strconv.ParseUint(s, 0, 64)
	return v, err == nil
}

// file reads all there is in a file.
func (p *parser) file() {
	for p.i < len(p.t) {
		line := p.line()
		switch word := p.take(); word {
		case ".version", ".target", ".address_size":
			if word == ".target" {
				p.mod.Target = p.peek()
			}
			for p.i < len(p.t) && p.t[p.i].line == line {
				p.i++
			}
		case ".visible", ".weak", ".extern", ".common":
			if word == ".extern" {
				p.mod.extern = true
			}
		case ".entry", ".func":
			p.function(word == ".entry", line)
			p.mod.extern = false
		case ".global", ".const", ".shared":
			p.variables(word[1:], p.mod.scope)
			p.mod.extern = false
		case ".file":
			for p.i < len(p.t) && p.t[p.i].line == line {
				p.i++
			}
		case ".section":
			for p.take() != "{" {
			}
			for p.take() != "}" {
			}
		case ";":
		case ".pragma":
			p.skip()
		default:
			refuse(line, "unknown %q", word)
		}
	}
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

func (p *parser) function(entry bool, line int32) {
	f := &function{line: line, entry: entry, scope: p.mod.scope.inner()}
	if !entry {
		f.results = p.parameters()
	}
	f.name = p.take()
	f.params = p.parameters()
	for _, v := range append(f.params[:len(f.params):len(f.params)], f.results...) {
		f.scope.vars[v.name] = v
	}
	for strings.HasPrefix(p.peek(), ".") { // .maxntid 256, 1, 1
		p.take()
		for p.peek() != "" && p.peek() != "{" && p.peek() != ";" && !strings.HasPrefix(p.peek(), ".") {
			p.take()
		}
	}
	if p.accept(";") { // declared, defined later
		if p.mod.functions[f.name] == nil {
			p.mod.functions[f.name] = f
		}
		return
	}
	p.want("{")
	p.body(f)
	if old := p.mod.functions[f.name]; old != nil && old.defined {
		refuse(line, "%s is defined twice", f.name)
	}
	f.defined = true
	p.mod.functions[f.name] = f
}

func (p *parser) body(f *function) {
	s := f.scope
	depth := 1
	for {
		line := p.line()
		switch word := p.take(); {
		case word == "{":
			if depth++; depth > 100 {
				refuse(line, "too many braces")
			}
			s = s.inner()
		case word == "}":
			if depth--; depth == 0 {
				return
			}
			s = s.parent
		case word == ";":
		case word == ".reg":
			p.registers(s)
		case word == ".local" || word == ".shared" || word == ".param":
			p.variables(word[1:], s)
		case word == ".pragma" || word == ".loc":
			if word == ".loc" {
				for p.i < len(p.t) && p.t[p.i].line == line {
					p.i++
				}
				break
			}
			p.skip()
		case p.peek() == ":" && word != "@":
			p.take()
			if _, twice := s.labels[word]; twice {
				refuse(line, "the label %s stands twice", word)
			}
			if p.peek() == ".branchtargets" {
				p.take()
				p.targets(f, s, word)
				break
			}
			s.labels[word] = len(f.body)
		default:
			p.i--
			f.body = append(f.body, p.instruction(s))
		}
	}
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

func (p *parser) instruction(s *scope) statement {
	st := statement{line: p.line(), scope: s}
	if p.accept("@") {
		st.not = p.accept("!")
		st.guard = p.take()
	}
	st.op = strings.Split(p.take(), ".")
	if st.op[0] == "call" {
		p.call(&st)
		return st
	}
	for !p.accept(";") {
		st.args = append(st.args, p.operand())
		if len(st.args) > 64 {
			refuse(st.line, "too many operands")
		}
		if p.peek() != ";" {
			p.want(",")
		}
	}
	return st
}

// call reads the lists of a call: results, the function, arguments.
func (p *parser) call(st *statement) {
	st.lists = make([][]string, 3)
	k := 0
	for !p.accept(";") {
		switch {
		case p.accept("("):
			for !p.accept(")") {
				if k == 1 || k > 2 {
					refuse(st.line, "a call that cannot be read")
				}
				st.lists[k] = append(st.lists[k], p.take())
				p.accept(",")
			}
			if k == 0 {
				k = 1
			}
		case p.accept(","):
		default:
			if k > 1 {
				refuse(st.line, "a call through a pointer")
			}
			st.lists[1] = append(st.lists[1], p.take())
			k = 2
		}
	}
	if len(st.lists[1]) != 1 {
		refuse(st.line, "a call that cannot be read")
	}
}

func (p *parser) operand() operand {
	line := p.line()
	if p.accept("{") {
		var o operand
		o.list = []operand{}
		for !p.accept("}") {
			o.list = append(o.list, p.simple())
			if len(o.list) > 256 {
				refuse(line, "too many operands")
			}
			p.accept(",")
		}
		return o
	}
	if p.accept("[") {
		o := p.simple()
		o.at = true
		if p.accept(",") {
			o.list = append(o.list, p.operandShallow()...)
		}
		p.want("]")
		return o
	}
	return p.simple()
}

// operandShallow reads the coordinates within braces of a tensor's address.
func (p *parser) operandShallow() []operand {
	p.want("{")
	var list []operand
	for !p.accept("}") {
		list = append(list, p.simple())
		p.accept(",")
	}
	return list
}

func (p *parser) simple() operand {
	var o operand
	line := p.line()
	o.not = p.accept("!")
	o.neg = p.accept("-")
	word := p.take()
	if !wordByte(word[0]) {
		p.i--
		refuse(line, "%q stands where an operand should", word)
	}
	if c := word[0]; '0' <= c && c <= '9' {
		o.num = true
		o.value(word, line)
	} else {
		o.text = word
	}
	for p.peek() == "+" || p.peek() == "-" {
		sign := int64(1)
		if p.take() == "-" {
			sign = -1
		}
		o.off += sign * p.integer()
	}
	if p.accept("|") {
		o.also = p.take()
	}
	return o
}

// value reads a number as written.
func (o *operand) value(word string, line int32) {
	if len(word) > 2 && word[0] == '0' && strings.IndexByte("fFdD", word[1]) >= 0 {
		v, err := strconv.ParseUint(word[2:], 16, 64)
		if err != nil {
			refuse(line, "the number %s cannot be read", word)
		}
		o.flt, o.val = word[1]|0x20, v
	} else if v, ok := number(word); ok {
		o.val = v
		if o.neg {
			o.val = -v
		}
		return
	} else if x, err := strconv.ParseFloat(word, 64); err == nil {
		o.flt, o.val = 'd', math.Float64bits(x)
	} else {
		refuse(line, "the number %s cannot be read", word)
	}
	if o.neg {
		o.val ^= 1 << map[byte]int{'f': 31, 'd': 63}[o.flt]
	}
}

// bits returns a number as a register of a type holds it.
func (o *operand) bits(kind string) uint64 {
	v := o.val
	switch {
	case o.flt == 'd' && sizes[kind] == 4:
		v = uint64(math.Float32bits(float32(math.Float64frombits(v))))
	case o.flt == 'f' && sizes[kind] == 8:
		v = math.Float64bits(float64(math.Float32frombits(uint32(v))))
	case o.flt == 0 && kind == "f32" && v != 0:
		v = uint64(math.Float32bits(float32(int64(v))))
	case o.flt == 0 && kind == "f64" && v != 0:
		v = math.Float64bits(float64(int64(v)))
	}
	return v & low(8*sizes[kind])
}

// low returns n ones.
func low(n int) uint64 {
	if n >= 64 {
		return math.MaxUint64
	}
	return 1<<n - 1
}
