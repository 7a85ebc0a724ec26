package torchfile

import (
	"math"
	"strconv"
)

// kind is the type of a storage's elements.
type kind struct {
	name string // as PyTorch says it
	size int64  // bytes
}

// kinds are the types by the names of their storages.
var kinds = map[string]kind{
	"Double": {"float64", 8}, "Float": {"float32", 4}, "Half": {"float16", 2}, "BFloat16": {"bfloat16", 2},
	"Long": {"int64", 8}, "Int": {"int32", 4}, "Short": {"int16", 2}, "Char": {"int8", 1}, "Byte": {"uint8", 1},
	"Bool": {"bool", 1}, "Untyped": {"uint8", 1}, "_Untyped": {"uint8", 1},
	"ComplexDouble": {"complex128", 16}, "ComplexFloat": {"complex64", 8}, "ComplexHalf": {"complex32", 4},
	"QInt8": {"qint8", 1}, "QUInt8": {"quint8", 1}, "QInt32": {"qint32", 4},
	"QUInt4x2": {"quint4x2", 1}, "QUInt2x4": {"quint2x4", 1},
}

// later are the types that have no storage of their own.
var later = map[string]int64{
	"uint16": 2, "uint32": 4, "uint64": 8,
	"float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}

// kindOf returns the type that is named as torch.float32 is.
func kindOf(dtype any) (kind, bool) {
	g, ok := dtype.(*global)
	if !ok || len(g.name) < len("torch.") || g.name[:len("torch.")] != "torch." {
		return kind{}, false
	}
	name := g.name[len("torch."):]
	for _, k := range kinds {
		if k.name == name {
			return k, true
		}
	}
	size, ok := later[name]
	return kind{name, size}, ok
}

// storage is a run of elements, which tensors are views of.
type storage struct {
	rec    *record
	kind   kind
	offset int64 // elements of the record before it
	count  int64
}

// storage returns the storage that a persistent identifier names: "storage", its type,
// key, device and number of elements, and which part of it in PyTorch's oldest files.
func (m *machine) storage(id any) any {
	v, _ := id.(tuple)
	if len(v) > 1 && v[0] == "module" { // a class, and its source, before version 1.6
		if g, ok := v[1].(*global); ok {
			return g
		}
	}
	if m.err != nil || len(v) < 5 || v[0] != "storage" {
		m.malformed()
		return nil
	}
	k, ok1 := v[1].(kind)
	key, ok2 := keyText(v[2])
	count, ok3 := v[4].(int64)
	if !ok1 || !ok2 || !ok3 || count < 0 {
		m.malformed()
		return nil
	}
	m.spend(128)
	if count > math.MaxInt64/k.size {
		m.fail(tooMuch(key, count, k, m.f.size))
		return nil
	}
	var s *storage
	var err error
	if m.f.archive != nil {
		s, err = m.f.archive.storage(key, k, count)
	} else {
		s, err = m.f.legacyStorage(key, k, count, v[5:])
	}
	if err != nil {
		m.fail(err)
		return nil
	}
	return s
}

// keyText is the key of a storage, which is a text or in old files a number.
func keyText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, len(v) <= 100
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

func tooMuch(key string, count int64, k kind, there int64) error {
	return flawf("is damaged, cut short or made up: its storage %q claims %d numbers of type %s, and only %d bytes are there", key, count, k.name, there)
}
