package dataset

import (
	"bytes"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/host"
)

// Any bytes are refused, or are images and labels that can be written and read
// again; none take more memory or time than small files may.
func FuzzIDX(f *testing.F) {
	f.Setenv(host.MemoryVariable, "8GB")
	images, labels := idx([]int{3, 2, 5}, count(30)), idx([]int{3}, []byte{0, 2, 1})
	colour := idx([]int{2, 2, 2, 3}, count(24))
	for _, seed := range [][2][]byte{
		{images, labels}, {gz(images), gz(labels)}, {colour, nil}, {images[:20], labels[:6]}, {append(gz(images[:20]), gz(images[20:])...), labels},
		{append(images[:len(images):len(images)], 7), append(labels[:len(labels):len(labels)], 7)}, {append(gz(images), "garbage that is no gzip"...), nil},
		{idx([]int{1 << 30, 1 << 2, 1 << 2}, count(9)), nil}, {gz(idx([]int{1 << 20, 1, 1}, count(9))), nil}, {gz(idx([]int{1 << 12, 1 << 10, 1 << 10}, make([]byte, 1<<16))), nil},
		{idx([]int{1<<31 - 1, 1<<31 - 1, 2}, nil), idx([]int{1<<31 - 1}, nil)}, {idx([]int{0, 2, 5}, nil), nil}, {idx([]int{3, 2, 5, 2}, count(60)), idx([]int{3, 1}, count(3))},
		{[]byte{0, 0, 13, 3}, nil}, {[]byte{0x1f, 0x8b}, nil}, {nil, nil},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		read := func(a, b []byte) (d *Dataset, err error) {
			check.Bounded(t, 250, 2*time.Second, func() {
				if d, _, err = readIDXImages(bytes.NewReader(a), int64(len(a)), "images", "images"); err == nil {
					if _, labels := d.readIDXLabels(bytes.NewReader(b), int64(len(b)), "labels"); labels != nil {
						d.forgetLabels()
					}
				}
			})
			return d, err
		}
		d, err := read(a, b)
		if err != nil {
			return
		}
		m := d.Items[0].Image
		dims, pixels, labels := []int{len(d.Items), m.H, m.W}, []byte(nil), []byte(nil)
		if m.C == 3 {
			dims = append(dims, 3)
		}
		for _, item := range d.Items {
			pixels = append(pixels, item.Image.Pix...)
			if item.Label >= 0 {
				labels = append(labels, uint8(item.Label))
			}
			if item.Label < -1 || item.Label >= max(1, len(d.Classes)) || item.Label >= 0 && d.Classes == nil {
				t.Fatalf("label %d of %d", item.Label, len(d.Classes))
			}
		}
		if len(pixels) != len(d.Items)*m.W*m.H*m.C || d.Classes != nil && len(labels) != len(d.Items) {
			t.Fatalf("%d pixels and %d labels of %v", len(pixels), len(labels), dims)
		}
		again, err := read(idx(dims, pixels), idx([]int{len(labels)}, labels))
		if err != nil || again.Fingerprint() != d.Fingerprint() {
			t.Fatalf("it reads back otherwise: %v", err)
		}
	})
}

// Any bytes are refused, or are records that can be written and read again.
func FuzzCIFAR(f *testing.F) {
	f.Setenv(host.MemoryVariable, "8GB")
	for _, seed := range [][]byte{cifar([]byte{3}, []byte{0}), cifar([]byte{4, 72}, []byte{5, 99}), cifar([]byte{200}), cifar([]byte{3})[:3000], nil} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, hundred bool) {
		labelBytes, classes := 1, 10
		if hundred {
			labelBytes, classes = 2, 100
		}
		d := &Dataset{Name: "cifar", Classes: make([]string, classes)}
		var err error
		check.Bounded(t, 32+4*len(data)>>20, 2*time.Second, func() {
			err = d.addCIFAR(bytes.NewReader(data), int64(len(data)), "a.bin", "a.bin", labelBytes)
		})
		if err != nil {
			return
		}
		var again []byte
		for i, item := range d.Items {
			if item.Label < 0 || item.Label >= classes {
				t.Fatalf("label %d", item.Label)
			}
			if hundred {
				again = append(again, data[i*(labelBytes+3*cifarPlane)]) // the coarse label, which is not kept
			}
			again = append(again, uint8(item.Label))
			for c := range 3 {
				for p := range cifarPlane {
					again = append(again, item.Image.Pix[3*p+c])
				}
			}
		}
		if !bytes.Equal(again, data) {
			t.Fatal("the records read back otherwise")
		}
	})
}
