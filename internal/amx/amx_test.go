package amx

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// The bytes are those of llvm-mc 19.
func TestDecode(t *testing.T) {
	for _, test := range []struct {
		bytes string
		want  instruction
	}{
		{"c4e2784900", instruction{kind: ldtilecfg, length: 5, base: 0, index: -1}},
		{"c4c278494508", instruction{kind: ldtilecfg, length: 6, base: 13, index: -1, disp: 8}},
		{"c4e27949442440", instruction{kind: sttilecfg, length: 7, base: 4, index: -1, disp: 64}},
		{"c4e27849c0", instruction{kind: tilerelease, length: 5, index: -1}},
		{"c4e27b49e8", instruction{kind: tilezero, length: 5, dst: 5, index: -1}},
		{"c4827b4b5c0a40", instruction{kind: tileloadd, length: 7, dst: 3, base: 10, index: 9, disp: 64}},
		{"c4e27b4b3cdc", instruction{kind: tileloadd, length: 6, dst: 7, base: 4, index: 3, scale: 3}},
		{"c4a2794b8c7dd4feffff", instruction{kind: tileloaddt1, length: 10, dst: 1, base: 5, index: 15, scale: 1,
			disp: -300}},
		{"c4c27a4b1434", instruction{kind: tilestored, length: 6, dst: 2, base: 12, index: 6}},
		{"c4e2425ccc", instruction{kind: tdpbf16ps, length: 5, dst: 1, left: 4, right: 7, index: -1}},
		{"c4e2635eca", instruction{}}, // TDPBSSD
		{"c5e858cb", instruction{}},   // VADDPS
	} {
		code, err := hex.DecodeString(test.bytes)
		if err != nil {
			t.Fatal(err)
		}
		got := decode(append(code, make([]byte, 15)...))
		if test.want.kind != tdpbf16ps {
			got.left, got.right = 0, 0
		}
		if test.want.kind == tdpbf16ps || test.want.kind == tilezero || test.want.kind == tilerelease {
			got.base = 0
		}
		if got != test.want {
			t.Errorf("%s: %+v, want %+v", test.bytes, got, test.want)
		}
	}
}

// configured returns tiles of the given rows and bytes.
func configured(t *testing.T, shapes ...[2]int) *tiles {
	t.Helper()
	c := [64]byte{0: 1}
	for i, s := range shapes {
		c[48+i], c[16+2*i] = byte(s[0]), byte(s[1])
	}
	x := new(tiles)
	if err := x.configure(c); err != nil {
		t.Fatal(err)
	}
	if x.configuration() != c {
		t.Errorf("the configuration %v comes back as %v", c, x.configuration())
	}
	return x
}

// A product follows the definition, here with numbers of any size that are rounded to 24
// bits after each step.
func TestMultiply(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		rows, pairs, cols := 1+r.IntN(16), 1+r.IntN(16), 1+r.IntN(16)
		x := configured(t, [2]int{rows, 4 * cols}, [2]int{rows, 4 * pairs}, [2]int{pairs, 4 * cols})
		c, a, b := &x.tile[0], &x.tile[1], &x.tile[2]
		near := func(bits int) uint32 { // all kinds of numbers, or numbers that cancel
			e := uint32(r.IntN(255))
			if round%2 == 0 {
				e = 120 + uint32(r.IntN(12))
			}
			return r.Uint32()&0x80000000 | e<<23 | r.Uint32()&(1<<23-1)>>(23-bits)<<(23-bits)
		}
		fill := func(t *tile, value func(b []byte), size int) {
			for m := range t.rows {
				for i := 0; i < t.bytes; i += size {
					value(t.data[m][i:])
				}
			}
		}
		fill(c, func(b []byte) { binary.LittleEndian.PutUint32(b, near(23)) }, 4)
		fill(a, func(b []byte) { binary.LittleEndian.PutUint16(b, uint16(near(7)>>16)) }, 2)
		fill(b, func(b []byte) { binary.LittleEndian.PutUint16(b, uint16(near(7)>>16)) }, 2)
		before := *c
		if err := x.multiply(0, 1, 2); err != nil {
			t.Fatal(err)
		}
		for m := range rows {
			for n := range cols {
				var sums [2]*big.Float
				for i := range sums {
					sums[i] = big.NewFloat(0)
					for k := range pairs {
						x, y := value(a.data[m][4*k+2*i:], 2), value(b.data[k][4*n+2*i:], 2)
						sums[i] = rounded(new(big.Float).SetPrec(64).Mul(x, y), sums[i])
					}
				}
				want := rounded(rounded(sums[0], sums[1]), value(before.data[m][4*n:], 4))
				got := float64(math.Float32frombits(binary.LittleEndian.Uint32(c.data[m][4*n:])))
				w, _ := want.Float64()
				if math.Abs(w) > math.MaxFloat32 || math.IsNaN(got) || math.IsInf(got, 0) {
					continue // past the end of float32
				}
				if got != w {
					t.Fatalf("round %d, (%d, %d): %g, want %g", round, m, n, got, w)
				}
			}
		}
	}
}

// value reads a bfloat16 or a float32.
func value(b []byte, size int) *big.Float {
	bits := uint32(b[0]) | uint32(b[1])<<8
	if size == 2 {
		bits <<= 16
	} else {
		bits |= uint32(b[2])<<16 | uint32(b[3])<<24
	}
	if bits&0x7f800000 == 0 {
		return big.NewFloat(0)
	}
	return big.NewFloat(float64(math.Float32frombits(bits)))
}

func rounded(x, y *big.Float) *big.Float {
	s := new(big.Float).SetPrec(2000).Add(x, y) // exact
	z := new(big.Float).SetPrec(24).SetMode(big.ToNearestEven).Set(s)
	if z.Sign() != 0 && z.MantExp(nil) < -125 {
		return big.NewFloat(0)
	}
	return z
}

// memoryOf holds bytes from address 0 on.
type memoryOf []byte

func (m memoryOf) read(rows [][]byte, at, stride uint64) error {
	for i, row := range rows {
		from := at + uint64(i)*stride
		if from+uint64(len(row)) > uint64(len(m)) {
			return errors.New("beyond the memory")
		}
		copy(row, m[from:])
	}
	return nil
}

func (m memoryOf) write(rows [][]byte, at, stride uint64) error {
	for i, row := range rows {
		copy(m[at+uint64(i)*stride:], row)
	}
	return nil
}

// Loads clear what a tile holds beside them, stores touch no more than a tile.
func TestLoadAndStore(t *testing.T) {
	x := configured(t, [2]int{3, 8})
	m := make(memoryOf, 256)
	for i := range m {
		m[i] = byte(i)
	}
	r := [16]uint64{1: 10, 2: 20}
	x.tile[0].data[15][63] = 9
	load := instruction{kind: tileloadd, base: 1, index: 2, disp: 5}
	if err := x.do(load, &r, m); err != nil {
		t.Fatal(err)
	}
	if d := x.tile[0].data; d[0][0] != 15 || d[2][7] != 62 || d[2][8] != 0 || d[3][0] != 0 || d[15][63] != 0 {
		t.Errorf("loaded %v", d)
	}
	to := make(memoryOf, 256)
	if err := x.do(instruction{kind: tilestored, index: 2, base: 0}, &r, to); err != nil {
		t.Fatal(err)
	}
	for i, v := range to {
		want := byte(0)
		if i%20 < 8 && i < 60 {
			want = byte(15 + i)
		}
		if v != want {
			t.Errorf("byte %d is %d, want %d", i, v, want)
		}
	}
}

// What is an error of the program fails.
func TestMistakes(t *testing.T) {
	fits := [][2]int{{4, 16}, {4, 8}, {2, 16}}
	for name, test := range map[string]struct {
		shapes           [][2]int
		dst, left, right int
		want             string
	}{
		"the same tile twice": {fits, 0, 1, 1, "not different"},
		"rows":                {[][2]int{{5, 16}, {4, 8}, {2, 16}}, 0, 1, 2, "do not fit"},
		"columns":             {[][2]int{{4, 12}, {4, 8}, {2, 16}}, 0, 1, 2, "do not fit"},
		"depth":               {[][2]int{{4, 16}, {4, 8}, {3, 16}}, 0, 1, 2, "do not fit"},
		"odd bytes":           {[][2]int{{4, 14}, {4, 8}, {2, 14}}, 0, 1, 2, "do not fit"},
		"a tile not in use":   {fits, 0, 1, 3, "no rows"},
	} {
		err := configured(t, test.shapes...).multiply(test.dst, test.left, test.right)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for name, c := range map[string][64]byte{
		"palette":      {0: 2},
		"start":        {0: 1, 1: 1},
		"reserved":     {0: 1, 2: 1},
		"more bytes":   {0: 1, 16: 65, 48: 1},
		"more rows":    {0: 1, 16: 64, 48: 17},
		"no bytes":     {0: 1, 48: 1},
		"no rows":      {0: 1, 16: 64},
		"ninth tile":   {0: 1, 32: 64, 56: 1},
		"wide columns": {0: 1, 17: 1, 48: 1},
	} {
		if err := new(tiles).configure(c); err == nil {
			t.Errorf("%s: the configuration %v is taken", name, c)
		}
	}
	x := configured(t, fits...)
	var r [16]uint64
	if err := x.do(instruction{kind: tilerelease}, &r, nil); err != nil {
		t.Fatal(err)
	}
	for _, i := range []instruction{{kind: tilezero}, {kind: tileloadd}, {kind: tilestored},
		{kind: tdpbf16ps, left: 1, right: 2}} {
		if err := x.do(i, &r, memoryOf{}); err == nil || !strings.Contains(err.Error(), "no tiles") {
			t.Errorf("instruction %d after TILERELEASE: %v", i.kind, err)
		}
	}
}
