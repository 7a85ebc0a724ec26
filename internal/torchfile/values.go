package torchfile

// What a pickle builds, beside nil, bool, int64, float64, string, *big.Int and the
// *tensor, *storage and kind of tensor.go. Strings of Python 2 are strings.
type (
	raw   string // bytes
	long  struct{}
	tuple []any

	list struct {
		items []any
		seen  visit
	}

	dict struct {
		pairs []pair
		sole  bool // no key stands there twice
		seen  visit
	}

	pair struct{ key, value any }

	// global is the name of a class or a function.
	global struct {
		name  string // module and name, joined by a dot
		class bool   // of those that are passed over
	}

	// object is an instance of a class that is passed over. What looks like a dict, and
	// the fields of an argparse.Namespace, are kept.
	object struct {
		class  string
		args   tuple
		fields *dict
	}
)

// long stands for a text or bytes that are longer than longest.
const longest = 4096

// visit is how far the search for tensors has come with a container.
type visit uint8

const (
	fresh  visit = iota
	inside       // it is being searched
	barren       // it holds neither tensors nor scalars
)

// put sets a key of a dict.
func (d *dict) put(b *budget, key, value any) (ok bool) {
	d.pairs, ok = extend(b, d.pairs, pair{key, value})
	d.sole = false
	return ok
}

// settle leaves of each key its last value, in the place of its first.
func (d *dict) settle(b *budget) bool {
	if d.sole {
		return true
	}
	d.sole = true
	if !b.spend(64 * len(d.pairs)) {
		return false
	}
	at := make(map[any]int, len(d.pairs))
	kept := d.pairs[:0]
	for _, p := range d.pairs {
		key, ok := hashable(p.key)
		if ok {
			if i, found := at[key]; found {
				kept[i].value = p.value
				continue
			}
			at[key] = len(kept)
		}
		kept = append(kept, p)
	}
	d.pairs = kept
	return true
}

// hashable returns what can be compared of a key that is a text or a number.
func hashable(key any) (any, bool) {
	switch k := key.(type) {
	case string, raw, int64, float64:
		return k, true
	case bool: // True is the key 1
		if k {
			return int64(1), true
		}
		return int64(0), true
	}
	return nil, false
}
