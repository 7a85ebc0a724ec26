//go:build native && linux && (amd64 || arm64)

package turbo

import (
	"os"
	"runtime"
	"sync"
	"unsafe"

	lib "vicreg/internal/native"
)

const native = true

// api are functions of libturbojpeg.so.0, which version 3 has as well.
type api struct {
	TjInitDecompress, TjDecompressToYUVPlanes, TjDecompress2 lib.Func
}

// Numbers of turbojpeg.h.
const (
	pixelRGB  = 0 // TJPF_RGB
	pixelGrey = 6 // TJPF_GRAY

	// TJFLAG_ACCURATEDCT and TJFLAG_STOPONWARNING: a file that the library warns of is
	// left to another decoder.
	flags = 4096 | 8192
)

// found is the library; free are decoders that nobody uses.
var found struct {
	sync.Mutex
	looked bool
	at     *lib.Library
	err    error
	api    api
	free   []*Decoder
}

// open looks for the library once. The lock is held.
func open() error {
	if found.looked {
		return found.err
	}
	found.looked = true
	if os.Getenv(Variable) == "go" {
		found.err = errOff
		return errOff
	}
	if found.err = lib.CheckVariable(); found.err != nil {
		return found.err
	}
	if found.at, found.err = lib.NewSearch(runtime.GOARCH).Open("libturbojpeg.so.0"); found.err == nil {
		found.err = found.at.Table(&found.api)
	}
	return found.err
}

// Found returns the file of the library, or why it is not used.
func Found() (string, error) {
	found.Lock()
	defer found.Unlock()
	if err := open(); err != nil {
		return "", err
	}
	return found.at.String(), nil
}

// Decoder decodes one picture at a time.
type Decoder struct {
	api     api // its own, since calls of one function must not overlap
	handle  uintptr
	planes  [3]uintptr
	strides [3]int32
	samples [3][]byte
}

// Take returns a decoder, or nil if there is no library. Give it back.
func Take() *Decoder {
	found.Lock()
	defer found.Unlock()
	if open() != nil {
		return nil
	}
	if n := len(found.free); n > 0 {
		d := found.free[n-1]
		found.free = found.free[:n-1]
		return d
	}
	d := &Decoder{api: found.api}
	if d.handle = d.api.TjInitDecompress.Long(); d.handle == 0 {
		return nil
	}
	return d
}

// kept is how many samples of a plane a decoder keeps room for.
const kept = 4 << 20

// Give gives a decoder back. What it returned is no longer valid.
func (d *Decoder) Give() {
	for i, s := range d.samples {
		if cap(s) > kept {
			d.samples[i] = nil
		}
	}
	found.Lock()
	defer found.Unlock()
	found.free = append(found.free, d)
}

// Planes decodes a picture into its planes, of which all but luma may be smaller. It
// returns false if the library refuses the file or warns of anything in it.
func (d *Decoder) Planes(data []byte, f Frame) (planes [3][]byte, strides [3]int, ok bool) {
	w, h := padded(f.W, f.ShareW), padded(f.H, f.ShareH)
	for i := range d.samples {
		if i == 1 {
			w, h = w/f.ShareW, h/f.ShareH
		}
		if cap(d.samples[i]) < w*h {
			d.samples[i] = make([]byte, w*h)
		}
		planes[i], strides[i] = d.samples[i][:w*h], w
		d.planes[i], d.strides[i] = address(&planes[i][0]), int32(w)
	}
	r := d.api.TjDecompressToYUVPlanes.Call(d.handle, address(&data[0]), uintptr(len(data)),
		uintptr(unsafe.Pointer(&d.planes)), 0, uintptr(unsafe.Pointer(&d.strides)), 0, flags)
	runtime.KeepAlive(data)
	return planes, strides, r == 0
}

// padded rounds up to whole samples of chroma.
func padded(n, share int) int { return (n + share - 1) / share * share }

// Pixels decodes a picture at 1/by of its size, grey or red, green and blue, into pix. It
// returns false as Planes does.
func (d *Decoder) Pixels(pix, data []byte, f Frame, by int) bool {
	w, h := f.Scaled(by)
	format, c := pixelRGB, 3
	if f.Grey {
		format, c = pixelGrey, 1
	}
	if len(pix) < w*h*c {
		panic("turbo: no room for the pixels")
	}
	r := d.api.TjDecompress2.Call(d.handle, address(&data[0]), uintptr(len(data)), address(&pix[0]), uintptr(w),
		uintptr(w*c), uintptr(h), uintptr(format), flags)
	runtime.KeepAlive(data)
	runtime.KeepAlive(pix)
	return r == 0
}

func address(b *byte) uintptr { return uintptr(unsafe.Pointer(b)) }
