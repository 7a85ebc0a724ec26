package imagefile

import (
	"encoding/binary"
	"io"
	"slices"
)

// A DIB is a BMP without its first 14 bytes, as it stands in other files and on the
// clipboard.

// fileHeader is what a DIB lacks. It does not say where the pixels are: they follow.
var fileHeader = append([]byte("BM"), make([]byte, 12)...)

// isDIB tells a DIB by its header's length and the few values that it must have.
func isDIB(head []byte) bool {
	if len(head) < 16 {
		return false
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	planes, bits := u16(head[12:]), u16(head[14:])
	switch u32(head) {
	case 12:
		planes, bits = u16(head[8:]), u16(head[10:])
	case 40, 52, 56, 64, 108, 124:
	default:
		return false
	}
	return planes <= 1 && slices.Contains([]uint16{1, 2, 4, 8, 16, 24, 32}, bits)
}

// shifted reads as a DIB with the header that it lacks.
type shifted struct{ r io.ReaderAt }

func (s shifted) ReadAt(p []byte, at int64) (int, error) {
	n := 0
	if at < int64(len(fileHeader)) {
		if n = copy(p, fileHeader[at:]); n == len(p) {
			return n, nil
		}
	}
	k, err := s.r.ReadAt(p[n:], at+int64(n)-int64(len(fileHeader)))
	return n + k, err
}

func sizeDIB(r io.ReaderAt, bytes int64) (claim, error) {
	return sizeBMP(shifted{r}, bytes+int64(len(fileHeader)))
}

func decodeDIB(data []byte) (Image, error) { return decodeBMP(slices.Concat(fileHeader, data)) }
