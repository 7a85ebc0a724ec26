package imagefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bandFiles are the images of testdata/bands.
func bandFiles(t testing.TB) []string {
	files, err := filepath.Glob("testdata/bands/*.want")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for i := range files {
		files[i] = strings.TrimSuffix(files[i], ".want")
	}
	return files
}

// values are those of an image in order.
func values(m Image) []float32 {
	v := make([]float32, m.W*m.H*m.C)
	m.Floats(v, 0)
	return v
}

func same(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return x == y || x != x && y != y })
}

// readWant returns an image of floats, and the type that it should have.
func readWant(t testing.TB, path string) (Image, Type) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := Image{W: int(b[0]), H: int(b[1]), C: int(b[2]), Type: Float, Pix: b[4:]}
	return m, map[byte]Type{1: Byte, 2: Short, 4: Float}[b[3]]
}

// Every layout gives the values that numpy has: whatever the order of bytes, planes or not,
// strips or tiles, packed with or without differences. So do some channels alone, in another
// order.
func TestReadAsNumPy(t *testing.T) {
	for _, path := range bandFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, kind := readWant(t, path+".want")
			m, err := Read(path, Limits{All: true})
			if err != nil {
				t.Fatal(err)
			}
			if m.W != want.W || m.H != want.H || m.C != want.C || m.Type != kind || !m.Complete() {
				t.Fatalf("%d × %d × %d, type %d; want %d × %d × %d, type %d", m.W, m.H, m.C, m.Type, want.W, want.H, want.C, kind)
			}
			if got, want := values(m), values(want); !same(got, want) {
				t.Fatalf("%v, want %v", got[:20], want[:20])
			}
			if w, h, err := Stat(path, Limits{}); err != nil || w != m.W || h != m.H {
				t.Errorf("header: %d × %d, %v", w, h, err)
			}
			chosen := []int{m.C, 1}[:min(2, m.C)]
			some, err := Read(path, Limits{Bands: chosen})
			if err != nil {
				t.Fatal(err)
			}
			expect, err := want.Take(chosen)
			if err != nil {
				t.Fatal(err)
			}
			if some.C != len(chosen) || !same(values(some), values(expect)) {
				t.Errorf("of channels %v: %v, want %v", chosen, values(some)[:8], values(expect)[:8])
			}
			asked := fmt.Sprintf("but channel %d is asked for", m.C+1)
			_, err = Read(path, Limits{Bands: []int{m.C + 1}})
			if err == nil || !strings.Contains(err.Error(), asked) {
				t.Errorf("one more: %v", err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := Decode(data[:len(data)-200], Limits{All: true}); err == nil {
				t.Errorf("cut short it is %d × %d", m.W, m.H)
			}
		})
	}
}

// A TIFF of red, green and blue and something else is a picture unless it is told otherwise,
// and it is counted that something is left out.
func TestColoursAmongOthers(t *testing.T) {
	var d Depths
	for name, extra := range map[string]int{"rgbn.tif": 1, "rgbn16.tif": 1, "rgba_meant_near.tif": 0} {
		m, err := Read("testdata/bands/"+name, Limits{})
		if err != nil || !m.Plain() || m.C != 3 || m.Extra != extra {
			t.Errorf("%s: %d channels, %d left out: %v", name, m.C, m.Extra, err)
		}
		d.Count(m)
	}
	pages, err := Read("testdata/bands/pages.tif", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	d.Count(pages)
	want := []string{"1 image has samples of 16 bits, of which the upper 8 are kept; --values raw keeps all",
		"2 images have channels beside their colours, which are left out; --bands chooses channels by their numbers",
		"1 TIFF file has several pages, of which the first is read"}
	if got := d.Notes(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	raw, err := Read("testdata/bands/rgbn16.tif", Limits{Raw: true})
	if err != nil || raw.C != 3 || raw.Type != Short || raw.Extra != 1 {
		t.Errorf("raw: %d channels of type %d: %v", raw.C, raw.Type, err)
	}
	if m, err := Read("testdata/bands/bytes.npy", Limits{}); err != nil || !m.Plain() || m.C != 3 {
		t.Errorf("bytes.npy: %d channels: %v", m.C, err)
	}
}

// Pictures of 16 bits keep them where that is asked for.
func TestRawPictures(t *testing.T) {
	for name, channels := range map[string]int{"grey16.png": 1, "grey16.tif": 1, "rgba16.png": 3, "few12rgb.tif": 3, "rgb.png": 3} {
		plain, err := Read("testdata/"+name, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := Read("testdata/"+name, Limits{Raw: true})
		if err != nil || m.C != channels || !m.Complete() || (m.Type == Byte) != (name == "rgb.png") {
			t.Fatalf("%s: %d channels of type %d: %v", name, m.C, m.Type, err)
		}
		if name == "grey16.png" || name == "grey16.tif" { // each is 257 times as much
			for i, v := range values(m) {
				if v != 257*float32(plain.Pix[i]) {
					t.Fatalf("%s: %v, want %d times 257", name, v, plain.Pix[i])
				}
			}
		}
	}
}

// What cannot be an image is refused in a sentence.
func TestArraysRefused(t *testing.T) {
	array := func(descr, shape string, bytes int) []byte {
		head := "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }\n"
		b := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(head)))...)
		return append(append(b, head...), make([]byte, bytes)...)
	}
	nans := array("<f4", "2, 2", 0)
	for range 4 {
		nans = binary.LittleEndian.AppendUint32(nans, math.Float32bits(float32(math.Inf(1))))
	}
	huge := array("<f4", "1, 2", 0)
	for _, v := range []float32{1, -3.4e38} {
		huge = binary.LittleEndian.AppendUint32(huge, math.Float32bits(v))
	}
	for want, c := range map[string]struct {
		data   []byte
		limits Limits
	}{
		"its shape is [4]; an image is h × w, h × w × c or c × h × w":                                      {array("|u1", "4,", 4), Limits{}},
		"its shape is [70 2 80]: neither the first size nor the last":                                      {array("|u1", "70, 2, 80", 70*2*80), Limits{}},
		"its shape is [0 5]: it has no pixels":                                                             {array("|u1", "0, 5", 0), Limits{}},
		`its numbers are of type "i8"; images are of uint8`:                                                {array("<i8", "2, 2", 32), Limits{}},
		"it has 20 channels, and up to 16 are read":                                                        {array("|u1", "30, 30, 20", 18000), Limits{}},
		"it has one channel, but channel 2 is asked for":                                                   {array("|u1", "2, 2", 4), Limits{Bands: []int{2}}},
		`a kind of NumPy array that is not read (its type "|S3" is text, not numbers; save it as float32)`: {array("|S3", "2, 2", 12), Limits{}},
		`a kind of NumPy array that is not read (its type "<c8" is that of complex numbers, and not`:       {array("<c8", "2, 2", 32), Limits{}},
		"broken NumPy array: shape [5 5] of |u1 takes 25 bytes, 5 are there":                               {array("|u1", "5, 5", 5), Limits{}},
		"it has no data: no value is a finite number":                                                      {nans, Limits{}},
		"it has the value -3.4e+38, which looks like a mark for missing data; write NaN there":             {huge, Limits{}},
	} {
		if _, err := Decode(c.data, c.limits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// An image is the same whether the last index runs fastest in its file or the first.
func TestArraysOfFortran(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  Image
	}{
		{[]int{2, 3}, Image{W: 3, H: 2, C: 1}}, {[]int{3, 4, 2}, Image{W: 4, H: 3, C: 2}},
		{[]int{2, 3, 4}, Image{W: 4, H: 3, C: 2}}, // its channels come first
	} {
		n := 1
		for _, s := range c.shape {
			n *= s
		}
		rows, columns := make([]byte, n), make([]byte, n)
		for i := range rows { // of row-major order
			rows[i] = byte(7 * i)
			at, step, rest := 0, n, i
			for k := len(c.shape) - 1; k >= 0; k-- {
				step /= c.shape[k]
				at += rest % c.shape[k] * step
				rest /= c.shape[k]
			}
			columns[at] = rows[i]
		}
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(c.shape), " ", ", "), "[]")
		var m [2]Image
		for i, values := range [][]byte{rows, columns} {
			head := fmt.Sprintf("{'descr': '|u1', 'fortran_order': %s, 'shape': (%s), }\n", []string{"False", "True"}[i], shape)
			b := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(head)))...)
			var err error
			if m[i], err = Decode(append(append(b, head...), values...), Limits{}); err != nil {
				t.Fatalf("(%s): %v", shape, err)
			}
		}
		if m[1].W != c.want.W || m[1].H != c.want.H || m[1].C != c.want.C || !bytes.Equal(m[0].Pix, m[1].Pix) {
			t.Errorf("(%s): %v, want %v", shape, m[1], m[0])
		}
	}
}

// A turn, and a choice of channels, move whole pixels.
func TestTurnOfManyChannels(t *testing.T) {
	m, err := Read("testdata/bands/u16.tif", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	turned := m.oriented(6)
	a, b := make([]float32, m.C), make([]float32, m.C)
	for y := range m.H {
		for x := range m.W {
			m.Floats(a, (y*m.W+x)*m.C)
			turned.Floats(b, (x*turned.W+m.H-1-y)*m.C)
			if !slices.Equal(a, b) {
				t.Fatalf("(%d, %d) is %v, was %v", x, y, b, a)
			}
		}
	}
}

// A picture for people has the middle of the values between black and white.
func TestShow(t *testing.T) {
	m := Image{W: 100, H: 1, C: 4, Type: Float, Pix: make([]uint8, 1600)}
	v := make([]float32, 400)
	for i := range 100 {
		v[4*i], v[4*i+1], v[4*i+2] = float32(i), 5, float32(1000-i)
	}
	v[0] = float32(math.NaN())
	m.SetFloats(0, v)
	p := m.Show(m.Stretch())
	if !p.Complete() || !p.Plain() || p.C != 3 {
		t.Fatalf("%d × %d × %d", p.W, p.H, p.C)
	}
	if p.Pix[0] != 0 || p.Pix[2] != 255 || p.Pix[3*99] != 255 || p.Pix[3*99+2] != 0 || p.Pix[3*50+1] != 128 {
		t.Errorf("ends %v and %v, middle %v", p.Pix[:3], p.Pix[3*99:], p.Pix[150:153])
	}
	grey := Image{W: 2, H: 1, C: 2, Type: Short, Pix: []uint8{1, 0, 9, 9, 2, 0, 9, 9}}
	if p := grey.Show(grey.Stretch()); p.C != 1 || p.Pix[0] != 0 || p.Pix[1] != 255 {
		t.Errorf("%v", p)
	}
}
