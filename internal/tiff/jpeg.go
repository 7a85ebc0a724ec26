package tiff

import (
	"bytes"
	"fmt"
	"io"
)

// unpackJPEG decodes a strip or tile, to which the tables of the whole file may
// belong.
func (p *painter) unpackJPEG(packed []byte, rows int) (io.Reader, error) {
	file, w, h, err := joinJPEG(p.d.bytes(tagJPEGTables), packed, p.photometric == 6)
	if err != nil {
		return nil, err
	}
	samples := p.chunkSamples()
	if w != p.tw || h < rows || h > max(p.th, 1<<16/w) {
		return nil, FormatError(fmt.Sprintf("a JPEG of %d × %d in a place of %d × %d", w, h, p.tw, rows))
	}
	// Each may be a little larger than its place; all together may not be much.
	if p.pixels -= int64(w) * int64(h); p.pixels < 0 {
		return nil, FormatError("pieces of JPEG that are larger than their places")
	}
	w, h, c, pix, err := p.jpeg(file)
	if err != nil {
		return nil, err
	}
	if c != samples || w != p.tw || h < rows {
		return nil, FormatError(fmt.Sprintf("a JPEG of %d samples in place of %d", c, samples))
	}
	return bytes.NewReader(pix), nil
}

// joinJPEG makes one file of the tables and a strip's data, which says how its
// colours are to be read, and returns its size.
func joinJPEG(tables, data []byte, ycc bool) (file []byte, w, h int, err error) {
	file = []byte{0xff, 0xd8}
	for _, part := range [][]byte{tables, data} {
		if len(part) == 0 {
			continue
		}
		if len(part) < 4 || part[0] != 0xff || part[1] != 0xd8 {
			return nil, 0, 0, FormatError("a strip that is no JPEG")
		}
		i := 2
	segments:
		for i+4 <= len(part) && part[i] == 0xff {
			marker := part[i+1]
			if marker == 0xff {
				i++
				continue
			}
			if marker == 0xd9 {
				break
			}
			length := 2 + int(part[i+2])<<8 + int(part[i+3])
			if i+length > len(part) {
				return nil, 0, 0, FormatError(errCut.Error())
			}
			switch {
			case marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc && length >= 10:
				h, w = int(part[i+5])<<8|int(part[i+6]), int(part[i+7])<<8|int(part[i+8])
				transform := byte(0)
				if ycc {
					transform = 1
				}
				file = append(file, 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, transform)
			case marker >= 0xe0 && marker <= 0xef:
				i += length
				continue
			case marker == 0xda:
				break segments
			}
			file = append(file, part[i:i+length]...)
			i += length
		}
		if &part[0] == &data[0] {
			file = append(file, part[i:]...)
		}
	}
	if w == 0 || h == 0 {
		return nil, 0, 0, FormatError("a strip that is no JPEG")
	}
	return file, w, h, nil
}
