// Package amx does the work of AMX's instructions, for tests of products on processors
// that lack them: [Run] runs tests of a test binary under a tracer, which steps in wherever
// the processor meets such an instruction and knows it not. What an instruction does, and
// when it is wrong, follows its definition in the Intel 64 manual (volume 2, chapters 4 and
// 5, under its name), so a mistake in a kernel fails here as it would there.
package amx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// tile is a register of up to 16 rows of 64 bytes.
type tile struct {
	rows, bytes int // none: not in use
	data        [16][64]byte
}

// tiles is what AMX keeps for a thread.
type tiles struct {
	configured bool
	tile       [8]tile
}

// configure does LDTILECFG: palette 1 has eight tiles of at most 16 rows of 64 bytes, and
// palette 0 none. All tiles are cleared.
func (t *tiles) configure(c [64]byte) error {
	*t = tiles{}
	switch c[0] {
	case 0:
		return nil
	case 1:
	default:
		return fmt.Errorf("palette %d", c[0])
	}
	for i, b := range c {
		unused := i >= 2 && i < 16 || i >= 32 && i < 48 || i >= 56
		if unused && b != 0 {
			return fmt.Errorf("byte %d of the configuration is %d", i, b)
		}
	}
	if c[1] != 0 {
		return fmt.Errorf("the configuration starts at row %d", c[1])
	}
	for i := range t.tile {
		rows, bytes := int(c[48+i]), int(binary.LittleEndian.Uint16(c[16+2*i:]))
		if rows > 16 || bytes > 64 || (rows == 0) != (bytes == 0) {
			return fmt.Errorf("tile %d is configured as %d rows of %d bytes", i, rows, bytes)
		}
		t.tile[i].rows, t.tile[i].bytes = rows, bytes
	}
	t.configured = true
	return nil
}

// configuration does STTILECFG.
func (t *tiles) configuration() (c [64]byte) {
	if !t.configured {
		return c
	}
	c[0] = 1
	for i, x := range t.tile {
		c[48+i] = byte(x.rows)
		binary.LittleEndian.PutUint16(c[16+2*i:], uint16(x.bytes))
	}
	return c
}

// get returns a tile that is in use.
func (t *tiles) get(n int) (*tile, error) {
	if !t.configured {
		return nil, errors.New("no tiles are configured")
	}
	if t.tile[n].rows == 0 {
		return nil, fmt.Errorf("tile %d has no rows", n)
	}
	return &t.tile[n], nil
}

// multiply does TDPBF16PS: c += a·b, for pairs of bfloat16. Products of the first values of
// pairs, and those of the second, are added up apart, in the order of k; then both sums
// together; and that to c. Each step rounds once, to nearest even. Denormal values count
// as zero, and become zero.
func (t *tiles) multiply(dst, left, right int) error {
	if dst == left || dst == right || left == right {
		return fmt.Errorf("tiles %d, %d, %d are not different", dst, left, right)
	}
	c, err := t.get(dst)
	if err != nil {
		return err
	}
	a, err := t.get(left)
	if err != nil {
		return err
	}
	b, err := t.get(right)
	if err != nil {
		return err
	}
	if c.rows != a.rows || c.bytes != b.bytes || b.rows != a.bytes/4 || c.bytes%4+a.bytes%4 != 0 {
		return fmt.Errorf("tiles of %d × %d, %d × %d and %d × %d bytes do not fit", c.rows, c.bytes, a.rows, a.bytes,
			b.rows, b.bytes)
	}
	var low, high [16][16]float64 // of b
	for k := range b.rows {
		for n := range b.bytes / 4 {
			low[k][n] = half(b.data[k][4*n:])
			high[k][n] = half(b.data[k][4*n+2:])
		}
	}
	cols := c.bytes / 4
	for m := range c.rows {
		var even, odd [16]float64
		for k := range b.rows {
			x, y := half(a.data[m][4*k:]), half(a.data[m][4*k+2:])
			for n := range cols {
				even[n] = add(x*low[k][n], even[n])
				odd[n] = add(y*high[k][n], odd[n])
			}
		}
		for n := range cols {
			at := c.data[m][4*n:]
			old := flush(float64(math.Float32frombits(binary.LittleEndian.Uint32(at))))
			sum := add(add(even[n], odd[n]), old)
			binary.LittleEndian.PutUint32(at, math.Float32bits(float32(sum)))
		}
	}
	return nil
}

// half reads a bfloat16, denormal ones as zero.
func half(b []byte) float64 {
	return flush(float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)))
}

// smallest is the smallest float32 that is not denormal.
const smallest = 0x1p-126

// flush makes zero of what a float32 holds as a denormal value alone.
func flush(v float64) float64 {
	if v < smallest && v > -smallest {
		return math.Copysign(0, v)
	}
	return v
}

// add returns x + y rounded once to a float32, for x and y that are float32, or a product
// of two bfloat16, which float64 holds exactly.
func add(x, y float64) float64 {
	s := x + y
	if math.Float64bits(s)&(1<<29-1) == 1<<28 { // in the middle of two float32, perhaps for being rounded
		z := s - x
		if e := (x - (s - z)) + (y - z); e != 0 { // what rounding left out (Knuth's TwoSum)
			if e > 0 == (s > 0) {
				s = math.Float64frombits(math.Float64bits(s) + 1)
			} else {
				s = math.Float64frombits(math.Float64bits(s) - 1)
			}
		}
	}
	return flush(float64(float32(s)))
}
