package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color/palette"
	"image/draw"
	"image/jpeg"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fixtures lists the image files of testdata that have a .raw beside them.
func fixtures(t testing.TB) []string {
	raws, err := filepath.Glob("testdata/*.raw")
	if err != nil || len(raws) < 40 {
		t.Fatalf("%d fixtures: %v", len(raws), err)
	}
	for i := range raws {
		raws[i] = strings.TrimSuffix(raws[i], ".raw")
	}
	return raws
}

func readRaw(t testing.TB, path string) Image {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Image{W: int(b[0]), H: int(b[1]), C: int(b[2]), Pix: b[3:]}
}

// Every format and pixel type gives what Pillow gives: exactly where the file
// is lossless, within a few levels where decoders may round as they like.
func TestReadAsPillow(t *testing.T) {
	for _, path := range fixtures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want := readRaw(t, path+".raw")
			got, err := Read(path, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got.W != want.W || got.H != want.H || got.C != want.C || len(got.Pix) != len(want.Pix) {
				t.Fatalf("%d × %d × %d, %d bytes; want %d × %d × %d", got.W, got.H, got.C, len(got.Pix), want.W, want.H, want.C)
			}
			tol := 0
			switch {
			case strings.Contains(path, "ycc_jpeg"):
				tol = 4
			case strings.Contains(path, "rgb42"), strings.Contains(path, "lossy"):
				tol = 14 // Pillow interpolates the chroma it repeats here
			case strings.HasSuffix(path, ".jpg"), strings.Contains(path, "_jpeg"):
				tol = 2
			case strings.Contains(path, "cmyk"):
				tol = 1 // a product of inks is rounded
			}
			worst, sum := 0, 0
			for i := range got.Pix {
				d := int(got.Pix[i]) - int(want.Pix[i])
				worst = max(worst, d, -d)
				sum += d
			}
			if worst > tol {
				t.Errorf("a sample is %d levels off, %d allowed", worst, tol)
			}
			if mean := float64(sum) / float64(len(got.Pix)); mean > 1 || mean < -1 {
				t.Errorf("%.2f levels off on average", mean)
			}
			w, h, err := Stat(path, Limits{})
			if err != nil || w*h != want.W*want.H {
				t.Errorf("Stat: %d × %d, %v", w, h, err)
			}
		})
	}
}

// A file cut anywhere gives an error, or (when only what follows the pixels is
// missing) the whole picture, and never a panic.
func TestTruncated(t *testing.T) {
	for _, path := range fixtures(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Decode(data, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range data {
			got, err := Decode(data[:n:n], Limits{})
			if err == nil && !bytes.Equal(got.Pix, whole.Pix) && !turned(got, whole) {
				t.Errorf("%s cut to %d of %d bytes decodes to other pixels", path, n, len(data))
				break
			}
			if n <= len(data)/2 && err == nil && !strings.Contains(path, ".tif") {
				t.Errorf("%s cut to %d of %d bytes gives no error", path, n, len(data))
				break
			}
		}
	}
}

// turned tells whether two images differ in their orientation alone: WebP
// keeps the EXIF data after the pixels.
func turned(a, b Image) bool { return bytes.Equal(a.oriented(6).Pix, b.Pix) }

// Changed bytes may give other pixels or an error, but no panic and no image
// whose pixels do not fit its size.
func TestDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, path := range fixtures(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			bad := bytes.Clone(data)
			for range 1 + r.IntN(6) {
				bad[r.IntN(len(bad))] = uint8(r.Uint32())
			}
			m, err := Decode(bad, Limits{Pixels: 1 << 20})
			if err == nil && (m.W*m.H*m.C != len(m.Pix) || m.W < 1 || m.H < 1) {
				t.Errorf("%s: %d × %d × %d, %d bytes", path, m.W, m.H, m.C, len(m.Pix))
			}
		}
	}
}

// header returns the start of a PNG file of w × h pixels.
func header(w, h uint32) []byte {
	ihdr := binary.BigEndian.AppendUint32([]byte("IHDR"), w)
	ihdr = binary.BigEndian.AppendUint32(ihdr, h)
	ihdr = append(ihdr, 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, ihdr...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(ihdr))
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cut, err := os.ReadFile("testdata/rgb444.jpg")
	if err != nil {
		t.Fatal(err)
	}
	patch := func(tag, value uint16) []byte {
		data, err := os.ReadFile("testdata/cmyk.tif")
		if err != nil {
			t.Fatal(err)
		}
		start := []byte{byte(tag), byte(tag >> 8), 3, 0}
		at := bytes.Index(data, start)
		if at < 0 {
			t.Fatalf("cmyk.tif has no tag %d", tag)
		}
		copy(data[at+4:], []byte{1, 0, 0, 0, byte(value), byte(value >> 8)})
		return data
	}
	huge := []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00")
	for _, c := range []struct {
		path   string
		limits Limits
		want   string
	}{
		{file("bomb.png", header(60000, 60000)), Limits{}, "the image is 60000 × 60000, more than the limit of 100 megapixels"},
		{file("wide.png", header(1<<24, 1<<24)), Limits{}, "more than the limit"},
		{file("bomb.gif", huge), Limits{}, "65535 × 65535"},
		{"testdata/rgb.png", Limits{Pixels: 17*11 - 1}, "the image is 17 × 11, more than the limit of 0.000186 megapixels"},
		{file("none.png", header(0, 5)), Limits{}, "broken PNG"},
		{file("none.gif", []byte("GIF89a\x00\x00\x05\x00\x00\x00\x00;")), Limits{}, "no pixels"},
		{file("cut.jpg", cut[:len(cut)*2/3]), Limits{}, "broken JPEG: the file is cut short"},
		{file("empty.jpg", nil), Limits{}, "the file is empty"},
		{file("page.jpg", []byte("<!DOCTYPE html><html>404</html>")), Limits{}, "a web page, not an image"},
		{file("phone.jpg", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")), Limits{}, "a HEIC picture; JPEG, PNG"},
		{file("page.png", []byte("%PDF-1.4 and what follows")), Limits{}, "a PDF document; JPEG, PNG"},
		{file("old.jpg", []byte("P6\n17 11\n255\n and what follows")), Limits{}, "a Netpbm picture; JPEG, PNG"},
		{file("zero.jpg", make([]byte, 500)), Limits{}, "nothing but zeros"},
		{file("text.png", []byte("this is no picture at all")), Limits{}, "not an image; JPEG, PNG"},
		{"testdata/cmykjpeg.tif", Limits{}, "a kind of TIFF that is not read (CMYK packed as JPEG); save it anew"},
		{"testdata/cmyk.tif", Limits{Pixels: 17*11 - 1}, "the image is 17 × 11, more than the limit"},
		{file("lab.tif", patch(262, 8)), Limits{}, "a kind of TIFF that is not read (CIELab colours)"},
		{file("planes.tif", patch(284, 2)), Limits{}, "a kind of TIFF that is not read (CMYK in planes)"},
		{file("samples.tif", patch(277, 5)), Limits{}, "(CMYK of 5 samples)"},
		{file("bits.tif", patch(258, 16)), Limits{}, "(CMYK of [16] bits)"},
		{file("zip.tif", patch(259, 50000)), Limits{}, "a kind of TIFF that is not read (ZSTD compression)"},
		{"testdata/rgb.png", Limits{Bytes: 10}, "more than the limit"},
		{dir, Limits{}, "a folder, not an image file"},
		{filepath.Join(dir, "gone.png"), Limits{}, "no such file"},
	} {
		_, err := Read(c.path, c.limits)
		if err == nil || !strings.HasPrefix(err.Error(), c.path+": ") || !strings.Contains(err.Error(), c.want) ||
			strings.Count(err.Error(), c.path) != 1 {
			t.Errorf("Read %s: %v; want ... %s", c.path, err, c.want)
		}
		_, _, err = Stat(c.path, c.limits)
		if err == nil && !strings.Contains(c.want, "cut short") {
			t.Errorf("Stat %s: no error; want ... %s", c.path, c.want)
		}
	}
	if _, err := Read(filepath.Join(dir, "gone.png"), Limits{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file's error is not fs.ErrNotExist: %v", err)
	}
}

// The content decides, not the name.
func TestNameDoesNotMatter(t *testing.T) {
	data, err := os.ReadFile("testdata/rgb.png")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.jpg")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, Limits{}); err != nil {
		t.Error(err)
	}
}

// A frame that reaches over the edge of its screen makes the screen larger, as in
// Pillow.
func TestSmallScreen(t *testing.T) {
	data, err := os.ReadFile("testdata/palette.gif")
	if err != nil {
		t.Fatal(err)
	}
	want := readRaw(t, "testdata/palette.gif.raw")
	for _, side := range [][2]byte{{0, 0}, {5, 3}, {17, 3}, {17, 11}} {
		data[6], data[8] = side[0], side[1]
		m, err := Decode(data, Limits{})
		if err != nil || m.W != want.W || m.H != want.H || !bytes.Equal(m.Pix, want.Pix) {
			t.Errorf("%v: %d × %d, %v", side, m.W, m.H, err)
		}
	}
	if _, err := Decode(data, Limits{Pixels: 17*11 - 1}); err == nil || !strings.Contains(err.Error(), "17 × 11") {
		t.Errorf("the frame goes by the limit: %v", err)
	}
}

func TestContainPanic(t *testing.T) {
	err := formatTIFF.contain(func() error { var p []int; _ = p[len(p)]; return nil })
	if err == nil || !strings.Contains(err.Error(), "broken TIFF: the decoder failed") {
		t.Error(err)
	}
}

// Every type and every part of a picture gives the colours of its At, over
// white.
func TestFrom(t *testing.T) {
	bounds := image.Rect(0, 0, 9, 7)
	ycbcr := image.NewYCbCr(bounds, image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(3, 4))
	for _, plane := range [][]uint8{ycbcr.Y, ycbcr.Cb, ycbcr.Cr} {
		for i := range plane {
			plane[i] = uint8(r.Uint32())
		}
	}
	alpha := &image.NYCbCrA{YCbCr: *ycbcr, A: make([]uint8, 63), AStride: 9}
	for i := range alpha.A {
		alpha.A[i] = uint8(r.Uint32())
	}
	pictures := []draw.Image{
		image.NewRGBA(bounds), image.NewNRGBA(bounds), image.NewRGBA64(bounds), image.NewNRGBA64(bounds),
		image.NewCMYK(bounds), image.NewPaletted(bounds, palette.Plan9), image.NewGray(bounds), image.NewGray16(bounds),
	}
	all := []image.Image{ycbcr, alpha}
	for _, p := range pictures {
		draw.Draw(p, bounds, alpha, image.Point{}, draw.Src)
		all = append(all, p)
	}
	for _, whole := range all {
		for _, part := range []image.Rectangle{bounds, image.Rect(3, 1, 8, 6)} {
			p := whole.(interface {
				SubImage(image.Rectangle) image.Image
			}).SubImage(part)
			m := From(p)
			if m.W != part.Dx() || m.H != part.Dy() {
				t.Fatalf("%T: %d × %d", p, m.W, m.H)
			}
			m = m.Convert(3)
			for i, v := range m.Pix {
				pr, pg, pb, pa := p.At(part.Min.X+i/3%m.W, part.Min.Y+i/3/m.W).RGBA()
				want := int([]uint32{pr, pg, pb}[i%3]+0xffff-pa) >> 8
				if d := int(v) - want; d < -2 || d > 2 {
					t.Fatalf("%T %v: sample %d is %d, want %d", p, part, i, v, want)
				}
			}
		}
	}
}

func TestConvert(t *testing.T) {
	m := Image{W: 2, H: 2, C: 3, Pix: []uint8{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}}
	grey := m.Convert(1)
	if want := []uint8{76, 150, 29, 255}; grey.C != 1 || !bytes.Equal(grey.Pix, want) { // Pillow's
		t.Errorf("grey %v, want %v", grey, want)
	}
	if back := grey.Convert(3); back.C != 3 || !bytes.Equal(back.Pix[3:6], []uint8{150, 150, 150}) ||
		len(back.Pix) != 12 {
		t.Errorf("repeated %v", back)
	}
	if same := m.Convert(3); &same.Pix[0] != &m.Pix[0] {
		t.Error("an image that has the channels asked for is copied")
	}
}

func BenchmarkDecodeJPEG(b *testing.B) {
	src := image.NewYCbCr(image.Rect(0, 0, 640, 427), image.YCbCrSubsampleRatio420)
	for i := range src.Y {
		x, y := i%640, i/640
		src.Y[i] = uint8(128 + 60*math.Sin(float64(x)/9) + 60*math.Cos(float64(y*x)/5000))
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, src, &jpeg.Options{Quality: 90}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(640 * 427)
	for b.Loop() {
		if _, err := Decode(file.Bytes(), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// Files of 16 bits that use fewer are counted, others are not; a turn or another
// number of channels does not lose the figure.
func TestDepths(t *testing.T) {
	var d Depths
	for name, want := range map[string]int{"few12.png": 12, "few12.tif": 12, "few8.tif": 8, "few10.png": 10, "few10.tif": 10,
		"few12rgb.tif": 12, "few12rgba.png": 12, "grey16.png": 0, "grey16.tif": 0, "rgba16.png": 0, "grey12.tif": 0, "grey.png": 0} {
		m, err := Read("testdata/"+name, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m = m.oriented(6).Convert(3).Convert(1)
		if m.Depth != want {
			t.Errorf("%s: %d bits, want %d", name, m.Depth, want)
		}
		d.Count(m)
	}
	want := []string{
		"1 image has samples of 16 bits that use 8 of them; it is scaled so that these fill the range",
		"2 images have samples of 16 bits that use 10 of them; they are scaled so that these fill the range",
		"4 images have samples of 16 bits that use 12 of them; they are scaled so that these fill the range",
		"3 images have samples of 16 bits, of which the upper 8 are kept; --values raw keeps all",
	}
	if notes := d.Notes(); !slices.Equal(notes, want) {
		t.Errorf("%q", notes)
	}
}
