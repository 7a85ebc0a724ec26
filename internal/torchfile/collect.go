package torchfile

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"vicreg/internal/show"
)

const (
	mostScalars = 1000
	mostVisits  = 4 << 20 // of things inside containers
	deepest     = 100     // containers in one another
	longestName = 1000
	longestText = 200
)

// collector names the tensors and scalars of what a pickle built.
type collector struct {
	f      *File
	path   []step // to what is being searched
	visits int
	left   int   // scalars beyond mostScalars
	stores int   // storages that are no tensors
	total  int64 // elements of all tensors
	found  int   // different tensors
	err    error
}

// step is a key of a dict, or if there is none an index of a list.
type step struct {
	key   any
	index int
}

// collect fills in the tensors, scalars and notes of a file.
func (f *File) collect(top any) error {
	c := &collector{f: f}
	if t, ok := top.(*tensor); ok {
		c.path = []step{{key: "tensor"}}
		c.tensor(t)
	} else {
		c.search(top)
	}
	if c.err != nil {
		return c.err
	}
	if len(f.list) == 0 {
		return flaw("holds no tensors: it is not a file of weights")
	}
	if c.total-spread > 4*f.size {
		return flawf("is made up: its tensors claim %d numbers, many times what its %d bytes can hold", c.total, f.size)
	}
	c.note()
	return nil
}

func (c *collector) refuse(format string, args ...any) {
	if c.err == nil {
		c.err = flawf("is refused: "+format+", as no weights do", args...)
	}
}

// search goes through a container. It reports whether it found anything.
func (c *collector) search(v any) (found bool) {
	seen := new(visit)
	switch v := v.(type) {
	case *dict:
		seen = &v.seen
	case *list:
		seen = &v.seen
	}
	if *seen != fresh { // it holds itself, or nothing
		return *seen == inside
	}
	if len(c.path) > deepest {
		c.refuse("it has more than %d lists or dictionaries in one another", deepest)
		return false
	}
	*seen = inside
	switch v := v.(type) {
	case *dict:
		if !v.settle(&c.f.budget) {
			c.refuse("its dictionaries take too much memory")
		}
		for _, p := range v.pairs {
			found = c.value(step{key: p.key}, p.value) || found
		}
	case *list:
		found = c.items(v.items)
	case tuple:
		found = c.items(v)
	case *object:
		found = v.fields != nil && c.search(v.fields)
	}
	if *seen = fresh; !found {
		*seen = barren
	}
	return found
}

func (c *collector) items(items []any) (found bool) {
	for i, item := range items {
		found = c.value(step{index: i}, item) || found
	}
	return found
}

// value goes through what is at a key. It reports whether it found anything.
func (c *collector) value(at step, v any) (found bool) {
	if c.visits++; c.visits > mostVisits {
		c.refuse("its lists and dictionaries repeat one another without end")
	}
	if c.err != nil {
		return false
	}
	c.path = append(c.path, at)
	switch v := v.(type) {
	case *tensor:
		c.tensor(v)
		found = true
	case *storage:
		c.stores++
	case *global:
		if _, dtype := kindOf(v); !dtype && !v.class {
			c.f.named[v.name]++
		}
	case *dict, *list, tuple, *object:
		found = c.search(v)
	default:
		found = at.key != nil && c.scalar(v)
	}
	c.path = c.path[:len(c.path)-1]
	return found
}

// name joins the path. It is false if that is too long, or takes too much memory.
func (c *collector) name() (string, bool) {
	var b []byte
	for i, s := range c.path {
		if i > 0 {
			b = append(b, '.')
		}
		switch k := s.key.(type) {
		case nil:
			b = strconv.AppendInt(b, int64(s.index), 10)
		case string:
			b = append(b, readable(k)...)
		case raw:
			b = append(b, readable(string(k))...)
		case int64:
			b = strconv.AppendInt(b, k, 10)
		case float64:
			b = strconv.AppendFloat(b, k, 'g', -1, 64)
		case *global:
			b = append(b, k.name...)
		default:
			b = append(b, '?')
		}
		if len(b) > longestName {
			return "", false
		}
	}
	if !c.f.budget.spend(3*len(b) + 512) { // with what else there is for each
		c.refuse("it has more tensors than %d MiB of memory hold the names of", most>>20)
	}
	return string(b), c.err == nil
}

// readable returns a text of Python 2 that is not UTF-8 with each byte as a character.
func readable(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func (c *collector) tensor(t *tensor) {
	f := c.f
	if !t.found {
		t.found = true
		c.found++
	}
	name, ok := c.name()
	if !ok {
		c.refuse("the name of a tensor has more than %d bytes", longestName)
		return
	}
	if _, ok := f.tensors[name]; ok {
		f.twice[name] = true
		return
	}
	c.total += t.count
	shape := make([]int, len(t.shape))
	for i, s := range t.shape {
		shape[i] = int(s)
	}
	f.tensors[name] = t
	f.list = append(f.list, Info{Name: name, Shape: shape, Type: t.kind.name})
}

// scalar keeps a short text or a number. It reports whether it is one.
func (c *collector) scalar(v any) bool {
	var text string
	switch v := v.(type) {
	case bool:
		text = strconv.FormatBool(v)
	case int64:
		text = strconv.FormatInt(v, 10)
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		text = v
	default:
		return false
	}
	if len(text) > longestText || !utf8.ValidString(text) {
		return false
	}
	if len(c.f.scalars) >= mostScalars {
		c.left++
		return true
	}
	if name, ok := c.name(); ok {
		if _, twice := c.f.scalars[name]; !twice {
			c.f.scalars[name] = text
		}
	}
	return true
}

// note says what was passed over.
func (c *collector) note() {
	f := c.f
	say := func(format string, args ...any) { f.notes = append(f.notes, fmt.Sprintf(format, args...)) }
	for _, known := range []string{namespace, "torch.device", "numpy.dtype", "torch.serialization._get_layout"} {
		delete(f.objects, known)
	}
	if len(f.objects) > 0 {
		say("objects that are no weights were passed over: %s", show.Tally(f.objects, ""))
	}
	if len(f.named) > 0 {
		say("names of classes and functions were passed over: %s", show.Tally(f.named, ""))
	}
	if n := f.made - c.found; n > 0 {
		say("%s inside objects that are no weights were passed over", show.Count(n, "tensor"))
	}
	if c.stores > 0 {
		say("%s outside tensors were passed over", show.Count(c.stores, "storage"))
	}
	if c.left > 0 {
		say("of the numbers and texts beside the tensors the first %d are listed, %d more are not", mostScalars, c.left)
	}
	if n := len(f.twice); n > 0 {
		say("%s that several tensors have in common cannot be read", show.Count(n, "name"))
	}
}
