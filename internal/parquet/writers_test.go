package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"vicreg/internal/imagefile"
)

// Tables that other programs wrote: 30 rows with the images of bytesOf, none in row 7, and
// no label, flag and real number in row 8. Between them they have pages of both forms,
// groups without rows, a dictionary's places that go on after the last row (DuckDB), texts
// that go on from the ones before (the Rust library, second form), and truth values as bits
// and as runs.
func TestOtherWriters(t *testing.T) {
	for file, classes := range map[string][]string{
		"arrow-go":  {"cat", "dog", "owl"}, // version 18.8
		"arrow-rs":  {"cat", "dog", "owl"}, // parquet-wasm 0.7
		"duckdb":    {"cat", "dog", "owl"}, // version 1.5
		"duckdb-v2": {"cat", "dog", "owl"},
		"polars":    {"0", "1", "2"}, // keeps no metadata of others
	} {
		t.Run(file, func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", file+".parquet"), "t.parquet")
			if err != nil {
				t.Fatal(err)
			}
			if f.Rows != 30 || f.Image != "image" || f.LabelColumn([]string{"label"}) != "label" {
				t.Fatalf("%d rows, images in %s", f.Rows, f.Image)
			}
			for i := range f.Rows {
				m, held, err := (&Row{f, i}).Hold("row", imagefile.Limits{}, nil)
				held.Release()
				if i == 7 {
					if err == nil || err.Error() != "row: this row has no bytes of an image" {
						t.Errorf("a row without an image: %v", err)
					}
				} else if err != nil || m.W != i+1 || m.H != 2 {
					t.Errorf("row %d is %d wide, %v", i, m.W, err)
				}
			}
			for column, want := range map[string]func(i int) string{
				"label": func(i int) string { return classes[i%3] },
				"flag":  func(i int) string { return strconv.FormatBool(i%3 == 1) },
				"far":   func(i int) string { return fmt.Sprint(1<<63 + uint64(i)) },
				"near":  func(i int) string { return fmt.Sprint(1<<31 + int64(i)) },
				"real":  func(i int) string { return fmt.Sprint(float64(i) / 2) },
				"text":  func(i int) string { return fmt.Sprint("a text that begins alike ", i) },
			} {
				labels, err := f.Labels(column)
				if err != nil {
					t.Errorf("%s: %v", column, err)
				}
				for i, got := range labels {
					if i == 8 && slices.Contains([]string{"label", "flag", "real"}, column) {
						if got != "" {
							t.Errorf("%s of row %d is %q, and there is none", column, i, got)
						}
					} else if got != want(i) {
						t.Errorf("%s of row %d is %q, not %q", column, i, got, want(i))
					}
				}
			}
		})
	}
	if _, err := Open(filepath.Join("testdata", "encrypted.parquet"), "x"); err == nil ||
		!strings.Contains(err.Error(), "column image.bytes is encrypted") {
		t.Errorf("a column that is encrypted: %v", err)
	}
}

func TestPages(t *testing.T) {
	text := bytes.Repeat([]byte("one page "), 9)
	block := make([]byte, lz4.CompressBlockBound(len(text)))
	n, err := lz4.CompressBlock(text, block, nil)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	block = block[:n]
	sizes := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(len(text))), uint32(n))
	framed := slices.Concat(sizes, block)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(text)
	z.Close()
	zip := zipped.Bytes()
	wrong := bytes.Clone(zip)
	wrong[len(zip)-8] ^= 1
	zstandard, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	zs := zstandard.EncodeAll(text, nil)
	wrongZS := bytes.Clone(zs)
	wrongZS[len(zs)-1] ^= 1
	for _, c := range []struct {
		what  string
		raw   []byte
		codec format.CompressionCodec
		want  []byte // nil: refused
	}{
		{"the older LZ4, bare", block, format.Lz4, text},
		{"the older LZ4 in pieces", slices.Concat(framed, framed), format.Lz4, slices.Concat(text, text)},
		{"pieces of which one is cut", slices.Concat(framed, framed[:len(framed)-1]), format.Lz4, nil},
		{"a piece that claims much", slices.Concat([]byte{255, 255, 255, 255}, framed[4:]), format.Lz4, nil},
		{"nothing, packed to nothing", nil, format.Snappy, []byte{}},
		{"snappy", snappy.Encode(nil, text), format.Snappy, text},
		{"gzip", zip, format.Gzip, text},
		{"gzip in two pieces", slices.Concat(zip, zip), format.Gzip, slices.Concat(text, text)},
		{"gzip with a wrong checksum", wrong, format.Gzip, nil},
		{"gzip without a checksum", zip[:len(zip)-8], format.Gzip, nil},
		{"gzip of more than is told", slices.Concat(zip, zip), format.Gzip, nil},
		{"zstd", zs, format.Zstd, text},
		{"zstd with a wrong checksum", wrongZS, format.Zstd, nil},
		{"zstd without its checksum", zs[:len(zs)-4], format.Zstd, nil},
		{"LZO", text, format.LZO, nil},
	} {
		out := make([]byte, max(len(c.want), len(text)))
		if c.want != nil {
			out = out[:len(c.want)]
		}
		err := unpackInto(out, c.raw, c.codec)
		if (err == nil) != (c.want != nil) || err == nil && !bytes.Equal(out, c.want) {
			t.Errorf("%s: %q, %v", c.what, out, err)
		}
	}

	// Levels that say nothing stand before those that tell what is missing.
	p := page{values: 3, second: true, skipped: 2, levels: 2, encoding: format.Plain}
	raw := []byte{9, 9, 3, 0b101, 1, 0, 0, 0, 'a', 1, 0, 0, 0, 'b'}
	all, err := p.decode(nil, raw, &leaf{kind: format.ByteArray, levels: 1}, nil)
	if err != nil || len(all) != 3 || string(all[0]) != "a" || all[1] != nil || string(all[2]) != "b" {
		t.Errorf("levels that say nothing: %q, %v", all, err)
	}

	// Texts that go on from the ones before unfold without end, so there is one.
	bomb := deltaOf(append([]int64{0}, slices.Repeat([]int64{1 << 10}, 1<<15-1)...))
	bomb = append(bomb, deltaOf(append([]int64{1 << 10}, make([]int64, 1<<15-1)...))...)
	bomb = append(bomb, make([]byte, 1<<10)...)
	if _, err := continued(bomb, format.ByteArray, 1<<15); err == nil {
		t.Errorf("%d bytes unfold to 32 MB", len(bomb))
	}
	over := slices.Concat(deltaOf([]int64{0, 3}), deltaOf([]int64{2, 1}), []byte("abc"))
	if _, err := continued(over, format.ByteArray, 2); err == nil {
		t.Error("a text goes on from more than there is")
	}
	three := slices.Concat(deltaOf([]int64{0, 2, 0}), deltaOf([]int64{3, 1, 1}), []byte("abcdx"))
	got, err := continued(three, format.ByteArray, 3)
	if err != nil || string(bytes.Join(got, []byte(" "))) != "abc abd x" {
		t.Errorf("%q, %v", got, err)
	}
}

// deltaOf writes numbers as differences of 32 bits each.
func deltaOf(v []int64) []byte {
	const block = 128
	b := binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(nil, block), 1), uint64(len(v)))
	b = binary.AppendVarint(b, v[0])
	for i := 1; i < len(v); i += block {
		part := v[i:min(i+block, len(v))]
		least := int64(0)
		for k := range part {
			least = min(least, part[k]-v[i+k-1])
		}
		b = append(binary.AppendVarint(b, least), 32)
		for k := range block {
			d := int64(0)
			if k < len(part) {
				d = part[k] - v[i+k-1] - least
			}
			b = binary.LittleEndian.AppendUint32(b, uint32(d))
		}
	}
	return b
}

// seeds are the tables of other writers.
func seeds(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.parquet"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}
