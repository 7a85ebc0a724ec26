package ptx

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"testing"
)

//go:generate -command nvptx clang-19 -x cuda --cuda-device-only --cuda-gpu-arch=sm_80 --cuda-feature=+ptx75 -nocudainc -nocudalib -O3 -S
//go:generate nvptx testdata/basic.cu -o testdata/basic.ptx
//go:generate nvptx testdata/warp.cu -o testdata/warp.ptx
//go:generate nvptx testdata/wrong.cu -o testdata/wrong.ptx
//go:generate clang-19 -x cuda --cuda-device-only --cuda-gpu-arch=sm_90a --cuda-feature=+ptx80 -nocudainc -nocudalib -O3 -S testdata/hopper.cu -o testdata/hopper.ptx

// memory is a card's.
type memory struct {
	data [][]byte
}

const start = 0x7000_0000_0000

func (m *memory) Around(addr uint64) (uint64, []byte) {
	i := (addr - start) >> 32
	if addr < start || i >= uint64(len(m.data)) || addr&0xffffffff >= uint64(len(m.data[i])) {
		return 0, nil
	}
	return start + i<<32, m.data[i]
}

// put brings a slice to the card and returns its address.
func (m *memory) put(x any) uint64 {
	b, err := binary.Append(nil, binary.LittleEndian, x)
	if err != nil {
		panic(err)
	}
	m.data = append(m.data, b)
	return start + uint64(len(m.data)-1)<<32
}

// get reads a slice at an address.
func (m *memory) get(addr uint64, x any) {
	base, data := m.Around(addr)
	if err := binary.Read(bytes.NewReader(data[addr-base:]), binary.LittleEndian, x); err != nil {
		panic(err)
	}
}

// pack lays out parameters as C does.
func pack(args ...any) []byte {
	var b []byte
	for _, a := range args {
		v, err := binary.Append(nil, binary.LittleEndian, a)
		if err != nil {
			panic(err)
		}
		for len(b)%len(v) != 0 {
			b = append(b, 0)
		}
		b = append(b, v...)
	}
	return b
}

func parse(t testing.TB, name string) *Module {
	src, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(src, 0x6000_0000_0000)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func launch(t testing.TB, m *Module, name string, mem *memory, grid, threads, shared int, args ...any) *Launch {
	t.Helper()
	k, err := m.Kernel(name)
	if err != nil {
		t.Fatal(err)
	}
	l := &Launch{Grid: [3]int{grid, 1, 1}, Threads: [3]int{threads, 1, 1}, Shared: shared, Args: pack(args...),
		Memory: mem, Seed: 7, Races: true}
	if err := k.Launch(l); err != nil {
		t.Fatal(err)
	}
	return l
}

func near(t *testing.T, what string, got, want float64, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within*max(1, math.Abs(want))) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
