package dataset

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
)

// Fingerprint names the data set's contents, so that a run is not resumed on
// other data: it changes with the names, the labels, the order, and the pixels
// that are held here or packed, not with those of other files.
func (d *Dataset) Fingerprint() string {
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	h.Write([]byte(d.sum))
	for _, item := range d.Items {
		fmt.Fprintf(h, "%s\x00%d\x00", item.Name, item.Label)
		if item.Path == "" && d.sum == "" {
			binary.Write(h, binary.LittleEndian, [3]int64{int64(item.Image.W), int64(item.Image.H), int64(item.Image.C)})
			h.Write(item.Image.Pix)
		}
	}
	return fmt.Sprintf("%d-%016x", len(d.Items), h.Sum64())
}
