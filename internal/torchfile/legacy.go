package torchfile

import (
	"encoding/binary"
	"io"
	"math/big"
)

// magic is the number that torch.save put first before version 1.6.
var magic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

// readLegacy reads the format before version 1.6: five pickles (the magic number, a
// version, what the machine is like, the object, the keys of the storages), and for each
// storage the number of its elements and the elements.
func (f *File) readLegacy() (any, error) {
	in := newSource(f.r, 0, f.size)
	first, err := f.load(in)
	if n, ok := first.(*big.Int); err != nil || !ok || n.Cmp(magic) != 0 {
		if _, ok := err.(flaw); err != nil && !ok {
			return nil, err
		}
		return nil, flawf("is a Python pickle that torch.save did not write: in Python, save the weights with %s", stateDict)
	}
	version, err := f.load(in)
	if err != nil {
		return nil, err
	}
	if v, ok := version.(int64); !ok || v != 1001 {
		return nil, flaw("is damaged: its version is not 1001, the only one that torch.save has written")
	}
	machine, err := f.load(in)
	if err != nil {
		return nil, err
	}
	if d, ok := machine.(*dict); ok {
		for _, p := range d.pairs {
			if p.key == "little_endian" && p.value == false {
				return nil, flaw(bigEndian)
			}
		}
	}
	top, err := f.load(in)
	if err != nil {
		return nil, err
	}
	keys, err := f.load(in)
	if err != nil {
		return nil, err
	}
	return top, f.place(keys, in.at())
}

// legacyStorage returns the storage of a key. Where its bytes are is known later. It may
// be part of another, which the last of the identifier tells.
func (f *File) legacyStorage(key string, k kind, count int64, rest tuple) (*storage, error) {
	r := f.roots[key]
	if r == nil {
		r = &record{name: key, at: -1, bytes: count * k.size, kind: k, checked: true}
		f.sum += r.bytes
		if r.bytes > f.size || f.sum > f.size {
			return nil, tooMuch(key, count, k, f.size)
		}
		f.roots[key] = r
	}
	if r.kind != k || r.bytes != count*k.size {
		return nil, flawf("is damaged or made up: its storage %q is named with two types or sizes", key)
	}
	s := &storage{rec: r, kind: k, count: count}
	if len(rest) == 0 || rest[0] == nil {
		return s, nil
	}
	v, _ := rest[0].(tuple)
	if len(v) == 3 {
		offset, ok1 := v[1].(int64)
		n, ok2 := v[2].(int64)
		if ok1 && ok2 && offset >= 0 && n >= 0 && offset <= count && n <= count-offset {
			s.offset, s.count = offset, n
			return s, nil
		}
	}
	return nil, flawf("is damaged: a part of its storage %q is not within it", key)
}

// place finds the bytes of the storages, which begin at a byte of the file.
func (f *File) place(keys any, at int64) error {
	l, ok := keys.(*list)
	if !ok {
		return flaw("is damaged: its list of storages is missing; " + again)
	}
	placed := 0
	for _, item := range l.items {
		key, ok := keyText(item)
		r := f.roots[key]
		if !ok || r == nil || r.at >= 0 {
			return flaw("is damaged: its list of storages does not fit its tensors; " + again)
		}
		var b [8]byte
		if _, err := f.r.ReadAt(b[:], at); err == io.EOF {
			return flaw("was cut short: its last storages are missing; " + again)
		} else if err != nil {
			return err
		}
		if n := binary.LittleEndian.Uint64(b[:]); n != uint64(r.bytes/r.kind.size) {
			return flawf("is damaged: its storage %q has %d numbers, and %d were announced; %s", key, n, r.bytes/r.kind.size, again)
		}
		r.at = at + 8
		at = r.at + r.bytes
		if at > f.size {
			return flaw("was cut short: its last storages are missing; " + again)
		}
		placed++
	}
	if placed != len(f.roots) {
		return flaw("is damaged: its list of storages does not fit its tensors; " + again)
	}
	return nil
}
