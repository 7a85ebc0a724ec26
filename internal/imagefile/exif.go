package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"strings"

	"vicreg/internal/tiff"
)

// orientation returns how a picture is to be turned, 1 (upright) if the file does not
// say. EXIF data come first; where they say nothing, the XMP packet counts.
func orientation(f *format, data []byte) int {
	var exif, xmp []byte
	switch f {
	case formatJPEG:
		exif, xmp = metaOfJPEG(data)
	case formatPNG:
		exif, xmp = metaOfPNG(data)
	case formatWebP:
		exif, xmp = metaOfWebP(data)
	case formatTIFF:
		exif = data
	}
	o := -1
	for bytes.HasPrefix(exif, []byte(exifPrefix)) { // some writers put it where it does not belong
		exif = exif[len(exifPrefix):]
	}
	if d, err := tiff.ReadDirectory(bytes.NewReader(exif), int64(len(exif))); err == nil {
		o = d.Orientation()
		if f == formatTIFF {
			xmp = d.XMP()
		}
	}
	if o < 0 {
		o = orientationXMP(xmp)
	}
	if o < 1 || o > 8 {
		return 1
	}
	return o
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

func orientationXMP(packet []byte) int {
	if m := xmpOrientation.FindSubmatch(packet); m != nil {
		return int(m[1][0] - '0')
	}
	return 0
}

const (
	exifPrefix = "Exif\x00\x00"
	xmpPrefix  = "http://ns.adobe.com/xap/1.0/\x00"
)

// metaOfJPEG walks the marker segments before the scan. EXIF data may be spread
// over several.
func metaOfJPEG(data []byte) (exif, xmp []byte) {
	for i := 2; i+4 <= len(data); {
		if data[i] != 0xff || data[i+1] == 0xff || data[i+1] == 0 { // between segments, or filling
			i++
			continue
		}
		marker := data[i+1]
		if marker == 1 || marker >= 0xd0 && marker <= 0xd8 {
			i += 2
			continue
		}
		length := int(binary.BigEndian.Uint16(data[i+2:]))
		if marker == 0xda || marker == 0xd9 || length < 2 || i+2+length > len(data) {
			break
		}
		if body := data[i+4 : i+2+length]; marker == 0xe1 {
			if rest, ok := bytes.CutPrefix(body, []byte(exifPrefix)); ok {
				exif = append(exif, rest...)
			} else if rest, ok := bytes.CutPrefix(body, []byte(xmpPrefix)); ok {
				xmp = rest
			}
		}
		i += 2 + length
	}
	return exif, xmp
}

// metaOfPNG walks the chunks, those behind the pixels included. Of several texts
// with the same key the last counts.
func metaOfPNG(data []byte) (exif, xmp []byte) {
	const profileKey, xmpKey = "Raw profile type exif", "XML:com.adobe.xmp"
	type text struct {
		kind string
		body []byte
	}
	texts := map[string]text{}
	chunksPNG(data, func(kind string, body []byte) bool {
		switch kind {
		case "eXIf":
			exif = body
		case "tEXt", "zTXt", "iTXt":
			key, rest, _ := bytes.Cut(body, []byte{0})
			if k := string(key); k == profileKey || k == xmpKey {
				texts[k] = text{kind, rest}
			}
		}
		return true
	})
	if t := texts[profileKey]; exif == nil {
		exif = unhex(textPNG(t.kind, t.body))
	}
	t := texts[xmpKey]
	return exif, textPNG(t.kind, t.body)
}

// textPNG returns the text of a text chunk, given what follows its key.
func textPNG(kind string, text []byte) []byte {
	packed := false
	switch kind {
	case "zTXt":
		if len(text) < 1 || text[0] != 0 {
			return nil
		}
		packed, text = true, text[1:]
	case "iTXt":
		if len(text) < 2 {
			return nil
		}
		packed = text[0] != 0
		_, text, _ = bytes.Cut(text[2:], []byte{0}) // the language
		_, text, _ = bytes.Cut(text, []byte{0})     // the key in that language
	}
	const most = 1 << 20
	if !packed {
		return text[:min(len(text), most)]
	}
	z, err := zlib.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	text, err = io.ReadAll(io.LimitReader(z, most))
	if err != nil {
		return nil
	}
	return text
}

// unhex returns the bytes of a raw profile: an empty line, its name, its length,
// and lines of hexadecimal digits.
func unhex(profile []byte) []byte {
	lines := strings.Split(string(profile), "\n")
	if len(lines) < 4 {
		return nil
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(strings.Join(lines[3:], "")), ""))
	if err != nil {
		return nil
	}
	return b
}

// metaOfWebP walks the chunks of a WebP that says it has such data.
func metaOfWebP(data []byte) (exif, xmp []byte) {
	r, size := bytes.NewReader(data), int64(len(data))
	f, err := openWebP(r, size)
	if err != nil {
		return nil, nil
	}
	chunksRIFF(r, 12, size, func(c chunk) bool {
		if c.length > size-c.from {
			return false
		}
		body := data[c.from : c.from+c.length]
		switch {
		case c.kind == "EXIF" && f.flags&webpEXIF != 0 && exif == nil:
			exif = body
		case c.kind == "XMP " && f.flags&webpXMP != 0 && xmp == nil:
			xmp = body
		}
		return true
	})
	return exif, xmp
}
