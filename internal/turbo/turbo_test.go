package turbo

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"runtime"
	"strings"
	"testing"
)

func TestAdvice(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("no library is opened on this system")
	}
	if got := Advice(errOff); !strings.Contains(got, "VICREG_JPEG=go") {
		t.Errorf("turned off: %q", got)
	}
	want := "go install -tags native"
	if native {
		want = "but it lies nowhere; get it by apt-get install libturbojpeg0"
	}
	if got := Advice(errors.New("it lies nowhere")); !strings.Contains(got, want) {
		t.Errorf("not found: %q", got)
	}
}

// A picture of whole blocks and one that ends within a block come out in their size, whole
// and scaled; nothing that is wrong is taken.
func TestDecode(t *testing.T) {
	d := Take()
	if d == nil {
		_, err := Found()
		t.Skip("libjpeg-turbo is not used: ", err)
	}
	defer d.Give()
	for _, side := range []image.Point{{64, 32}, {61, 35}} {
		m := image.NewYCbCr(image.Rectangle{Max: side}, image.YCbCrSubsampleRatio420)
		for i := range m.Y {
			m.Y[i] = uint8(40 + i%m.YStride)
		}
		for i := range m.Cb {
			m.Cb[i], m.Cr[i] = 128, 128
		}
		var file bytes.Buffer
		if err := jpeg.Encode(&file, m, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		f := Frame{W: side.X, H: side.Y, ShareW: 2, ShareH: 2}
		planes, strides, ok := d.Planes(file.Bytes(), f)
		if !ok {
			t.Fatalf("%v is refused", side)
		}
		for y := range side.Y {
			for x := range side.X {
				if got, want := int(planes[0][y*strides[0]+x]), 40+x; got < want-2 || got > want+2 {
					t.Fatalf("%v: luma at %d, %d is %d, want %d", side, x, y, got, want)
				}
			}
		}
		for _, by := range []int{1, 2, 4, 8} {
			w, h := f.Scaled(by)
			pix := make([]byte, 3*w*h)
			if !d.Pixels(pix, file.Bytes(), f, by) {
				t.Fatalf("%v at 1/%d is refused", side, by)
			}
			for i, got := range pix[:3*(w-1)] {
				if want := 40 + float64(i/3*by) + float64(by-1)/2; float64(got) < want-3 || float64(got) > want+3 {
					t.Fatalf("%v at 1/%d: sample %d is %d, want %v", side, by, i, got, want)
				}
			}
		}
		if _, _, ok := d.Planes(file.Bytes()[:file.Len()/2], f); ok {
			t.Error("half a file is taken")
		}
		if _, _, ok := d.Planes([]byte("no picture"), f); ok {
			t.Error("text is taken")
		}
	}
}

func TestEnvError(t *testing.T) {
	for _, v := range []string{"", "go"} {
		if t.Setenv(Variable, v); EnvError() != nil {
			t.Error(EnvError())
		}
	}
	for _, v := range []string{"Go", "foo", "0"} {
		if t.Setenv(Variable, v); EnvError() == nil {
			t.Errorf("%q is taken", v)
		}
	}
}
