package dataset

import (
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Any bytes are refused, or give every image that has marks one for each class.
func FuzzMarks(f *testing.F) {
	items := []*Item{{Name: "cat/1.jpg"}, {Name: "cat/02.JPG"}, {Name: "dog/1.png"}, {Name: "3.jpg"}, {Name: "ä,\"b\".png"}}
	for _, seed := range []struct{ name, text string }{
		{"l.csv", "path,labels\ncat/1.jpg,a;b\n02,b\n3,\n"}, {"l.csv", "cat/1.jpg,a|b\n02,b\n02,c\n"},
		{"l.csv", "image,a,b,split\n3.jpg,1,0,train\n02,-1,,test\n"}, {"l.tsv", "image\ta\tb\n3.jpg\t1\t0\n02\ttrue\tx\n"},
		{"l.json", `{"cat/1.jpg": "a b", "3": 7, "x": null}`}, {"l.json", `[{"id": 3, "label": ["a", "b;c"]}, {"id": "02", "label": [[]]}]`}, {"l.json", `[{"id": 3, "a": 1, "b": 0}, {"id": "02", "a": -1}]`},
		{"l.csv", "image,a,a\n3.jpg,1,1\n"}, {"l.csv", "image,labels\n3.jpg,\"['a', \"\"b's\"\", '\\xe9']\"\n02,[1 2]\n"}, {"l.csv", "a,b\n1,0\n"}, {"l.csv", "\n"}, {"l.json", "{}"}, {"l.csv", ",,\n,1,0\n"},
	} {
		f.Add(seed.name, []byte(seed.text))
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if strings.Contains(name, "\x00") || len(name) > 100 {
			return
		}
		var m *markFile
		var err error
		check.Bounded(t, 64, 2*time.Second,
			func() { m, err = parseMarks(name, raw, newFinder(items, "/data/photos", "", "/data"), "photos") })
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Errorf("a long error: %.2000v", err)
			}
			return
		}
		for at, marks := range m.marks {
			if _, told := m.rows[at]; !told || int(at) >= len(items) || len(marks) != len(m.names) || len(marks) == 0 {
				t.Fatalf("image %d: %v of %q", at, marks, m.names)
			}
			for _, v := range marks {
				if v < Unknown || v > Present {
					t.Fatalf("mark %d", v)
				}
			}
		}
	})
}
