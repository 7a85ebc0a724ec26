package imagefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"vicreg/internal/npy"
)

// layout is how an array holds an image.
type layout struct {
	w, h, c       int
	row, col, one int // how many numbers on the next row, column and channel are
	kind          Type
}

// layoutOf tells it by the array's shape and type.
func layoutOf(a npy.Header) (l layout, err error) {
	switch a.Type {
	case "u1":
		l.kind = Byte
	case "u2":
		l.kind = Short
	case "i1", "i2", "f2", "f4", "f8":
		l.kind = Float
	default:
		return l, fmt.Errorf("its numbers are of type %q; images are of uint8, int8, uint16, int16 or floats", a.Type)
	}
	const most = 1 << 30
	for _, n := range a.Shape {
		if n < 1 || n > most {
			return l, fmt.Errorf("its shape is %v: it has no pixels, or too many", a.Shape)
		}
	}
	s, step := a.Shape, a.Steps
	switch {
	case len(s) == 2:
		l.h, l.w, l.c = s[0], s[1], 1
		l.row, l.col = step[0], step[1]
	case len(s) == 3 && s[0] < s[2]:
		l.c, l.h, l.w = s[0], s[1], s[2]
		l.one, l.row, l.col = step[0], step[1], step[2]
	case len(s) == 3:
		l.h, l.w, l.c = s[0], s[1], s[2]
		l.row, l.col, l.one = step[0], step[1], step[2]
	default:
		return l, fmt.Errorf("its shape is %v; an image is h × w, h × w × c or c × h × w", a.Shape)
	}
	if l.c > MostBands {
		return l, fmt.Errorf("its shape is %v: neither the first size nor the last can be that of the channels, of which there may be %d", a.Shape, MostBands)
	}
	return l, nil
}

func sizeNPY(r io.ReaderAt, size int64) (claim, error) {
	a, err := npy.Inspect(io.NewSectionReader(r, 0, size), size)
	if err != nil {
		return claim{}, err
	}
	l, err := layoutOf(a)
	if err != nil {
		return claim{}, sizeError(err.Error())
	}
	memory := func() int64 { return int64(l.kind.Size()) * int64(l.c) * int64(l.w) * int64(l.h) }
	return claim{l.w, l.h, nil, memory}, nil
}

func decodeNPY(data []byte, limits Limits) (Image, error) {
	a, err := npy.Inspect(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Image{}, err
	}
	l, err := layoutOf(a)
	if err != nil {
		return Image{}, sizeError(err.Error())
	}
	if err := tooMany(l.c, limits.Bands); err != nil {
		return Image{}, err
	}
	want := limits.Bands
	if len(want) == 0 {
		for i := range l.c {
			want = append(want, i+1)
		}
	}
	size := l.kind.Size()
	m := Image{W: l.w, H: l.h, C: len(want), Type: l.kind, Pix: make([]uint8, l.w*l.h*len(want)*size)}
	values := data[a.At:]
	var order binary.ByteOrder = binary.LittleEndian
	if a.Big {
		order = binary.BigEndian
	}
	for c, b := range want {
		if b > l.c {
			return Image{}, missing(b, l.c)
		}
		for y := range l.h {
			for x := range l.w {
				from, to := values[(y*l.row+x*l.col+(b-1)*l.one)*a.Width:], m.Pix[((y*l.w+x)*m.C+c)*size:]
				var v float64
				switch a.Type {
				case "u1":
					to[0] = from[0]
					continue
				case "u2":
					binary.LittleEndian.PutUint16(to, order.Uint16(from))
					continue
				case "i1":
					v = float64(int8(from[0]))
				case "i2":
					v = float64(int16(order.Uint16(from)))
				case "f2":
					v = float64(npy.Half(order.Uint16(from)))
				case "f4":
					v = float64(math.Float32frombits(order.Uint32(from)))
				case "f8":
					v = math.Float64frombits(order.Uint64(from))
				}
				binary.LittleEndian.PutUint32(to, math.Float32bits(float32(v)))
			}
		}
	}
	return m, nil
}
