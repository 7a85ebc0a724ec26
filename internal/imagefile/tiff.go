package imagefile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"slices"

	cmyk "github.com/hhrutter/tiff"
	"golang.org/x/image/tiff"
)

// decodeTIFF and configTIFF read a TIFF with golang.org/x/image, or, where that
// does not know the colours and they are CMYK, with its offspring that does.
// Nothing else goes there: it drops the transparency of greys, and unpacks JPEG of
// any size.
func decodeTIFF(r io.Reader) (image.Image, error) {
	m, err := tiff.Decode(r)
	if unknownColours(err) {
		if cmykErr := plainCMYK(r); cmykErr != nil {
			return nil, cmykErr
		}
		return cmyk.Decode(r)
	}
	return m, err
}

func configTIFF(r io.Reader) (image.Config, error) {
	c, err := tiff.DecodeConfig(r)
	if unknownColours(err) {
		if cmykErr := plainCMYK(r); cmykErr != nil {
			return c, cmykErr
		}
		return cmyk.DecodeConfig(r)
	}
	return c, err
}

func unknownColours(err error) bool {
	var unsupported tiff.UnsupportedError
	return errors.As(err, &unsupported) && unsupported == "color model"
}

// Tags of a TIFF directory.
const (
	tagBits        = 0x102
	tagCompression = 0x103
	tagPhotometric = 0x106
	tagOrientation = 0x112
	tagSamples     = 0x115
	tagPlanar      = 0x11c
	tagInks        = 0x14c
)

// plainCMYK returns why a TIFF is not one of four samples of 8 bits side by
// side, cyan, magenta, yellow and black, or nil.
func plainCMYK(r io.Reader) error {
	at, ok := r.(io.ReaderAt)
	if !ok {
		panic("imagefile: a TIFF is read at any place")
	}
	d := readDirectory(at)
	one := func(tag uint16, otherwise int) int {
		if v := d[tag]; len(v) > 0 {
			return int(v[0])
		}
		return otherwise
	}
	reason := ""
	switch compression := one(tagCompression, 1); {
	case one(tagPhotometric, 0) != 5:
		reason = "color model"
	case compression == 6 || compression == 7:
		reason = "CMYK packed as JPEG"
	case one(tagPlanar, 1) != 1:
		reason = "CMYK in planes"
	case one(tagInks, 1) != 1:
		reason = "other inks than CMYK"
	case one(tagSamples, 4) != 4:
		reason = fmt.Sprintf("CMYK of %d samples", one(tagSamples, 4))
	default:
		if bits := d[tagBits]; !slices.Equal(bits, []uint16{8, 8, 8, 8}) {
			reason = fmt.Sprintf("CMYK of %d bits", bits)
		}
	}
	if reason == "" {
		return nil
	}
	return tiff.UnsupportedError(reason)
}

// directory is the first of a TIFF structure: the SHORT values of its tags, at
// most eight of each.
type directory map[uint16][]uint16

// readDirectory reads what can be read of it.
func readDirectory(r io.ReaderAt) directory {
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if string(head[:2]) == "MM" {
		order = binary.BigEndian
	} else if string(head[:2]) != "II" {
		return nil
	}
	at := int64(order.Uint32(head[4:]))
	if _, err := r.ReadAt(head[:2], at); err != nil {
		return nil
	}
	entries := make([]byte, 12*int(order.Uint16(head[:])))
	n, _ := r.ReadAt(entries, at+2)
	entries = entries[:n]
	const short, most = 3, 8
	d := directory{}
	for ; len(entries) >= 12; entries = entries[12:] {
		tag, count := order.Uint16(entries), order.Uint32(entries[4:])
		if _, twice := d[tag]; twice || order.Uint16(entries[2:]) != short || count == 0 {
			continue
		}
		var values [2 * most]byte
		count = min(count, most)
		if count <= 2 {
			copy(values[:], entries[8:12])
		} else if _, err := r.ReadAt(values[:2*count], int64(order.Uint32(entries[8:]))); err != nil {
			continue
		}
		for i := range count {
			d[tag] = append(d[tag], order.Uint16(values[2*i:]))
		}
	}
	return d
}

// tiffOrientation looks up the orientation in the first directory of a TIFF
// structure.
func tiffOrientation(t []byte) int {
	if v := readDirectory(bytes.NewReader(t))[tagOrientation]; len(v) > 0 && v[0] >= 1 && v[0] <= 8 {
		return int(v[0])
	}
	return 1
}
