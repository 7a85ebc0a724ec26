package parquet

import (
	"bytes"
	"container/list"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	writer "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"vicreg/internal/check"
	"vicreg/internal/imagefile"
)

// picture is a group as Hugging Face's datasets write images.
type picture struct {
	Bytes []byte  `parquet:"bytes,optional"`
	Path  *string `parquet:"path,optional"`
}

type hub struct {
	Image picture `parquet:"image,optional"`
	Label *int64  `parquet:"label,optional"`
	Text  string  `parquet:"text,dict"`
}

type folded struct {
	Image struct {
		Bytes []byte `parquet:"bytes,optional,dict"`
	} `parquet:"image"`
	Label int32 `parquet:"label,dict"`
}

const features = `{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}}}`

// bytesOf are those of the image in a row: a PNG of a width that tells the row.
func bytesOf(t testing.TB, row int) []byte {
	m := image.NewGray(image.Rect(0, 0, row+1, 2))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * row)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// table writes rows in groups of so many.
func table[T any](t testing.TB, rows []T, each int, o ...writer.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := writer.NewGenericWriter[T](&b, o...)
	for part := range slices.Chunk(rows, each) {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func hubRows(t testing.TB, n int) []hub {
	rows := make([]hub, n)
	for i := range rows {
		label := int64(i % 3)
		rows[i] = hub{Image: picture{Bytes: bytesOf(t, i)}, Label: &label, Text: fmt.Sprint("text ", i%2)}
	}
	return rows
}

func foldedRows(t testing.TB, n int) []folded {
	rows := make([]folded, n)
	for i := range rows {
		rows[i].Image.Bytes, rows[i].Label = bytesOf(t, i%4), int32(i%3)
	}
	return rows
}

func open(t testing.TB, raw []byte) (*File, error) {
	path := filepath.Join(t.TempDir(), "t.parquet")
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	return Open(path, "t.parquet")
}

func TestRows(t *testing.T) {
	named := writer.KeyValueMetadata("huggingface", features)
	for _, codec := range []compress.Codec{&writer.Uncompressed, &writer.Snappy, &writer.Zstd, &writer.Gzip,
		&writer.Brotli, &writer.Lz4Raw} {
		for version := 1; version <= 2; version++ {
			o := []writer.WriterOption{named, writer.Compression(codec), writer.DataPageVersion(version),
				writer.PageBufferSize(200)}
			for name, raw := range map[string][]byte{
				"plain":          table(t, hubRows(t, 30), 11, o...),
				"one dictionary": table(t, foldedRows(t, 30), 11, o...),
			} {
				f, err := open(t, raw)
				if err != nil {
					t.Errorf("%s, %v, version %d: %v", name, codec, version, err)
					continue
				}
				if f.Rows != 30 || f.Image != "image" || f.LabelColumn(nil) != "label" {
					t.Errorf("%s, %v: %d rows, images in %s, labels in %s", name, codec, f.Rows, f.Image, f.LabelColumn(nil))
				}
				for _, i := range []int{29, 0, 12, 11, 10, 22, 21, 5} {
					width := i + 1
					if name != "plain" {
						width = i%4 + 1
					}
					r := Row{f, i}
					m, held, err := r.Hold("row", imagefile.Limits{}, nil)
					held.Release()
					if err != nil || m.W != width || m.H != 2 {
						t.Errorf("%s, %v, version %d: row %d is %d wide, %v", name, codec, version, i, m.W, err)
					}
					if w, h, err := r.Stat("row", imagefile.Limits{}); err != nil || w != width || h != 2 || r.Large() {
						t.Errorf("%s: row %d: %d × %d, %v", name, i, w, h, err)
					}
					_, run, size := r.Near()
					if first := f.runs[run].first; size <= 0 || i < first || i >= first+f.runs[run].rows {
						t.Errorf("%s: row %d is in run %d of %d bytes", name, i, run, size)
					}
				}
				labels, err := f.Labels("label")
				if err != nil || len(labels) != 30 || labels[4] != "dog" || labels[29] != "owl" {
					t.Errorf("%s, %v, version %d: labels %q, %v", name, codec, version, labels, err)
				}
				if name == "plain" {
					if texts, err := f.Labels("text"); err != nil || texts[3] != "text 1" || texts[28] != "text 0" {
						t.Errorf("texts %q, %v", texts, err)
					}
				}
			}
		}
	}
}

func TestColumns(t *testing.T) {
	type bare struct {
		Img   []byte `parquet:"img"`
		Class string `parquet:"class"`
	}
	type two struct {
		A     picture `parquet:"a"`
		B     picture `parquet:"b"`
		Label []int64 `parquet:"label"`
	}
	type none struct {
		N int64 `parquet:"n"`
	}
	missing := hubRows(t, 3)
	missing[1] = hub{}
	far := int64(7)
	wrong := hubRows(t, 2)
	wrong[1].Label = &far
	named := writer.KeyValueMetadata("huggingface", features)

	f, err := open(t, table(t, []bare{{bytesOf(t, 0), "x"}, {bytesOf(t, 1), "y"}}, 2))
	if err != nil || f.Image != "img" || f.LabelColumn([]string{"label", "class"}) != "class" {
		t.Errorf("bytes alone: %+v, %v", f, err)
	} else if l, err := f.Labels("class"); err != nil || !slices.Equal(l, []string{"x", "y"}) {
		t.Errorf("texts as classes: %q, %v", l, err)
	}
	a, b := picture{Bytes: bytesOf(t, 0)}, picture{Bytes: bytesOf(t, 1)}
	f, err = open(t, table(t, []two{{A: a, B: b, Label: []int64{1, 2}}}, 1))
	if err != nil || f.Image != "a" || !slices.Equal(f.Others, []string{"b"}) || f.LabelColumn([]string{"label"}) != "" {
		t.Errorf("two columns of images: %+v, %v", f, err)
	} else if _, err := f.Labels("label"); err == nil || !strings.Contains(err.Error(), "several values a row") {
		t.Errorf("lists as classes: %v", err)
	}
	if _, err = open(t, table(t, []none{{1}}, 1)); err == nil || !strings.Contains(err.Error(), "it has n") {
		t.Errorf("no images: %v", err)
	}
	if _, err = open(t, table(t, hubRows(t, 0), 1)); err == nil || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("no rows: %v", err)
	}
	f, err = open(t, table(t, missing, 3, named))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := (&Row{f, 1}).Hold("t.parquet[1]", imagefile.Limits{}, nil); err == nil ||
		err.Error() != "t.parquet[1]: this row has no bytes of an image" {
		t.Errorf("a row without an image: %v", err)
	}
	if l, err := f.Labels("label"); err != nil || l[1] != "" || l[2] != "owl" {
		t.Errorf("a row without a label: %q, %v", l, err)
	}
	if f, err = open(t, table(t, wrong, 3, named)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Labels("label"); err == nil || !strings.Contains(err.Error(), "row 1 is of class 7, but there are 3") {
		t.Errorf("a class that is not: %v", err)
	}
	if _, err := f.Labels("nothing"); err == nil || !strings.Contains(err.Error(), "there is no column nothing") {
		t.Errorf("a column that is not: %v", err)
	}
}

func TestRefused(t *testing.T) {
	good := table(t, hubRows(t, 3), 3)
	tail := func(n uint32) []byte {
		b := slices.Clone(good)
		copy(b[len(b)-8:], []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
		return b
	}
	for _, c := range []struct {
		what string
		raw  []byte
		want string
	}{
		{"nothing", nil, "no Parquet file"},
		{"text", bytes.Repeat([]byte("text"), 20), "no Parquet file"},
		{"cut short", good[:len(good)-9], "cut short"},
		{"more metadata than bytes", tail(1 << 30), "more metadata than bytes"},
		{"other metadata", tail(40), "make no sense"},
		{"paths", table(t, []struct {
			Image string `parquet:"image"`
		}{{"a.png"}}, 1), "; image has texts; if they are paths, give the folder of those files as --data"},
		{"lists", table(t, []struct {
			Image [][]byte `parquet:"image"`
		}{{[][]byte{{1}}}}, 1), "; image has lists, of which none is read"},
		{"one length", table(t, []struct {
			Image [4]byte `parquet:"image"`
		}{{}}, 1), "; image has bytes of one fixed length"},
		{"encrypted", append(slices.Clone(good[:len(good)-4]), "PARE"...), "encrypted"},
	} {
		if f, err := open(t, c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v; want %q", c.what, f, err, c.want)
		}
	}
	if _, err := Open(t.TempDir(), "x"); err == nil {
		t.Error("a folder is opened")
	}

	// A file that changes.
	f, err := open(t, good)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute)
	os.Chtimes(f.Path, later, later)
	if _, err := (&Row{f, 0}).bytes(); err == nil || !strings.Contains(err.Error(), "was changed since") {
		t.Errorf("a table that was changed is read: %v", err)
	}
	os.Remove(f.Path)
	if _, err := (&Row{f, 0}).bytes(); err == nil {
		t.Error("a table that is gone is read")
	}
}

// However many ask, a run is read once while it is kept, and memory is bounded.
func TestKept(t *testing.T) {
	f, err := open(t, table(t, hubRows(t, 60), 10))
	if err != nil {
		t.Fatal(err)
	}
	c := &cache{at: map[place]*list.Element{}, most: f.runs[0].size * 2}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for k := range 50 {
				i := (k*7 + w) % len(f.runs)
				if v, err := c.values(f, i); err != nil || len(v) != f.runs[i].rows {
					t.Errorf("run %d: %d values, %v", i, len(v), err)
				}
			}
		})
	}
	wg.Wait()
	sum := int64(0)
	for e := c.used.Front(); e != nil; e = e.Next() {
		sum += e.Value.(*entry).size
	}
	if sum != c.size || len(c.at) != c.used.Len() || c.size > c.most && c.used.Len() > 1 {
		t.Errorf("%d runs of %d bytes, %d counted, at most %d", len(c.at), sum, c.size, c.most)
	}
}

func FuzzFile(f *testing.F) {
	named := writer.KeyValueMetadata("huggingface", features)
	f.Add(table(f, hubRows(f, 2), 2, named, writer.Compression(&writer.Snappy)))
	f.Add(table(f, foldedRows(f, 3), 2, named, writer.Compression(&writer.Zstd), writer.DataPageVersion(2)))
	f.Add(table(f, hubRows(f, 2), 2, writer.Compression(&writer.Gzip), writer.DataPageVersion(1)))
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<14 {
			return
		}
		check.Bounded(t, 256, 10*time.Second, func() {
			table := &File{Path: "t.parquet", Name: "t.parquet", size: int64(len(raw))}
			if table.read(bytes.NewReader(raw)) != nil {
				return
			}
			for i := range table.runs {
				r := &table.runs[i]
				values, err := table.values(bytes.NewReader(raw), r.group, &table.image, r.dict, r.pages)
				if err == nil && len(values) != r.rows {
					t.Errorf("run %d has %d values, %d rows", i, len(values), r.rows)
				}
			}
			for i := range table.leaves {
				if l := &table.leaves[i]; !l.many { // as Labels does
					dict, pages, err := table.pagesOf(bytes.NewReader(raw), 0, l)
					if err != nil {
						continue
					}
					values, _ := table.values(bytes.NewReader(raw), 0, l, dict, pages)
					for _, v := range values {
						if v != nil {
							l.textOf(v)
						}
					}
				}
			}
		})
	})
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte{0x15, 2, 0x19, 0x1c, 0x15, 4, 0, 0})
	f.Add([]byte{0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		check.Bounded(t, 64, 5*time.Second, func() {
			if n, err := verify(raw); err == nil && (n < 1 || n > len(raw)) {
				t.Errorf("%d bytes of %d", n, len(raw))
			}
		})
	})
}
