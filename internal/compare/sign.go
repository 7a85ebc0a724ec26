package compare

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"

	"vicreg/internal/durable"
)

// signature tells pictures that vicreg drew from all others.
const signature = "Software\x00vicreg"

// Sign puts the signature into a PNG, as a text chunk after its first chunk (PNG
// specification, 11.3.3), or into an SVG, as a comment before its drawing.
func Sign(picture []byte) []byte {
	at, mark := bytes.Index(picture, []byte("<svg")), []byte("<!-- "+signature[9:]+" -->\n")
	if bytes.HasPrefix(picture, []byte("\x89PNG")) {
		at = 8 + 12 + int(binary.BigEndian.Uint32(picture[8:]))
		chunk := append([]byte("tEXt"), signature...)
		mark = binary.BigEndian.AppendUint32(nil, uint32(len(signature)))
		mark = append(mark, chunk...)
		mark = binary.BigEndian.AppendUint32(mark, crc32.ChecksumIEEE(chunk))
	}
	if at < 0 {
		return picture
	}
	return append(append(append([]byte{}, picture[:at]...), mark...), picture[at:]...)
}

// IsPicture reports whether the file at path is a picture that vicreg drew.
func IsPicture(path string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	return bytes.HasPrefix(head, []byte("\x89PNG")) && bytes.Contains(head, []byte("tEXt"+signature)) ||
		bytes.Contains(head, []byte("<!-- "+signature[9:]+" -->"))
}
