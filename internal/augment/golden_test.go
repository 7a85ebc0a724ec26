package augment

import (
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/imagefile"
)

// The golden files hold what Pillow 9.4 made, through torchvision 0.14. The
// project's tolerance is 1 level of 255 on 99% of values and 2 anywhere; these
// are equal to the last bit.

func golden(t *testing.T, g *check.GoldenFile, name string) imagefile.Image {
	t.Helper()
	shape := g.Shape(name)
	img := imagefile.Image{H: shape[0], W: shape[1], C: shape[2]}
	for _, v := range g.F64(name) {
		img.Pix = append(img.Pix, uint8(v))
	}
	return img
}

func same(t *testing.T, what string, got, want imagefile.Image) {
	t.Helper()
	if got.W != want.W || got.H != want.H || got.C != want.C {
		t.Errorf("%s: %d × %d × %d, want %d × %d × %d", what, got.W, got.H, got.C, want.W, want.H, want.C)
		return
	}
	bad := 0
	for i, v := range want.Pix {
		if v != got.Pix[i] {
			if bad == 0 {
				t.Errorf("%s: value %d is %d, want %d", what, i, got.Pix[i], v)
			}
			bad++
		}
	}
	if bad > 0 {
		t.Errorf("%s: %d of %d values differ", what, bad, len(want.Pix))
	}
}

func whole(img imagefile.Image) Rect { return Rect{0, 0, img.W, img.H} }

func TestGolden(t *testing.T) {
	for _, file := range []string{"photo0", "photo1"} {
		g := check.Golden(t, "testdata/"+file+".safetensors")
		img := golden(t, g, "image")
		var s Scratch
		for _, name := range g.Names() {
			op, arg, _ := strings.Cut(name, ".")
			var out imagefile.Image
			var x float64
			fmt.Sscan(arg, &x)
			step := func(f func()) { // one colour step on the whole image
				s.ResizedCrop(&s.img, img, whole(img), img.W, img.H, Bicubic, false)
				s.lut = identity
				f()
				lut := s.takeLUT()
				out = imagefile.Image{W: img.W, H: img.H, C: img.C}
				for _, v := range s.img.Pix {
					out.Pix = append(out.Pix, lut[v])
				}
			}
			switch op {
			case "image":
				continue
			case "resized_crop_bicubic", "resized_crop_bilinear":
				filter := Bicubic
				if op == "resized_crop_bilinear" {
					filter = Bilinear
				}
				var r Rect
				var size int
				where := arg[strings.Index(arg, "top"):]
				if _, err := fmt.Sscanf(where, "top%d_left%d_h%d_w%d_to%d", &r.Y, &r.X, &r.H, &r.W, &size); err != nil {
					t.Fatal(name, err)
				}
				s.ResizedCrop(&out, img, r, size, size, filter, false)
			case "hflip":
				s.ResizedCrop(&out, img, whole(img), img.W, img.H, Bicubic, true)
			case "brightness":
				step(func() { s.brightness(float32(x)) })
			case "contrast":
				step(func() { s.contrast(float32(x)) })
			case "saturation":
				step(func() { s.saturation(float32(x)) })
			case "hue":
				step(func() { s.hue(x) })
			case "grayscale":
				step(func() { s.grey() })
			case "gaussian_blur":
				step(func() { s.blur(x) })
			case "solarize":
				step(func() { s.solarize(int(x)) })
			case "normalized":
				got := make([]float32, len(img.Pix))
				NewNorm([]float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}).ToFloat(got, img)
				want := check.NHWC(g.F32(name), 1, img.C, img.H, img.W)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s %s: value %d is %v, want %v", file, name, i, got[i], want[i])
					}
				}
				continue
			default:
				t.Errorf("no test for %s", name)
				continue
			}
			same(t, file+" "+name, out, golden(t, g, name))
		}
	}
}

// Every colour there is, against the checksum of Pillow's result.
func TestEveryColor(t *testing.T) {
	if testing.Short() {
		t.Skip("2²⁴ colours")
	}
	cube := make([]uint8, 3<<24)
	var s Scratch
	s.img = imagefile.Image{W: 4096, H: 4096, C: 3, Pix: cube}
	for _, c := range []struct {
		what string
		do   func()
		want uint32
	}{
		{"hue -0.1", func() { s.hue(-0.1) }, 0xdfd7734e},
		{"hue 0.05", func() { s.hue(0.05) }, 0x4dfa5f48},
		{"saturation 0.8", func() { s.saturation(0.8) }, 0x8a863073},
		{"saturation 1.2", func() { s.saturation(1.2) }, 0x20c57923},
		{"contrast 1.2, solarize, grey", func() { s.contrast(1.2); s.solarize(100); s.grey() }, 0x3141f456},
	} {
		for i, p := 0, cube; len(p) >= 3; i, p = i+1, p[3:] {
			p[0], p[1], p[2] = uint8(i>>16), uint8(i>>8), uint8(i)
		}
		s.lut = identity
		c.do()
		if got := crc32.ChecksumIEEE(cube); got != c.want {
			t.Errorf("%s: checksum %#x, want %#x", c.what, got, c.want)
		}
	}
}

// Whole views, against the checksum of what Pillow and torchvision make.
func TestWholeViews(t *testing.T) {
	photo := golden(t, check.Golden(t, "testdata/photo0.safetensors"), "image")
	grey := imagefile.Image{W: photo.W, H: photo.H, C: 1}
	for p := photo.Pix; len(p) > 0; p = p[3:] {
		grey.Pix = append(grey.Pix, luma(p[0], p[1], p[2]))
	}
	var s Scratch
	for i, c := range []struct {
		img  imagefile.Image
		size int
		draw Draw
		want uint32
	}{
		{photo, 32, Draw{
			Crop: Rect{11, 7, 45, 60}, Flip: true,
			Jitter: [4]Step{{Hue, 0.05}, {Brightness, 1.3}, {Saturation, 0.85}, {Contrast, 0.7}}, Jitters: 4,
			Blur: true, Sigma: 1.7, Solarize: true, Threshold: 128,
		}, 0x17b4246e},
		{photo, 31, Draw{
			Crop:   Rect{11, 7, 45, 60},
			Jitter: [4]Step{{Contrast, 1.4}, {Saturation, 1.2}, {Brightness, 0.6}, {Hue, -0.1}}, Jitters: 4,
			Grey: true, Blur: true, Sigma: 0.3,
		}, 0x0142b0a5},
		{grey, 27, Draw{
			Crop:   Rect{3, 0, 99, 85},
			Jitter: [4]Step{{Contrast, 1.3}, {Brightness, 0.8}}, Jitters: 2,
			Blur: true, Sigma: 3,
		}, 0x74e83dd1},
	} {
		if got := crc32.ChecksumIEEE(s.picture(c.img, &c.draw, c.size).Pix); got != c.want {
			t.Errorf("view %d: checksum %#x, want %#x", i, got, c.want)
		}
	}
	dst := make([]float32, 33*33*3)
	n := NewNorm([]float64{0, 0, 0}, []float64{1, 1, 1})
	s.Center(dst, photo, 40, 33, n)
	pix := make([]uint8, len(dst))
	for i, v := range dst {
		pix[i] = uint8(v*255 + 0.5)
	}
	if got := crc32.ChecksumIEEE(pix); got != 0x125e8d23 {
		t.Errorf("centre: checksum %#x", got)
	}
}
