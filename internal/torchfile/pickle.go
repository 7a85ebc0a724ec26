package torchfile

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The operations of a pickle, by the names of Python's pickletools. Those of extension
// registries and of buffers outside the pickle are missing: torch.save has none.
const (
	opMark = '('
	opStop = '.'
	opPop  = '0'
	opDup  = '2'

	opPopMark, opNone, opNewTrue, opNewFalse = '1', 'N', 0x88, 0x89

	opInt, opLong, opFloat, opBinInt, opBinInt1, opBinInt2    = 'I', 'L', 'F', 'J', 'K', 'M'
	opLong1, opLong4, opBinFloat                              = 0x8a, 0x8b, 'G'
	opString, opBinString, opShortBinString                   = 'S', 'T', 'U'
	opUnicode, opBinUnicode, opShortBinUnicode, opBinUnicode8 = 'V', 'X', 0x8c, 0x8d
	opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8    = 'B', 'C', 0x8e, 0x96
	opList, opEmptyList, opAppend, opAppends                  = 'l', ']', 'a', 'e'
	opTuple, opEmptyTuple, opTuple1, opTuple2, opTuple3       = 't', ')', 0x85, 0x86, 0x87
	opDict, opEmptyDict, opSetItem, opSetItems                = 'd', '}', 's', 'u'
	opEmptySet, opAddItems, opFrozenSet                       = 0x8f, 0x90, 0x91
	opGet, opBinGet, opLongBinGet                             = 'g', 'h', 'j'
	opPut, opBinPut, opLongBinPut, opMemoize                  = 'p', 'q', 'r', 0x94
	opGlobal, opStackGlobal                                   = 'c', 0x93
	opReduce, opBuild, opInst, opObj, opNewObj, opNewObjEx    = 'R', 'b', 'i', 'o', 0x81, 0x92
	opPersID, opBinPersID, opProto, opFrame                   = 'P', 'Q', 0x80, 0x95
)

// machine runs one pickle: a list of operations on a stack. It calls nothing.
type machine struct {
	f  *File
	in *source

	stack []any
	marks []int // heights of the stack
	memo  []any
	err   error // the first; everything after it is without meaning
}

// unset is a place of the memo that has no value.
type unset struct{}

// load returns what the pickle at the source builds. The source is then after its end.
func (f *File) load(in *source) (any, error) {
	m := &machine{f: f, in: in}
	for m.err == nil {
		op := in.byte()
		if in.err != nil {
			break
		}
		if op == opStop {
			top := m.pop()
			return top, m.err
		}
		m.step(op)
		if in.err != nil {
			break
		}
	}
	if in.err != nil {
		return nil, in.err
	}
	return nil, m.err
}

func (m *machine) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// malformed fails because no pickle that Python wrote is like this.
func (m *machine) malformed() {
	m.fail(flawf("is damaged: its list of tensors makes no sense at byte %d", m.in.at()))
}

func (m *machine) spend(n int) {
	if !m.f.budget.spend(n) {
		m.exhausted()
	}
}

func (m *machine) exhausted() {
	m.fail(flawf("is refused: what it holds beside the tensors' data takes more than %d MiB of memory, as no weights do", most>>20))
}

func (m *machine) push(v any) {
	var ok bool
	if m.stack, ok = extend(&m.f.budget, m.stack, v); !ok {
		m.exhausted()
	}
}

// floor is how far values may be taken from the stack.
func (m *machine) floor() int {
	if n := len(m.marks); n > 0 {
		return m.marks[n-1]
	}
	return 0
}

func (m *machine) pop() any {
	n := len(m.stack) - 1
	if n < m.floor() {
		m.malformed()
		return nil
	}
	v := m.stack[n]
	m.stack = m.stack[:n]
	return v
}

func (m *machine) top() any {
	v := m.pop()
	if m.err == nil {
		m.stack = m.stack[:len(m.stack)+1]
	}
	return v
}

// popMark takes everything after the last mark. It is valid until the next push.
func (m *machine) popMark() []any {
	n := len(m.marks) - 1
	if n < 0 {
		m.malformed()
		return nil
	}
	at := m.marks[n]
	m.marks = m.marks[:n]
	v := m.stack[at:]
	m.stack = m.stack[:at]
	return v
}

// tuple makes a tuple of a copy of values.
func (m *machine) tuple(v []any) tuple {
	m.spend(24 + 16*len(v))
	if m.err != nil {
		return nil
	}
	return append(make(tuple, 0, len(v)), v...)
}

// step runs an operation.
func (m *machine) step(op byte) {
	in := m.in
	switch op {
	case opMark:
		var ok bool
		if m.marks, ok = extend(&m.f.budget, m.marks, len(m.stack)); !ok {
			m.exhausted()
		}
	case opPop:
		if n := len(m.marks); n > 0 && m.marks[n-1] == len(m.stack) {
			m.marks = m.marks[:n-1]
		} else {
			m.pop()
		}
	case opPopMark:
		m.popMark()
	case opDup:
		m.push(m.top())
	case opNone:
		m.push(nil)
	case opNewTrue, opNewFalse:
		m.push(op == opNewTrue)

	case opInt, opLong, opFloat:
		m.number(op, m.line())
	case opBinInt:
		m.integer(int64(int32(in.uint(4))))
	case opBinInt1:
		m.integer(int64(in.uint(1)))
	case opBinInt2:
		m.integer(int64(in.uint(2)))
	case opLong1:
		m.long(in.uint(1))
	case opLong4:
		m.long(in.uint(4))
	case opBinFloat:
		m.spend(8)
		if b := in.take(8); len(b) == 8 {
			m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}

	case opString, opUnicode:
		m.quoted(op, m.line())
	case opShortBinString, opShortBinUnicode:
		m.text(in.uint(1), false)
	case opBinString, opBinUnicode:
		m.text(in.uint(4), false)
	case opBinUnicode8:
		m.text(in.uint(8), false)
	case opShortBinBytes:
		m.text(in.uint(1), true)
	case opBinBytes:
		m.text(in.uint(4), true)
	case opBinBytes8, opByteArray8:
		m.text(in.uint(8), true)

	case opGet:
		m.get(m.index(m.line()))
	case opBinGet:
		m.get(in.uint(1))
	case opLongBinGet:
		m.get(in.uint(4))
	case opPut:
		m.put(m.index(m.line()))
	case opBinPut:
		m.put(in.uint(1))
	case opLongBinPut:
		m.put(in.uint(4))
	case opMemoize:
		m.put(uint64(len(m.memo)))

	case opGlobal:
		module := m.line()
		m.global(module, m.line())
	case opStackGlobal:
		name, ok1 := m.pop().(string)
		module, ok2 := m.pop().(string)
		if !ok1 || !ok2 {
			m.malformed()
			return
		}
		m.global(module, name)
	case opReduce:
		args := m.pop()
		m.call(m.pop(), args)
	case opNewObj:
		args := m.pop()
		m.call(m.pop(), args)
	case opNewObjEx:
		m.pop() // arguments by name
		args := m.pop()
		m.call(m.pop(), args)
	case opInst:
		module := m.line()
		name := m.line()
		args := m.tuple(m.popMark())
		m.global(module, name)
		m.call(m.pop(), args)
	case opObj:
		v := m.tuple(m.popMark())
		if len(v) == 0 {
			m.malformed()
			return
		}
		m.call(v[0], v[1:])
	case opBuild:
		state := m.pop()
		m.build(m.top(), state)
	case opBinPersID:
		m.push(m.storage(m.pop()))
	case opProto:
		if v := in.uint(1); v > 5 {
			m.fail(flawf("is a pickle of protocol %d, and those up to 5 are known", v))
		}
	case opFrame:
		in.uint(8)
	default:
		m.container(op)
	}
}

// line takes a line.
func (m *machine) line() string {
	s := m.in.line()
	m.spend(len(s))
	return s
}

// index returns the place of the memo that a line names.
func (m *machine) index(line string) uint64 {
	v, err := strconv.ParseUint(line, 10, 32)
	if err != nil {
		m.malformed()
	}
	return v
}

func (m *machine) get(i uint64) {
	if i >= uint64(len(m.memo)) || m.memo[i] == (unset{}) {
		m.malformed()
		return
	}
	m.push(m.memo[i])
}

// put remembers the top of the stack. Python numbers the places one after the other, so
// there are few gaps.
func (m *machine) put(i uint64) {
	if i > uint64(len(m.memo))+1024 {
		m.malformed()
		return
	}
	v := m.top()
	for ok := true; uint64(len(m.memo)) <= i && m.err == nil; {
		if m.memo, ok = extend[any](&m.f.budget, m.memo, unset{}); !ok {
			m.exhausted()
		}
	}
	if m.err == nil {
		m.memo[i] = v
	}
}
