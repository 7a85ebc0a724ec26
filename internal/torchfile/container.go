package torchfile

// container runs the operations on lists, tuples, dicts and sets.
func (m *machine) container(op byte) {
	switch op {
	case opEmptyList, opEmptySet:
		m.spend(32)
		m.push(&list{})
	case opList, opFrozenSet:
		m.spend(32)
		m.push(&list{items: m.tuple(m.popMark())})
	case opAppend:
		v := m.pop()
		m.append(m.top(), v)
	case opAppends, opAddItems:
		v := m.popMark()
		m.append(m.top(), v...)
	case opTuple:
		m.push(m.tuple(m.popMark()))
	case opEmptyTuple:
		m.push(tuple(nil))
	case opTuple1, opTuple2, opTuple3:
		n := len(m.stack) - int(op-opTuple1+1)
		if n < m.floor() {
			m.malformed()
			return
		}
		v := m.tuple(m.stack[n:])
		m.stack = m.stack[:n]
		m.push(v)
	case opEmptyDict:
		m.spend(32)
		m.push(&dict{})
	case opDict:
		v := m.popMark()
		m.spend(32)
		d := &dict{}
		m.set(d, v)
		m.push(d)
	case opSetItem:
		v := m.pop()
		k := m.pop()
		m.set(m.top(), []any{k, v})
	case opSetItems:
		v := m.popMark()
		m.set(m.top(), v)
	case opPersID:
		m.malformed() // torch.save has none that are text
	default:
		m.malformed()
	}
}

// append puts values at the end of a list.
func (m *machine) append(to any, v ...any) {
	switch to := to.(type) {
	case *list:
		var ok bool
		if to.items, ok = extend(&m.f.budget, to.items, v...); !ok {
			m.exhausted()
		}
	case *object: // a class of lists, which is passed over
	default:
		m.malformed()
	}
}

// set puts keys and values, in turns, into a dict.
func (m *machine) set(to any, v []any) {
	d, _ := to.(*dict)
	if o, ok := to.(*object); ok { // a class of dicts
		if o.fields == nil {
			m.spend(32)
			o.fields = &dict{}
		}
		d = o.fields
	}
	if d == nil || len(v)%2 != 0 {
		m.malformed()
		return
	}
	for i := 0; i < len(v) && m.err == nil; i += 2 {
		if !d.put(&m.f.budget, v[i], v[i+1]) {
			m.exhausted()
		}
	}
}
