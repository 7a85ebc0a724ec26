package amx

import "fmt"

// memory is that of the process.
type memory interface {
	read(rows [][]byte, at, stride uint64) error
	write(rows [][]byte, at, stride uint64) error
}

// do executes an instruction for a thread whose general registers are r.
func (t *tiles) do(i instruction, r *[16]uint64, m memory) error {
	at, stride := uint64(i.disp), uint64(0)
	if i.base >= 0 && i.base < 16 {
		at += r[i.base]
	}
	if i.index >= 0 {
		stride = r[i.index] << i.scale
	}
	var whole [64]byte
	switch i.kind {
	case ldtilecfg:
		if err := m.read([][]byte{whole[:]}, at+stride, 0); err != nil {
			return err
		}
		return t.configure(whole)
	case sttilecfg:
		whole = t.configuration()
		return m.write([][]byte{whole[:]}, at+stride, 0)
	case tilerelease:
		*t = tiles{}
		return nil
	case tdpbf16ps:
		return t.multiply(i.dst, i.left, i.right)
	}
	x, err := t.get(i.dst)
	if err != nil {
		return err
	}
	var rows [16][]byte
	for n := range rows {
		rows[n] = x.data[n][:x.bytes]
	}
	switch i.kind {
	case tilezero:
		x.data = [16][64]byte{}
		return nil
	case tileloadd, tileloaddt1:
		x.data = [16][64]byte{}
		return m.read(rows[:x.rows], at, stride)
	case tilestored:
		return m.write(rows[:x.rows], at, stride)
	}
	return fmt.Errorf("instruction %d is not known", i.kind)
}
