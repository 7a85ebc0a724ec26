package batch

import (
	"cmp"
	"fmt"
	"strings"
)

// Bad is an item that cannot be used.
type Bad struct {
	Name string // of the item
	Err  error  // names the file and the reason
}

// TooManyBad is the error when more items are bad than is allowed, or all items of a
// part.
type TooManyBad struct {
	Bad   []Bad
	Total int    // items there are
	Left  int    // of them, not looked at yet
	Kind  string // what they are; empty: images
	Most  *float64
}

func (e *TooManyBad) Error() string {
	const shown = 5
	var reasons []string
	for _, b := range e.Bad[:min(len(e.Bad), shown)] {
		reasons = append(reasons, b.Err.Error())
	}
	if more := len(e.Bad) - shown; more > 0 {
		reasons = append(reasons, fmt.Sprintf("and %d more", more))
	}
	kind, list := cmp.Or(e.Kind, "images"), strings.Join(reasons, "; ")
	if e.Total == 1 {
		return fmt.Sprintf("the only one of the %s cannot be read: %s", kind, list)
	}
	if len(e.Bad) == e.Total {
		return fmt.Sprintf("none of the %d %s can be read: %s", e.Total, kind, list)
	}
	least := ""
	if e.Left > 0 {
		least = "at least "
	}
	most := "a tenth"
	switch {
	case e.Most == nil:
	case *e.Most == 0:
		return fmt.Sprintf("%s%d of %d %s cannot be read, and none may be bad: %s", least, len(e.Bad), e.Total, kind, list)
	default:
		most = fmt.Sprintf("the share of %v that may be bad", *e.Most)
	}
	return fmt.Sprintf("%s%d of %d %s cannot be read, more than %s: %s", least, len(e.Bad), e.Total, kind, most, list)
}

// Kinds of items of data that has a part to score on.
const (
	toTrain = "images to train on"
	toScore = "images to score on"
)

// tooMany reports whether more than the allowed share of items is bad; nil is a tenth.
func tooMany(bad, total int, most *float64) bool {
	if most == nil {
		return bad*10 > total
	}
	return float64(bad) > *most*float64(total)
}

// Tally counts bad items over all parts of the data, those to train on and those to
// score on: the share that may be bad counts for all of them together.
type Tally struct {
	Total int      // items of all parts
	Kind  string   // what they are; empty: images
	Most  *float64 // the share of them that may be bad; nil: a tenth

	seen int
	bad  []Bad
}

// Add counts so many more items that were looked at, and those of them that are bad. If
// more are bad than is allowed, it returns an error of type *TooManyBad.
func (t *Tally) Add(seen int, bad []Bad) error {
	t.seen += seen
	t.bad = append(t.bad, bad...)
	if tooMany(len(t.bad), t.Total, t.Most) {
		return &TooManyBad{Bad: t.bad, Total: t.Total, Left: t.Total - t.seen, Kind: t.Kind, Most: t.Most}
	}
	return nil
}
