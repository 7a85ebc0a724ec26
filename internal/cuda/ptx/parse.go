package ptx

import (
	"strings"
)

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
