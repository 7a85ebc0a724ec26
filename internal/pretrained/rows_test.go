package pretrained

import (
	"slices"
	"testing"

	"vicreg/internal/device/far"
	"vicreg/internal/imagefile"
)

// Prepared images have the features of the images, on a device too; the checksum of the
// weights is theirs alone.
func TestPrepared(t *testing.T) {
	path, _, _, _ := saved(t)
	m, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := far.New()
	defer d.Close()
	on, err := m.On(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{m, on} {
		var values, want []float32
		for i, c := range []int{3, 1, 3} {
			img := imagefile.Image{W: 31 - i, H: 20 + i, C: c, Pix: make([]uint8, (31-i)*(20+i)*c)}
			for j := range img.Pix {
				img.Pix[j] = uint8(j * (i + 3))
			}
			y, err := m.Image(t.Context(), img)
			if err != nil {
				t.Fatal(err)
			}
			x := m.Prepare(nil, img)
			if len(x) != m.Values() {
				t.Fatalf("%d values, want %d", len(x), m.Values())
			}
			values, want = append(values, x...), append(want, y...)
		}
		for i := range 3 {
			y, err := m.Prepared(t.Context(), values[i*m.Values():(i+1)*m.Values()])
			if d := m.Encoder.Dim(); err != nil || !slices.Equal(y, want[i*d:(i+1)*d]) {
				t.Errorf("image %d: %v, %v", i, y, err)
			}
		}
		if y, err := m.Prepared(t.Context(), values); err != nil || len(y) != len(want) {
			t.Errorf("three at once: %d values, %v", len(y), err)
		}
	}
	sum := m.Weights()
	if on.Weights() != sum || len(sum) != 8 {
		t.Errorf("checksums %s and %s", sum, on.Weights())
	}
	other, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	other.Encoder.Params()[0].Change(func(v []float32) { v[0]++ })
	if other.Weights() == sum {
		t.Error("other weights have the same checksum")
	}
}
