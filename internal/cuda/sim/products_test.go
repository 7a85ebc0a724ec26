package sim

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"vicreg/internal/cuda"
)

// TestSameProducts holds products of a warp and exchanges between threads against the
// other driver.
func TestSameProducts(t *testing.T) {
	src, err := os.ReadFile("../ptx/testdata/warp.ptx")
	ok(t, err)
	r := rand.New(rand.NewPCG(8, 9))
	floats := func(n int, shift int) []byte {
		b := make([]byte, 4*n)
		for i := range n {
			v := math.Float32bits(float32(r.NormFloat64() * math.Ldexp(1, r.IntN(8))))
			if shift == 16 { // two bfloat16
				w := math.Float32bits(float32(r.NormFloat64() * math.Ldexp(1, r.IntN(8))))
				v = v&^0xffff | w>>16
			}
			binary.LittleEndian.PutUint32(b[4*i:], v)
		}
		return b
	}
	word := binary.LittleEndian.AppendUint32
	c, a, b := floats(128, 0), floats(128, 16), floats(64, 16)
	for _, k := range []struct {
		name    string
		threads int
		arrays  [][]byte // the first is compared
		more    []byte   // parameters
		within  float64
	}{
		{"product", 32, [][]byte{c, a, b}, word(word(nil, 0), 0), 1e-5},
		{"product", 32, [][]byte{c, a, b}, word(word(nil, 1), 0), 1e-5},
		{"product32", 32, [][]byte{c, floats(128, 0), floats(64, 0)}, nil, 1e-5},
		{"shuffles", 32, [][]byte{make([]byte, 1280)}, word(word(nil, 5), 31), 0},
		{"shuffles", 32, [][]byte{make([]byte, 1280)}, word(word(nil, 3), 24<<8|31), 0},
		{"shuffles", 32, [][]byte{make([]byte, 1280)}, word(word(nil, 1), 16<<8), 0},
		{"relay", 128, [][]byte{make([]byte, 1024)}, nil, 0},
		{"pipeline", 64, [][]byte{make([]byte, 7168), floats(1792, 0)}, word(word(word(nil, 7), 90), 1), 0},
	} {
		var got [2][]byte
		for i, d := range []cuda.Driver{New(Options{Races: true}), other(t)} {
			m, err := d.Load(src)
			ok(t, err)
			f, err := d.Function(m, k.name, 0)
			ok(t, err)
			var args []byte
			var first uintptr
			for j, x := range k.arrays {
				p, err := d.Alloc(len(x))
				ok(t, err)
				pin, err := d.Pin(len(x))
				ok(t, err)
				copy(pin, x)
				ok(t, d.Upload(cuda.Compute, p, pin))
				args = binary.LittleEndian.AppendUint64(args, uint64(p))
				if j == 0 {
					first = p
				}
			}
			ok(t, d.Launch(cuda.Compute, f, [3]int{1, 1, 1}, k.threads, 0, append(args, k.more...)))
			got[i] = make([]byte, len(k.arrays[0]))
			ok(t, d.Download(cuda.Compute, got[i], first))
		}
		worst := 0.0
		for i := 0; i < len(got[0]); i += 4 {
			x, y := binary.LittleEndian.Uint32(got[0][i:]), binary.LittleEndian.Uint32(got[1][i:])
			if x == y {
				continue
			}
			if k.within == 0 {
				t.Errorf("%s %d: %#x here, %#x there", k.name, i/4, x, y)
				break
			}
			f, g := float64(math.Float32frombits(x)), float64(math.Float32frombits(y))
			worst = max(worst, math.Abs(f-g)/(1e3+math.Abs(g)))
		}
		t.Logf("%s: apart by %.1e of 1000 at most", k.name, worst)
		if worst > k.within {
			t.Errorf("%s: apart by %v", k.name, worst)
		}
	}
}
