package batch

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/augment"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/pack"
)

// bands is an image of floats, w × h × c, of what value gives.
func bands(w, h, c int, value func(i, c int) float64) imagefile.Image {
	m := imagefile.Image{W: w, H: h, C: c, Type: imagefile.Float, Pix: make([]byte, 4*w*h*c)}
	for i := range w * h * c {
		m.SetFloats(i, []float32{float32(value(i/c, i%c))})
	}
	return m
}

func held(images ...imagefile.Image) *dataset.Dataset {
	d := &dataset.Dataset{Name: "data"}
	for i, m := range images {
		d.Items = append(d.Items, dataset.Item{Name: fmt.Sprintf("%d.npy", i), Label: -1, Image: &m})
	}
	return d
}

// Means and deviations are those of the values as they are, without what is no data; a channel
// that never varies, and one without data, get a deviation of 1, and that is told.
func TestScanRaw(t *testing.T) {
	nan := math.NaN()
	a := bands(2, 2, 4, func(i, c int) float64 { return []float64{float64(1000 + i), 7, nan, 1e-7 * float64(i)}[c] })
	b := bands(4, 1, 4, func(i, c int) float64 { return []float64{nan, 7, nan, 1e-7 * float64(i)}[c] })
	d := held(a, b)
	r, err := NewSource(d, SourceOptions{}).Scan(context.Background(), ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Raw || r.Channels != 4 || r.Bytes != 16 {
		t.Errorf("%+v", r)
	}
	mean, std := []float64{1001.5, 7, 0, 1.5e-7}, []float64{math.Sqrt(1.25), 1, 1, 1e-7 * math.Sqrt(1.25)}
	for c := range mean {
		if math.Abs(r.Mean[c]-mean[c]) > 1e-6*math.Abs(mean[c]) || math.Abs(r.Std[c]-std[c]) > 1e-6*std[c] {
			t.Errorf("channel %d: mean %v, std %v; want %v, %v", c, r.Mean[c], r.Std[c], mean[c], std[c])
		}
	}
	want := []string{"12 values of 2 images are no data (not a number, infinite or marked so); the mean of the channel stands there",
		"channels 2, 3 are the same in all images; their standard deviations count as 1"}
	if !slices.Equal(d.Notes, want) {
		t.Errorf("%q", d.Notes)
	}
}

// Kinds of images that do not go together are counted, and one of each is named; what was not
// looked at in time is bad on its own.
func TestKinds(t *testing.T) {
	flat := func(i, c int) float64 { return float64(i) }
	grey := imagefile.Image{W: 2, H: 1, C: 1, Pix: []byte{1, 2}}
	colour := imagefile.Image{W: 1, H: 1, C: 3, Pix: []byte{1, 2, 3}}
	for _, c := range []struct {
		images   []imagefile.Image
		raw      bool
		channels int
		want     string
	}{
		{[]imagefile.Image{grey, colour}, false, 0, ""},
		{[]imagefile.Image{grey, colour}, true, 0, "1 of 1 channel with values of their own (0.npy), 1 of 3 channels with values of their own (1.npy)"},
		{[]imagefile.Image{bands(2, 2, 13, flat), colour, bands(2, 2, 13, flat)}, false, 0,
			"data: the images are of several kinds: 2 of 13 channels with values of their own (0.npy), 1 pictures of 8 bits, grey or in colour (1.npy); take"},
		{[]imagefile.Image{bands(2, 2, 3, flat), colour}, false, 0, "1 of 3 channels with values of their own (0.npy), 1 pictures"},
		{[]imagefile.Image{bands(2, 2, 13, flat), bands(2, 2, 4, flat)}, false, 13,
			"1 of 2 images cannot be read, more than a tenth: 1.npy: it has 4 channels, but 13 are wanted"},
		{[]imagefile.Image{bands(2, 2, 3, flat)}, false, 3, "it has 3 channels of 32-bit floats, but pictures of 8 bits"},
		{[]imagefile.Image{bands(2, 2, 3, flat)}, true, 3, ""},
	} {
		s := NewSource(held(c.images...), SourceOptions{Channels: c.channels, Raw: c.raw})
		_, err := s.Scan(context.Background(), ScanOptions{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

// A file of 13 channels gives the same batches as it is and out of a pack, with all channels
// and with some.
func TestBandsOfPack(t *testing.T) {
	dir := t.TempDir()
	head := "{'descr': '<u2', 'fortran_order': False, 'shape': (15, 14, 13), }\n"
	for i := range 4 {
		b := append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head))), head...)
		for k := range 15 * 14 * 13 {
			b = binary.LittleEndian.AppendUint16(b, uint16(300*(k%13)+k*(i+3)%400))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.npy", i)), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	whole, chosen := filepath.Join(t.TempDir(), "all.pack"), filepath.Join(t.TempDir(), "some.pack")
	open := func(path string) *dataset.Dataset {
		d, _, err := dataset.Open(path, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	some := imagefile.Limits{Bands: []int{12, 1, 3}}
	for path, limits := range map[string]imagefile.Limits{whole: {}, chosen: some} {
		if _, err := Pack(context.Background(), path, open(dir), nil, PackOptions{Limits: limits}); err != nil {
			t.Fatal(err)
		}
	}
	values := func(path string, limits imagefile.Limits) []float32 {
		s := NewSource(open(path), SourceOptions{Limits: limits})
		r, err := s.Scan(context.Background(), ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Train(Config{Order: Order{Seed: 3, Epochs: 1}, Batch: 4, Views: []View{{augment.Released()[0], 8}},
			Mean: r.Mean, Std: r.Std})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(b.Views[0].Data)
	}
	a, b := values(dir, imagefile.Limits{}), values(whole, imagefile.Limits{})
	if len(a) != 4*8*8*13 || !slices.Equal(a, b) {
		t.Error("batches of a pack differ")
	}
	a, b = values(dir, some), values(whole, some)
	c := values(chosen, imagefile.Limits{})
	if len(a) != 4*8*8*3 || !slices.Equal(a, b) || !slices.Equal(b, c) {
		t.Error("batches of three channels differ")
	}
	f, err := pack.Open(whole)
	if err != nil || f.Train[0].Type != imagefile.Short || f.Train[0].C != 13 {
		t.Errorf("%+v: %v", f, err)
	}
}
