package augment

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"vicreg/internal/check"
	"vicreg/internal/cpu"
	"vicreg/internal/imagefile"
)

// Plain Go makes the pictures that Pillow makes, too; avx2 and avx512 share
// their assembly here.
func TestPlain(t *testing.T) {
	if cpu.Variant() == "plain" {
		t.Skip("the other tests are it")
	}
	restore, err := cpu.Set("plain")
	if err != nil {
		t.Fatal(err)
	}
	defer restore()
	t.Run("golden", TestGolden)
	t.Run("every color", TestEveryColor)
	t.Run("whole views", TestWholeViews)
	t.Run("small images", TestSmallImages)
}

// guarded returns n bytes that touch a page which may not be touched.
func guarded(t *testing.T, n int, low bool) []uint8 {
	f := check.Guarded(t, (n+3)/4, low)
	if n == 0 {
		return nil
	}
	b := unsafe.Slice((*uint8)(unsafe.Pointer(&f[0])), 4*len(f))
	if low {
		return b[:n]
	}
	return b[len(b)-n:]
}

// The assembly does what its twins do, and nothing beyond the ends of its
// operands.
func TestPassesAsPlain(t *testing.T) {
	if !cpu.AVX2 {
		t.Skip("no assembly for this processor")
	}
	r := rand.New(rand.NewPCG(3, 4))
	fill := func(b []uint8) []uint8 {
		for i := range b {
			b[i] = uint8(r.Uint32())
			if r.IntN(4) == 0 {
				b[i] = uint8(r.IntN(2)) * 255
			}
		}
		return b
	}
	equal := func(what string, got, want []uint8) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Fatalf("%s differs from plain Go", what)
		}
	}
	for n := 1; n < 100; n++ {
		low := n%2 == 0
		stride := n + r.IntN(9)

		// 16 lines, some of them twice
		rows := 1 + r.IntN(20)
		at := offsets(0, rows, stride)
		src := fill(guarded(t, (min(rows, lines)-1)*stride+n, low))
		got, want := guarded(t, lines*n, low), make([]uint8, lines*n)
		interleave(got, src, &at, n)
		interleavePlain(want, src, &at, n)
		equal("interleave", got, want)
		back, wantBack := fill(guarded(t, len(src), low)), make([]uint8, len(src))
		copy(wantBack, back)
		split(back, &at, got, n)
		splitPlain(wantBack, &at, got, n)
		equal("split", back, wantBack)

		var tab table
		in, out := 1+r.IntN(40), 1+r.IntN(40)
		tab.build(in, out, Filter(n%2), n%3 == 0)
		src = fill(guarded(t, (in-1)*stride+n, low))
		got, want = guarded(t, (out-1)*stride+n, low), make([]uint8, (out-1)*stride+n)
		copy(want, fill(got))
		weigh(got, stride, src, stride, &tab, n)
		weighPlain(want, stride, src, stride, &tab, n)
		equal("weigh", got, want)

		b, m := boxOf(float32(r.Float64()*5)), lines*(1+r.IntN(4))
		src = fill(guarded(t, (n+2*b.radius+2)*m, low))
		got, want = guarded(t, n*m, low), make([]uint8, n*m)
		boxes(got, src, n, m, b)
		boxPlain(want, src, n, m, b)
		equal("box", got, want)

		for _, c := range []struct {
			what       string
			fast, slow func(p []uint8)
		}{
			{"grey", greyPixels, greyPlain},
			{"saturate", func(p []uint8) { saturatePixels(p, 1.7) }, func(p []uint8) { saturatePlain(p, 1.7) }},
			{"hue", func(p []uint8) { turnHue(p, 201) }, func(p []uint8) { huePlain(p, 201) }},
			{"luma", func(p []uint8) { p[0] = uint8(lumaSum(p)) }, func(p []uint8) { p[0] = uint8(lumaSumPlain(p)) }},
			{"substitute", func(p []uint8) { substitute(p, &odd) }, func(p []uint8) { substitutePlain(p, &odd) }},
		} {
			got = fill(guarded(t, 3*n, low))
			want = slices.Clone(got)
			c.fast(got)
			c.slow(want)
			equal(c.what, got, want)
		}
	}
}

// odd is a map without any order.
var odd = func() (l level) {
	for i := range l {
		l[i] = uint8(i*i*7 + 13*i + i>>3)
	}
	return
}()

// Images wider than high and higher than wide, with and without resizing, under
// every variant alike.
func TestVariantsAgree(t *testing.T) {
	if len(cpu.Variants()) < 2 {
		t.Skip("one variant alone")
	}
	r := rand.New(rand.NewPCG(5, 6))
	views := Released()
	views[0].Blur.Sigma = [2]float64{0.1, 8}
	for i := range 150 {
		img := noise(1+r.IntN(120), 1+r.IntN(120), 1+2*(i%2))
		size := 1 + r.IntN(70)
		draw := views[i%2].Draw(r, img.W, img.H, img.C)
		var pictures [2]imagefile.Image
		for k, v := range []string{cpu.Variants()[0], "plain"} {
			restore, err := cpu.Set(v)
			if err != nil {
				t.Fatal(err)
			}
			pictures[k] = new(Scratch).picture(img, &draw, size)
			restore()
		}
		if !slices.Equal(pictures[0].Pix, pictures[1].Pix) {
			t.Fatalf("%d × %d × %d to %d: %+v differs", img.W, img.H, img.C, size, draw)
		}
	}
}
