package imagefile

import (
	"bytes"
	"encoding/binary"
)

// orientation returns the EXIF orientation of a file, 1 (upright) when it has
// none or a broken one. The tag is looked up by hand, since a file is not
// trusted and one short value is all that is wanted.
func orientation(f *format, data []byte) int {
	switch f {
	case formatJPEG:
		return tiffOrientation(exifOfJPEG(data))
	case formatPNG:
		return tiffOrientation(exifOfPNG(data))
	case formatWebP:
		return tiffOrientation(exifOfWebP(data))
	case formatTIFF:
		return tiffOrientation(data)
	}
	return 1
}

var exifPrefix = []byte("Exif\x00\x00")

// exifOfJPEG walks the marker segments before the scan to APP1 with "Exif".
func exifOfJPEG(data []byte) []byte {
	for i := 2; i+4 <= len(data) && data[i] == 0xff; {
		marker := data[i+1]
		if marker == 0xff { // a fill byte
			i++
			continue
		}
		length := int(binary.BigEndian.Uint16(data[i+2:]))
		if marker == 0xda || length < 2 || i+2+length > len(data) { // start of scan
			return nil
		}
		body := data[i+4 : i+2+length]
		if marker == 0xe1 && bytes.HasPrefix(body, exifPrefix) {
			return body[len(exifPrefix):]
		}
		i += 2 + length
	}
	return nil
}

// exifOfPNG walks the chunks to eXIf.
func exifOfPNG(data []byte) []byte {
	for i := 8; i+12 <= len(data); {
		length := int64(binary.BigEndian.Uint32(data[i:]))
		if int64(i)+12+length > int64(len(data)) {
			return nil
		}
		if string(data[i+4:i+8]) == "eXIf" {
			return data[i+8 : i+8+int(length)]
		}
		i += 12 + int(length)
	}
	return nil
}

// exifOfWebP walks the RIFF chunks to EXIF.
func exifOfWebP(data []byte) []byte {
	for i := 12; i+8 <= len(data); {
		length := int64(binary.LittleEndian.Uint32(data[i+4:]))
		if int64(i)+8+length > int64(len(data)) {
			return nil
		}
		if string(data[i:i+4]) == "EXIF" {
			return bytes.TrimPrefix(data[i+8:i+8+int(length)], exifPrefix)
		}
		i += 8 + int(length+length&1) // chunks are padded to even length
	}
	return nil
}
