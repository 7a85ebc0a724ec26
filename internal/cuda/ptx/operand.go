package ptx

import (
	"math"
	"strconv"
	"strings"
)

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

// number reads an integer.
func number(s string) (uint64, bool) {
	s = strings.TrimSuffix(s, "U")
	v, err := strconv.ParseUint(s, 0, 64)
	return v, err == nil
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
