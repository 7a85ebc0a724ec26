package dataset

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vicreg/internal/check"
	"vicreg/internal/host"
)

// Any bytes are refused, or are images and labels that can be written and read
// again; none take more memory or time than small files may.
func FuzzIDX(f *testing.F) {
	f.Setenv(host.MemoryVariable, "8GB")
	images, labels := idx([]int{3, 2, 5}, count(30)), idx([]int{3}, []byte{0, 2, 1})
	colour := idx([]int{2, 2, 2, 3}, count(24))
	for _, seed := range [][2][]byte{
		{images, labels}, {gz(images), gz(labels)}, {colour, nil}, {images[:20], labels[:6]},
		{append(gz(images[:20]), gz(images[20:])...), labels},
		{append(images[:len(images):len(images)], 7), append(labels[:len(labels):len(labels)], 7)},
		{append(gz(images), "garbage that is no gzip"...), nil},
		{idx([]int{1 << 30, 1 << 2, 1 << 2}, count(9)), nil}, {gz(idx([]int{1 << 20, 1, 1}, count(9))), nil},
		{gz(idx([]int{1 << 12, 1 << 10, 1 << 10}, make([]byte, 1<<16))), nil},
		{idx([]int{1<<31 - 1, 1<<31 - 1, 2}, nil), idx([]int{1<<31 - 1}, nil)}, {idx([]int{0, 2, 5}, nil), nil},
		{idx([]int{3, 2, 5, 2}, count(60)), idx([]int{3, 1}, count(3))},
		{[]byte{0, 0, 13, 3}, nil}, {[]byte{0x1f, 0x8b}, nil}, {nil, nil},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		read := func(a, b []byte) (d *Dataset, err error) {
			check.Bounded(t, 250, 2*time.Second, func() {
				if d, _, err = readIDXImages(bytes.NewReader(a), int64(len(a)), "images", "images"); err == nil {
					if _, labels := d.readIDXLabels(bytes.NewReader(b), int64(len(b)), "labels"); labels != nil {
						d.forgetLabels()
					}
				}
			})
			return d, err
		}
		d, err := read(a, b)
		if err != nil {
			return
		}
		m := d.Items[0].Image
		dims, pixels, labels := []int{len(d.Items), m.H, m.W}, []byte(nil), []byte(nil)
		if m.C == 3 {
			dims = append(dims, 3)
		}
		for _, item := range d.Items {
			pixels = append(pixels, item.Image.Pix...)
			if item.Label >= 0 {
				labels = append(labels, uint8(item.Label))
			}
			if item.Label < -1 || item.Label >= max(1, len(d.Classes)) || item.Label >= 0 && d.Classes == nil {
				t.Fatalf("label %d of %d", item.Label, len(d.Classes))
			}
		}
		if len(pixels) != len(d.Items)*m.W*m.H*m.C || d.Classes != nil && len(labels) != len(d.Items) {
			t.Fatalf("%d pixels and %d labels of %v", len(pixels), len(labels), dims)
		}
		again, err := read(idx(dims, pixels), idx([]int{len(labels)}, labels))
		if err != nil || again.Fingerprint() != d.Fingerprint() {
			t.Fatalf("it reads back otherwise: %v", err)
		}
	})
}

// Any bytes are refused, or are records that can be written and read again.
func FuzzCIFAR(f *testing.F) {
	f.Setenv(host.MemoryVariable, "8GB")
	for _, seed := range [][]byte{cifar([]byte{3}, []byte{0}), cifar([]byte{4, 72}, []byte{5, 99}), cifar([]byte{200}),
		cifar([]byte{3})[:3000], nil} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, hundred bool) {
		labelBytes, classes := 1, 10
		if hundred {
			labelBytes, classes = 2, 100
		}
		d := &Dataset{Name: "cifar", Classes: make([]string, classes)}
		var err error
		check.Bounded(t, 32+4*len(data)>>20, 2*time.Second, func() {
			err = d.addCIFAR(bytes.NewReader(data), int64(len(data)), "a.bin", "a.bin", labelBytes)
		})
		if err != nil {
			return
		}
		var again []byte
		for i, item := range d.Items {
			if item.Label < 0 || item.Label >= classes {
				t.Fatalf("label %d", item.Label)
			}
			if hundred {
				again = append(again, data[i*(labelBytes+3*cifarPlane)]) // the coarse label, which is not kept
			}
			again = append(again, uint8(item.Label))
			for c := range 3 {
				for p := range cifarPlane {
					again = append(again, item.Image.Pix[3*p+c])
				}
			}
		}
		if !bytes.Equal(again, data) {
			t.Fatal("the records read back otherwise")
		}
	})
}

// Any file of labels is refused, or gives images labels that come out again when
// they are written plainly.
func FuzzLabels(f *testing.F) {
	items := []*Item{{Name: "cat/1.jpg"}, {Name: "cat/02.JPG"}, {Name: "dog/1.png"}, {Name: "3.jpg"}, {Name: "label.jpg"}, {Name: "ä,\"b\".png"}}
	for _, seed := range []struct{ name, text string }{
		{"l.csv", "path,label\ncat/1.jpg,a\n02,b\n3,\n"}, {"l.csv", "cat/1.jpg;a\n02;b\n"}, {"l.tsv", "class\tfile\tsplit\na\tcat\\1.jpg\ttrain\nb\t3\ttest\n"},
		{"l.json", `{"cat/1.jpg": "a", "3": 7, "x": null}`}, {"l.json", `[{"id": 3, "label": "007"}, {"id": "02", "label": true}]`}, {"l.jsonl", "{\"id\": 3, \"kind\": \"a\"}\n{\"id\": 4}\n"},
		{"l.csv", "path,label\n1.jpg,a\ncat/1.jpg,b\n"}, {"l.csv", "id,name,label,label\n"}, {"l.txt", ",,\n,,\n"}, {"l.csv", "\n"}, {"l.json", "{"}, {"l.json", "{}"}, {"l.json", "[{}]"}, {"l.csv", "path,label\n../cat/1.jpg,a\n/3.jpg,b\n"},
	} {
		f.Add(seed.name, []byte(seed.text), true)
		f.Add(seed.name, []byte(seed.text), false)
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte, folder bool) {
		if strings.Contains(name, "\x00") || len(name) > 100 {
			return
		}
		root := ""
		if folder {
			root = "/data/photos"
		}
		read := func(name string, raw []byte) (l *labelFile, err error) {
			check.Bounded(t, 64, 2*time.Second,
				func() { l, err = parseLabels(name, raw, newFinder(items, root, "", "/data"), "photos") })
			return l, err
		}
		l, err := read(name, raw)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("a long error: %.2000v", err)
			}
			return
		}
		rows, classes := []map[string]string{}, 0
		for at, row := range l.rows {
			if at < 0 || int(at) >= len(items) || row.role == unlabelled || l.splits == (row.role == outside) {
				t.Fatalf("%d is %+v", at, row)
			}
			out := map[string]string{"path": items[at].Name, "label": row.class}
			if l.splits {
				out["split"] = roles[row.rank/2].name
			}
			rows = append(rows, out)
		}
		for _, n := range l.classes {
			classes += n
		}
		plain, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read("l.json", plain)
		if err != nil || len(again.rows) != len(l.rows) {
			t.Fatalf("%s: %v", plain, err)
		}
		for at, row := range l.rows {
			if b := again.rows[at]; b.class != row.class || b.role != row.role {
				t.Errorf("%s is %+v, then %+v", items[at].Name, row, b)
			}
			if row.class != "" {
				classes--
			}
		}
		if classes != 0 {
			t.Errorf("%v are not the classes of %v", l.classes, l.rows)
		}
	})
}

// Any pattern is refused, or finds the classes in names that it makes.
func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"{label}_{number}.jpg", "{label}.*", "*/{label}/*.JPG", "{label}", "{", "{label}{label}", "a{label}[b", "{number}{label}*é"} {
		f.Add(seed, "cat")
	}
	f.Fuzz(func(t *testing.T, spec, class string) {
		check.Bounded(t, 64, 2*time.Second, func() {
			p, err := compilePattern(spec)
			if err != nil || !utf8.ValidString(spec+class) || class == "" || strings.ContainsAny(spec+class, "\n/.") {
				return
			}
			name := strings.NewReplacer(labelMark, class, numberMark, "7", "*", "x").Replace(spec)
			if p.class(name+".png") == "" {
				t.Errorf("%q does not find %q in %q", spec, class, name)
			}
		})
	})
}
