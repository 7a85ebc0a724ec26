package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is a file inside a zip file.
type entry struct{ name, data string }

// zipped makes a zip file of plain entries.
func zipped(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		n := uint64(len(e.data))
		w, err := z.CreateRaw(&zip.FileHeader{Name: e.name, CRC32: crc32.ChecksumIEEE([]byte(e.data)),
			CompressedSize64: n, UncompressedSize64: n})
		if err == nil {
			_, err = w.Write([]byte(e.data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// saved makes a file of the zip format of a pickle and the bytes of storage 0.
func saved(t testing.TB, pickle, data string) []byte {
	return zipped(t, entry{"archive/data.pkl", pickle}, entry{"archive/data/0", data}, entry{"archive/version", "3\n"})
}

// legacy makes a file of the format before version 1.6, with one storage, of the key "0".
func legacy(pickle string, count int64, data string) []byte {
	b := []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.")
	b = append(b, pickle+"\x80\x02]U\x010a."...)
	return append(binary.LittleEndian.AppendUint64(b, uint64(count)), data...)
}

func open(b []byte) (*File, error) { return newFile(bytes.NewReader(b), int64(len(b)), "x.pth") }

// pickles of what the tests put together, as texts of operations
func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}
func whole(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}
func naming(name string) string {
	i := strings.LastIndexByte(name, '.')
	return "c" + name[:i] + "\n" + name[i+1:] + "\n"
}
func called(name string, args ...string) string { return naming(name) + tupled(args...) + "R" }
func tupled(args ...string) string              { return "(" + strings.Join(args, "") + "t" }
func wholes(v ...int64) string {
	var b strings.Builder
	for _, x := range v {
		b.WriteString(whole(x))
	}
	return tupled(b.String())
}

// stored is a persistent identifier of count elements of storage 0.
func stored(class string, count int64, more ...string) string {
	return tupled(append([]string{text("storage"), naming("torch." + class), text("0"), text("cpu"), whole(count)}, more...)...) + "Q"
}

// viewed is a tensor of a storage.
func viewed(store string, offset int64, shape, stride string) string {
	return called("torch._utils._rebuild_tensor_v2", store, whole(offset), shape, stride, "\x89", "N")
}

// vector is a tensor of all of storage 0.
func vector(count int64) string {
	return viewed(stored("FloatStorage", count), 0, wholes(count), wholes(1))
}

// mapped is the pickle of a dict of keys and values, in turns.
func mapped(v ...string) string { return "\x80\x02}(" + strings.Join(v, "") + "u." }

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
