package torchfile

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// pickled reports whether a file begins as a pickle does: with its protocol, or with the
// number that torch.save puts first, in the oldest protocols.
func pickled(head []byte) bool {
	return len(head) >= 2 && head[0] == opProto && head[1] >= 2 && head[1] <= 5 ||
		bytes.HasPrefix(head, []byte("L119547037146038801333356"))
}

// stranger says what a file is that is none of PyTorch's, by how it begins.
func stranger(head []byte, size int64) error {
	for _, s := range []struct{ begins, what string }{
		{"version https://git-lfs.github.com/", "is a pointer of Git LFS, not the weights it stands for: fetch them with git lfs pull, or download the file itself"},
		{"PK\x05\x06", "is a zip file with nothing in it: " + again},
		{"\x1f\x8b", "is compressed with gzip: unpack it first, with gunzip or tar"},
		{"BZh", "is compressed with bzip2: unpack it first"},
		{"\xfd7zXZ\x00", "is compressed with xz: unpack it first"},
		{"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it first"},
		{"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"},
		{"\x89HDF\r\n", "is an HDF5 file, as Keras writes, not a file of PyTorch"},
		{"\x93NUMPY", "is an array of NumPy, not a file of PyTorch"},
	} {
		if strings.HasPrefix(string(head), s.begins) {
			return flaw(s.what)
		}
	}
	if len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= uint64(size-8) {
		return flaw("is a safetensors file: give it the ending .safetensors")
	}
	if len(head) >= 262 && string(head[257:262]) == "ustar" {
		return flaw("is a tar archive: unpack it; if it is a file of PyTorch 0.1 itself, load it in Python and save it again with torch.save")
	}
	text := strings.ToLower(strings.TrimSpace(strings.TrimPrefix(string(head), "\ufeff")))
	switch {
	case strings.HasPrefix(text, "<!doctype") || strings.HasPrefix(text, "<html") || strings.HasPrefix(text, "<?xml") ||
		strings.HasPrefix(text, "<head") || strings.HasPrefix(text, "<!--"):
		return flaw("is a web page, not weights: the address led to a page about them, so download the file itself")
	case strings.HasPrefix(text, "{") || strings.HasPrefix(text, "["):
		return flaw("is a JSON text, not weights: download the file itself")
	}
	return flawf("is not a file of torch.save: it begins with %q", head[:min(len(head), 8)])
}
