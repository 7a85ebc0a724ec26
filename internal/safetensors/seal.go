package safetensors

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// A sealed file carries two checksums in its metadata, each a CRC-32C in eight
// hexadecimal digits: that of all data, and that of all that comes before the
// data, the first checksum and the eight bytes of the header's length included.
// The second is taken with zeros for its own digits. Together they cover every
// byte, and to other readers they are two more strings in the metadata.
const (
	DataKey   = "vicreg.crc32c.data"
	HeaderKey = "vicreg.crc32c.header"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var zeros = []byte("00000000")

// sealMark stands before the digits of the header's checksum. Within a JSON
// string its inner quotes would be escaped.
var sealMark = []byte(`"` + HeaderKey + `":"`)

// Damaged is the error of a file whose bytes are not those that were sealed.
type Damaged struct {
	Name      string // of the file
	Part      string // header or data
	Sum, Want string // the part's checksum now, and when it was written
}

func (e *Damaged) Error() string {
	return fmt.Sprintf("%s is damaged: the checksum of its %s is %s, but was %s when it was written", e.Name, e.Part, e.Sum, e.Want)
}

// WriteSealed is Write with checksums of all bytes, which NewFile and
// File.Verify hold the file against.
func WriteSealed(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors, err := ordered(tensors)
	if err != nil {
		return err
	}
	sealed := map[string]string{}
	for k, v := range metadata {
		if k == DataKey || k == HeaderKey {
			return fmt.Errorf("safetensors: the metadata key %s is taken", k)
		}
		sealed[k] = v
	}
	sum := crc32.New(castagnoli)
	if err := writeData(sum, tensors); err != nil {
		return err
	}
	sealed[DataKey], sealed[HeaderKey] = digits(sum), string(zeros)
	head, err := lead(tensors, sealed)
	if err != nil {
		return err
	}
	at := bytes.Index(head, sealMark) + len(sealMark)
	copy(head[at:], digits(headerSum(head, at)))
	return write(w, head, tensors)
}

// WriteSealedFile is WriteFile with the checksums of WriteSealed.
func WriteSealedFile(path string, tensors []Tensor, metadata map[string]string) error {
	return writeFile(path, func(w io.Writer) error { return WriteSealed(w, tensors, metadata) })
}

// headerSum is the checksum of a file's bytes before its data, with zeros for
// the eight digits that begin at byte at.
func headerSum(head []byte, at int) hash.Hash32 {
	sum := crc32.New(castagnoli)
	sum.Write(head[:at])
	sum.Write(zeros)
	sum.Write(head[at+len(zeros):])
	return sum
}

func digits(sum hash.Hash32) string { return hex.EncodeToString(sum.Sum(nil)) }

// checkHeader compares the bytes before the data with the checksum among them,
// if there is one. It does not need them to be a header.
func (f *File) checkHeader(head []byte) error {
	at := bytes.Index(head, sealMark) + len(sealMark)
	if at < len(sealMark) || at+len(zeros) > len(head) {
		return nil
	}
	f.sealed = string(head[at : at+len(zeros)])
	if got := digits(headerSum(head, at)); got != f.sealed {
		return &Damaged{f.name, "header", got, f.sealed}
	}
	return nil
}

// checkSeal finds what checkHeader cannot see before the header is taken apart.
func (f *File) checkSeal() error {
	_, data := f.Metadata[DataKey]
	header, ok := f.Metadata[HeaderKey]
	switch {
	case data != ok:
		return fmt.Errorf("its metadata has one of %s and %s without the other", DataKey, HeaderKey)
	case header != f.sealed || ok && header == "":
		return fmt.Errorf("its checksum %s is not where it was written: another program changed the file", HeaderKey)
	}
	return nil
}

// Sealed reports whether the file carries checksums. That of the header has
// been checked then.
func (f *File) Sealed() bool { return f.sealed != "" }

// Verify reads all data of a sealed file and compares them with their checksum.
// The error of bytes that have changed is a *Damaged.
func (f *File) Verify() error {
	if !f.Sealed() {
		return fmt.Errorf("%s carries no checksum", f.name)
	}
	sum := crc32.New(castagnoli)
	if n, err := io.Copy(sum, io.NewSectionReader(f.r, f.data, f.size-f.data)); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	} else if n < f.size-f.data {
		return fmt.Errorf("%s was cut short while it was read", f.name)
	}
	if got, want := digits(sum), f.Metadata[DataKey]; got != want {
		return &Damaged{f.name, "data", got, want}
	}
	return nil
}
