package settings

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/show"
)

// Starter is a list whose items start as something else than nothing.
type Starter interface {
	// Start makes it a list of n items, over which those of a file are laid, or
	// says why it cannot.
	Start(n int) error
}

// Usual is a struct with parts that may be left out, of which each has values
// that are usual.
type Usual interface {
	// Usual returns a pointer to the usual values of the part of a key, over which
	// those of a file are laid; nil: they are nothing.
	Usual(key string) any
}

// Lay lays keys and values over the struct that into points to: what they do not
// name keeps its value. A file that cannot be laid changes nothing.
func Lay(root *yaml.Node, name string, into any) error {
	l := layer{name: name, known: map[reflect.Type]fields{}}
	to := reflect.ValueOf(into).Elem()
	next := reflect.New(to.Type()).Elem()
	next.Set(to)
	if err := l.lay(root, next, ""); err != nil {
		return err
	}
	to.Set(next)
	return nil
}

// Unmarshal lays a text over the struct that into points to.
func Unmarshal(raw []byte, name string, into any) error {
	root, err := Parse(raw, name)
	if err != nil || root == nil {
		return err
	}
	return Lay(root, name, into)
}

// layer lays a file of some name.
type layer struct {
	name  string
	steps int // values visited, by way of aliases as well
	depth int // of merged ones
	known map[reflect.Type]fields
}

// maxSteps and maxDepth bound what aliases may multiply.
const (
	maxSteps = maxMarks
	maxDepth = 100
)

func (l *layer) errorf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", l.name, n.Line, fmt.Sprintf(format, args...))
}

// wrong says that a value is not what a key wants.
func (l *layer) wrong(n *yaml.Node, path, want string) error {
	return l.errorf(n, "%s is %s, but must be %s", path, given(n), want)
}

// given shows a value in a message.
func given(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a list of keys and values"
	case isText(n):
		return fmt.Sprintf("the text %q", short(n.Value))
	}
	return show.Line(short(n.Value))
}

// isText says that a value is written as a text: in quotes, or marked.
func isText(n *yaml.Node) bool {
	const text = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Style&(text|yaml.TaggedStyle) != 0
}

func short(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// follow returns what a node stands for, and refuses what says nothing.
func (l *layer) follow(n *yaml.Node, path string) (*yaml.Node, error) {
	if l.steps++; l.steps > maxSteps || l.depth > maxDepth {
		return nil, l.errorf(n, "aliases (*) repeat too much here; write the values out")
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, l.errorf(n, "%s has no value; give one, or leave the key out", path)
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!binary" && n.Tag != "!!str" {
		return nil, l.errorf(n, "%s has the tag %s, which is not read here; leave it out", path, show.Line(short(n.Tag)))
	}
	return n, nil
}

// lay lays a node over a value.
func (l *layer) lay(n *yaml.Node, to reflect.Value, path string) error {
	n, err := l.follow(n, path)
	if err != nil {
		return err
	}
	if s, ok := to.Addr().Interface().(Starter); ok {
		if n.Kind != yaml.SequenceNode {
			return l.wrong(n, path, "a list")
		}
		if err := s.Start(len(n.Content)); err != nil {
			return l.errorf(n, "%s %s", path, err)
		}
		return l.items(n, to, path)
	}
	switch to.Kind() {
	case reflect.Struct:
		return l.fields(n, to, path)
	case reflect.Pointer:
		// What it points to may be another configuration's too.
		value := reflect.New(to.Type().Elem())
		if !to.IsNil() {
			value.Elem().Set(to.Elem())
		}
		if err := l.lay(n, value.Elem(), path); err != nil {
			return err
		}
		to.Set(value)
		return nil
	case reflect.Array, reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return l.wrong(n, path, "a list, such as [1, 2]")
		}
		if to.Kind() == reflect.Array {
			if len(n.Content) != to.Len() {
				return l.errorf(n, "%s is a list of %d, but must be one of %d", path, len(n.Content), to.Len())
			}
		} else if len(n.Content) == 0 {
			to.SetZero()
		} else {
			to.Set(reflect.MakeSlice(to.Type(), len(n.Content), len(n.Content)))
		}
		return l.items(n, to, path)
	}
	return l.scalar(n, to, path)
}

func (l *layer) items(n *yaml.Node, to reflect.Value, path string) error {
	for i, item := range n.Content {
		if err := l.lay(item, to.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

// fields lays keys and values over a struct.
func (l *layer) fields(n *yaml.Node, to reflect.Value, path string) error {
	keys, ok := l.known[to.Type()]
	if !ok {
		keys = fieldsOf(to.Type())
		l.known[to.Type()] = keys
	}
	if n.Kind != yaml.MappingNode {
		if path == "" {
			return l.errorf(n, "here are to be keys and values, of: %s", keys.names())
		}
		return l.wrong(n, path, "keys and values, of: "+keys.names())
	}
	seen := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return l.errorf(key, "a key must be a word; known here: %s", keys.names())
		}
		if line, ok := seen[key.Value]; ok {
			return l.errorf(key, "key %q is given twice, on line %d and here; keep one", short(join(path, key.Value)), line)
		}
		seen[key.Value] = key.Line
		if key.Tag == "!!merge" {
			merged = append(merged, n.Content[i+1])
		} else if _, ok := keys.find(key.Value); !ok {
			return l.errorf(key, "unknown key %q; known here: %s", short(join(path, key.Value)), keys.names())
		}
	}
	for _, m := range merged { // what stands beside it counts more
		if err := l.merge(m, to, path); err != nil {
			return err
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i]; key.Tag != "!!merge" {
			f, _ := keys.find(key.Value)
			part := to.FieldByIndex(f.index)
			if u, ok := to.Addr().Interface().(Usual); ok && part.Kind() == reflect.Pointer && part.IsNil() {
				if usual := u.Usual(key.Value); usual != nil {
					part.Set(reflect.ValueOf(usual))
				}
			}
			if err := l.lay(n.Content[i+1], part, join(path, key.Value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// merge lays what << names: keys and values, or a list of such, of which the first
// counts most.
func (l *layer) merge(n *yaml.Node, to reflect.Value, path string) error {
	l.depth++
	defer func() { l.depth-- }()
	n, err := l.follow(n, join(path, "<<"))
	if err != nil {
		return err
	}
	if n.Kind != yaml.SequenceNode {
		return l.fields(n, to, path)
	}
	for i := len(n.Content) - 1; i >= 0; i-- {
		item, err := l.follow(n.Content[i], join(path, "<<"))
		if err != nil {
			return err
		}
		if err := l.fields(item, to, path); err != nil {
			return err
		}
	}
	return nil
}

func (l *layer) scalar(n *yaml.Node, to reflect.Value, path string) error {
	kinds := map[reflect.Kind]string{reflect.Int: whole, reflect.Uint64: whole, reflect.Float64: number,
		reflect.Bool: "true or false", reflect.String: "a text"}
	want, ok := kinds[to.Kind()]
	if !ok {
		panic(fmt.Sprintf("settings: %s is of type %s", path, to.Type()))
	}
	if n.Kind != yaml.ScalarNode {
		return l.wrong(n, path, want)
	}
	if to.Kind() == reflect.String {
		text := n.Value
		if n.Tag == "!!binary" {
			raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				return l.errorf(n, "%s is marked as !!binary, but is not in base64", path)
			}
			text = string(raw)
		}
		if len(text) > MaxText {
			return l.errorf(n, "%s is a text of %d bytes, more than %d", path, len(text), MaxText)
		}
		to.SetString(text)
		return nil
	}
	if isText(n) {
		return l.wrong(n, path, want+", without quotes")
	}
	switch to.Kind() {
	case reflect.Int:
		v, err := ParseInt(n.Value)
		if err != nil {
			return l.wrong(n, path, err.Error())
		}
		to.SetInt(int64(v))
	case reflect.Uint64:
		v, err := ParseUint(n.Value)
		if err != nil {
			return l.wrong(n, path, err.Error())
		}
		to.SetUint(v)
	case reflect.Float64:
		v, err := ParseFloat(n.Value)
		if err != nil {
			return l.wrong(n, path, err.Error())
		}
		to.SetFloat(v)
	case reflect.Bool:
		v, ok := parseBool(n.Value)
		if !ok {
			return l.wrong(n, path, want)
		}
		to.SetBool(v)
	}
	return nil
}

func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y":
		return true, true
	case "false", "no", "off", "n":
		return false, true
	}
	return false, false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// field is one that a key may name.
type field struct {
	key   string
	index []int
}

type fields []field

// fieldsOf lists the fields of a struct, those of inlined ones too.
func fieldsOf(t reflect.Type) (all fields) {
	for _, f := range reflect.VisibleFields(t) {
		key, inline := strings.CutSuffix(f.Tag.Get("yaml"), ",inline")
		if inline || !f.IsExported() || key == "-" {
			continue // the fields of an inlined one are visible too
		}
		key, _, _ = strings.Cut(key, ",")
		if key == "" {
			key = strings.ToLower(f.Name)
		}
		all = append(all, field{key, f.Index})
	}
	return all
}

func (fs fields) find(key string) (field, bool) {
	for _, f := range fs {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func (fs fields) names() string {
	var names []string
	for _, f := range fs {
		names = append(names, f.key)
	}
	return strings.Join(names, ", ")
}
