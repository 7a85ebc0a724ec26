package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"strings"

	cmyk "github.com/hhrutter/tiff"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Limits bounds what a file may ask for; zero fields mean the defaults.
type Limits struct {
	Pixels int64 // width × height
	Bytes  int64 // size of the file
}

// The default limits. The pixel limit is near Pillow's.
const (
	MaxPixels = 100_000_000
	MaxBytes  = 1 << 30
)

func (l Limits) orDefault() Limits {
	if l.Pixels <= 0 {
		l.Pixels = MaxPixels
	}
	if l.Bytes <= 0 {
		l.Bytes = MaxBytes
	}
	return l
}

// Extensions are the file name endings of the formats read, in lower case.
var Extensions = []string{
	".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp",
}

// format is one kind of file.
type format struct {
	name   string
	decode func(io.Reader) (image.Image, error)
	config func(io.Reader) (image.Config, error)
}

var (
	formatJPEG = &format{"JPEG", jpeg.Decode, jpeg.DecodeConfig}
	formatPNG  = &format{"PNG", png.Decode, png.DecodeConfig}
	formatGIF  = &format{"GIF", decodeGIF, gif.DecodeConfig}
	formatBMP  = &format{"BMP", bmp.Decode, bmp.DecodeConfig}
	formatTIFF = &format{"TIFF", decodeTIFF, configTIFF}
	formatWebP = &format{"WebP", webp.Decode, webp.DecodeConfig}
)

// sniff tells the format from the first bytes of a file.
func sniff(head []byte) (*format, error) {
	has := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\xff\xd8"):
		return formatJPEG, nil
	case has(0, "\x89PNG\r\n\x1a\n"):
		return formatPNG, nil
	case has(0, "GIF8"):
		return formatGIF, nil
	case has(0, "BM"):
		return formatBMP, nil
	case has(0, "II*\x00"), has(0, "MM\x00*"):
		return formatTIFF, nil
	case has(0, "RIFF") && has(8, "WEBP"):
		return formatWebP, nil
	}
	what := "not an image"
	start := strings.ToLower(string(bytes.TrimSpace(head[:min(len(head), 64)])))
	switch {
	case has(4, "ftypavif"), has(4, "ftypavis"):
		what = "an AVIF picture"
	case has(4, "ftyphei"), has(4, "ftyphev"), has(4, "ftypmif"), has(4, "ftypmsf"):
		what = "a HEIC picture"
	case has(0, "\xff\x0a"), has(4, "JXL "):
		what = "a JPEG XL picture"
	case has(4, "jP  "):
		what = "a JPEG 2000 picture"
	case has(0, "8BPS"):
		what = "a Photoshop file"
	case strings.HasPrefix(start, "<svg"):
		what = "an SVG drawing"
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		what = "a web page, not an image"
	case len(head) < 12 || len(bytes.Trim(head, "\x00")) == 0:
		what = "not an image (too short, or nothing but zeros)"
	}
	return nil, errors.New(what + "; JPEG, PNG, GIF, BMP, TIFF and WebP are read")
}

// Read reads the image at path. Errors begin with the path.
func Read(path string, limits Limits) (Image, error) {
	limits = limits.orDefault()
	info, err := os.Stat(path)
	if err == nil {
		err = checkFile(info, limits)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return Image{}, named(path, err)
	}
	img, err := Decode(data, limits)
	if err != nil {
		return Image{}, named(path, err)
	}
	return img, nil
}

// Decode reads the image whose file contents are data. It may keep nothing of
// data.
func Decode(data []byte, limits Limits) (Image, error) {
	f, err := sniff(data)
	if err != nil {
		return Image{}, err
	}
	var img Image
	err = f.contain(func() error {
		config, err := f.config(bytes.NewReader(data))
		if err != nil {
			return err
		}
		if err := checkSize(config, limits.orDefault()); err != nil {
			return err
		}
		decoded, err := f.decode(bytes.NewReader(data))
		if err != nil {
			return err
		}
		img = f.pixels(decoded, data)
		return nil
	})
	if err != nil {
		return Image{}, err
	}
	return img.oriented(orientation(f, data)), nil
}

// Stat reads the header of the image at path and returns its size as stored
// (before any turn the EXIF orientation asks for), checking the limits. Errors
// begin with the path.
func Stat(path string, limits Limits) (w, h int, err error) {
	limits = limits.orDefault()
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, named(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = checkFile(info, limits)
	}
	if err != nil {
		return 0, 0, named(path, err)
	}
	head := make([]byte, 64)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return 0, 0, named(path, err)
	}
	f, err := sniff(head[:n])
	if err == nil {
		err = f.contain(func() error {
			// The TIFF reader looks about in the file, the others read on.
			config, err := f.config(io.NewSectionReader(file, 0, info.Size()))
			if err != nil {
				return err
			}
			w, h = config.Width, config.Height
			return checkSize(config, limits)
		})
	}
	if err != nil {
		return 0, 0, named(path, err)
	}
	return w, h, nil
}

func checkFile(info fs.FileInfo, limits Limits) error {
	switch {
	case info.IsDir():
		return errors.New("a folder, not an image file")
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Size() == 0:
		return errors.New("the file is empty")
	case info.Size() > limits.Bytes:
		return fmt.Errorf("the file has %d MB, more than the limit of %d MB", info.Size()/1e6, limits.Bytes/1e6)
	}
	return nil
}

// A sizeError refuses an image for its width and height.
type sizeError string

func (e sizeError) Error() string { return string(e) }

func checkSize(c image.Config, limits Limits) error {
	if c.Width <= 0 || c.Height <= 0 {
		return sizeError(fmt.Sprintf("the image is %d × %d: it has no pixels", c.Width, c.Height))
	}
	if int64(c.Width) > limits.Pixels/int64(c.Height) {
		return sizeError(fmt.Sprintf("the image is %d × %d, more than the limit of %.4g megapixels",
			c.Width, c.Height, float64(limits.Pixels)/1e6))
	}
	return nil
}

// contain runs work and words its errors, panics among them, for a person.
func (f *format) contain(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("broken %s: the decoder failed (%v)", f.name, r)
		}
	}()
	err = work()
	var size sizeError
	if err == nil || errors.As(err, &size) {
		return err
	}
	var (
		unsupportedJPEG jpeg.UnsupportedError
		unsupportedPNG  png.UnsupportedError
		unsupportedTIFF tiff.UnsupportedError
		unsupportedCMYK cmyk.UnsupportedError
	)
	reason := err.Error()
	for _, prefix := range []string{"jpeg: ", "png: ", "gif: ", "bmp: ", "tiff: ", "webp: ", "vp8: ", "vp8l: ",
		"invalid JPEG format: ", "invalid format: ", "unsupported JPEG feature: ", "unsupported feature: "} {
		reason = strings.TrimPrefix(reason, prefix)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		strings.Contains(reason, "EOF"), strings.Contains(reason, "not enough"), strings.Contains(reason, "short "):
		return fmt.Errorf("broken %s: the file is cut short", f.name)
	case errors.As(err, &unsupportedJPEG), errors.As(err, &unsupportedPNG), errors.As(err, &unsupportedTIFF),
		errors.As(err, &unsupportedCMYK), errors.Is(err, bmp.ErrUnsupported):
		return fmt.Errorf("a kind of %s that is not read (%s); save it anew as plain PNG or JPEG", f.name, reason)
	}
	return fmt.Errorf("broken %s: %s", f.name, reason)
}

// named puts the path before the reason, once.
func named(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// decodeGIF reads the first frame, at its place on the screen.
func decodeGIF(r io.Reader) (image.Image, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	screen, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bounds := image.Rect(0, 0, screen.Width, screen.Height)
	if p, ok := frame.(*image.Paletted); ok && p.Rect != bounds {
		// The ground a partial frame leaves bare is transparent.
		whole := image.NewNRGBA(bounds)
		for y := p.Rect.Min.Y; y < p.Rect.Max.Y; y++ {
			for x := p.Rect.Min.X; x < p.Rect.Max.X; x++ {
				whole.Set(x, y, p.At(x, y))
			}
		}
		return whole, nil
	}
	return frame, nil
}
