package torchfile

import (
	"math/big"
	"strconv"
	"strings"
)

func (m *machine) integer(v int64) {
	m.spend(8)
	m.push(v)
}

// text pushes a text of n bytes, or bytes.
func (m *machine) text(n uint64, bytes bool) {
	if n > longest {
		m.in.skip(n)
		m.push(long{})
		return
	}
	m.spend(16 + int(n))
	if b := m.in.take(int(n)); bytes {
		m.push(raw(b))
	} else {
		m.push(string(b))
	}
}

// number pushes what a line says.
func (m *machine) number(op byte, line string) {
	if op == opFloat {
		v, err := strconv.ParseFloat(line, 64)
		if err != nil && v == 0 { // beyond the range it is infinite
			m.malformed()
			return
		}
		m.spend(8)
		m.push(v)
		return
	}
	if op == opInt && (line == "00" || line == "01") {
		m.push(line == "01")
		return
	}
	line = strings.TrimSuffix(line, "L")
	if v, err := strconv.ParseInt(line, 10, 64); err == nil {
		m.integer(v)
		return
	}
	m.spend(128)
	v, ok := new(big.Int).SetString(line, 10)
	if !ok {
		m.malformed()
		return
	}
	m.push(v)
}

// long pushes a whole number of n bytes, the lowest first, in two's complement.
func (m *machine) long(n uint64) {
	if n > 256 {
		m.in.skip(n)
		m.push(long{})
		return
	}
	b := m.in.take(int(n))
	if n <= 8 {
		var v uint64
		for i, x := range b {
			v |= uint64(x) << (8 * i)
		}
		shift := 64 - 8*n
		m.integer(int64(v<<shift) >> shift)
		return
	}
	m.spend(64 + 2*int(n))
	whole := make([]byte, len(b))
	for i, x := range b {
		whole[len(b)-1-i] = x
	}
	v := new(big.Int).SetBytes(whole)
	if len(b) > 0 && b[len(b)-1] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	m.push(v)
}

// quoted pushes a text of protocol 0: in quotes, or with the escapes of Python alone.
func (m *machine) quoted(op byte, line string) {
	m.spend(16 + 2*len(line))
	if op == opString {
		if len(line) < 2 || line[0] != line[len(line)-1] || line[0] != '\'' && line[0] != '"' {
			m.malformed()
			return
		}
		line = line[1 : len(line)-1]
	}
	var out strings.Builder
	for line != "" && strings.Contains(line, `\`) {
		if line[0] == '\\' && len(line) > 1 && (line[1] == '\'' || line[1] == '"') {
			out.WriteByte(line[1])
			line = line[2:]
			continue
		}
		r, multibyte, rest, err := strconv.UnquoteChar(line, 0)
		switch {
		case err != nil: // as it stands
			out.WriteByte(line[0])
			rest = line[1:]
		case multibyte:
			out.WriteRune(r)
		default:
			out.WriteByte(byte(r))
		}
		line = rest
	}
	out.WriteString(line)
	m.push(out.String())
}
