package shard

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/imagefile"
	"vicreg/internal/ledger"
)

// file is one to put into a tar.
type file struct {
	name, text string
	kind       byte
	format     tar.Format
}

func archive(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.text)), Mode: 0o644, Typeflag: f.kind, Format: f.format}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		if f.kind == tar.TypeSymlink || f.kind == tar.TypeLink {
			h.Linkname, h.Size = "/etc/passwd", 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, f.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// kept puts the user's cache into a folder of the test's.
func kept(t testing.TB) string {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv("LocalAppData", dir)
	return dir
}

// shown writes a listing: keys with their endings.
func shown(l *Listing) string {
	var all []string
	for _, s := range l.Samples {
		text := s.Key + ":"
		for _, f := range s.Fields {
			text += " " + f.End
			if f.Text != "" {
				text += "=" + f.Text
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

func TestListing(t *testing.T) {
	long := strings.Repeat("folder/", 30) + strings.Repeat("n", 120)
	for _, c := range []struct {
		what   string
		files  []file
		want   string
		counts Counts
	}{
		{"samples", []file{{name: "a.jpg", text: "A"}, {name: "a.cls", text: "3"}, {name: "b.JPG", text: "B"}},
			"a: jpg cls=3; b: jpg", Counts{}},
		{"the first dot of the name, not of a folder", []file{{name: "v1.0/a.left.png", text: "A"}, {name: "v1.0/a.right.png", text: "B"}},
			"v1.0/a: left.png right.png", Counts{}},
		{"out of order", []file{{name: "a.jpg", text: "A"}, {name: "b.jpg", text: "B"}, {name: "a.cls", text: "1"}},
			"a: jpg cls=1; b: jpg", Counts{}},
		{"a later one counts", []file{{name: "a.cls", text: "1"}, {name: "a.cls", text: "2"}, {name: "a.CLS", text: "4"}},
			"a: cls=4", Counts{Twice: 2}},
		{"what belongs to no sample", []file{{name: "README", text: "x"}, {name: "._a.jpg", text: "x"}, {name: ".hidden.jpg", text: "x"},
			{name: "__index__", text: "x"}, {name: "__meta__/a.json", text: "x"}, {name: "a.jpg", text: "A"}},
			"a: jpg", Counts{Nameless: 3, Meta: 1}},
		{"what systems leave", []file{{name: "@eaDir/a.jpg", text: "x"}, {name: "c/@eaDir/a.jpg/S.png", text: "x"},
			{name: ".trash/a.jpg", text: "x"}, {name: "c/Thumbs.db", text: "x"}, {name: "__MACOSX/a.jpg", text: "x"},
			{name: "c/./a.jpg", text: "A"}}, "c/./a: jpg", Counts{Hidden: 5}},
		{"links and devices", []file{{name: "a.jpg", kind: tar.TypeSymlink}, {name: "b.jpg", kind: tar.TypeLink},
			{name: "c.jpg", kind: tar.TypeFifo}, {name: "d.jpg", kind: tar.TypeChar}, {name: "e/", kind: tar.TypeDir}, {name: "f.jpg", text: "F"}},
			"f: jpg", Counts{Links: 4}},
		{"long names, PAX", []file{{name: long + ".jpg", text: "A", format: tar.FormatPAX}}, long + ": jpg", Counts{}},
		{"long names, GNU", []file{{name: long + ".jpg", text: "A", format: tar.FormatGNU}}, long + ": jpg", Counts{}},
		{"letters", []file{{name: "été/ß.jpg", text: "A"}, {name: "été/ß.cls", text: "7"}}, "été/ß: jpg cls=7", Counts{}},
		{"./ before names", []file{{name: "./a.jpg", text: "A"}, {name: ".//b.jpg", text: "A"}}, "a: jpg; b: jpg", Counts{}},
		{"nothing", nil, "", Counts{}},
	} {
		raw := archive(t, c.files...)
		l, err := list(bytes.NewReader(raw), int64(len(raw)))
		if err != nil || shown(l) != c.want || l.Counts != c.counts {
			t.Errorf("%s: %q, %+v, %v; want %q, %+v", c.what, shown(l), l.Counts, err, c.want, c.counts)
			continue
		}
		for _, s := range l.Samples {
			for _, f := range s.Fields {
				got := string(raw[f.At : f.At+f.Size])
				if !slices.ContainsFunc(c.files, func(in file) bool {
					return strings.HasSuffix(in.name, s.NameOf(&f)) && in.text == got
				}) {
					t.Errorf("%s: %s is %q", c.what, s.NameOf(&f), got)
				}
			}
		}
	}
}

func TestEndOfShard(t *testing.T) {
	raw := archive(t, file{name: "a.jpg", text: "A"})
	for _, c := range []struct {
		what string
		raw  []byte
		want Counts
	}{
		{"no end mark", raw[:1024], Counts{Unended: 1}},
		{"half a mark", raw[:1536], Counts{}},
		{"zeros after it", append(slices.Clone(raw), make([]byte, 8192)...), Counts{}},
		{"another archive after it", append(slices.Clone(raw), raw...), Counts{Beyond: 1}},
	} {
		l, err := list(bytes.NewReader(c.raw), int64(len(c.raw)))
		if err != nil || l.Counts != c.want || len(l.Samples) != 1 {
			t.Errorf("%s: %+v, %v; want %+v", c.what, l, err, c.want)
		}
	}
	all := Counts{Unended: 1, Beyond: 2, Twice: 3, Nameless: 1, Links: 1, Meta: 9, Hidden: 2}
	if notes := all.Notes(); len(notes) != 7 {
		t.Errorf("notes %q", notes)
	}
}

// patched changes the first header and its checksum.
func patched(raw []byte, at int, text string) []byte {
	raw = slices.Clone(raw)
	copy(raw[at:], text)
	copy(raw[148:], "        ")
	sum := 0
	for _, c := range raw[:512] {
		sum += int(c)
	}
	copy(raw[148:], fmt.Sprintf("%06o\x00 ", sum))
	return raw
}

func TestRefused(t *testing.T) {
	good := archive(t, file{name: "a.jpg", text: strings.Repeat("A", 5000)}, file{name: "b.jpg", text: "B"})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(good)
	z.Close()
	one := archive(t, file{name: "a.jpg", text: "A"})
	for _, c := range []struct {
		what string
		raw  []byte
		want string
	}{
		{"nothing", nil, "empty"},
		{"gzip", zipped.Bytes(), "compressed by gzip"},
		{"text", bytes.Repeat([]byte("no tar "), 200), "no tar file"},
		{"too short", []byte("x"), "cut short after 0 files"},
		{"cut within a file", good[:3000], "the shard ends before"},
		{"cut within a header", good[:512+5120+100], "cut short"},
		{"damaged", append(slices.Clone(good[:512+5120]), bytes.Repeat([]byte{7}, 2048)...), "damaged at about"},
		{"a size beyond the end", patched(one, 124, "00007777777\x00"), "the shard ends before"},
		{"a size of 8 EB", patched(one, 124, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\x00"), "shard"},
		{"a negative size", patched(one, 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "no tar file"},
		{"above", archive(t, file{name: "../../etc/a.jpg", text: "A"}), "outside the folder"},
		{"above, further in", archive(t, file{name: "a/../../b.jpg", text: "A"}), "outside the folder"},
		{"above, as Windows writes it", archive(t, file{name: `a\..\..\b.jpg`, text: "A"}), "outside the folder"},
		{"absolute", archive(t, file{name: "/etc/a.jpg", text: "A"}), "outside the folder"},
		{"a drive", archive(t, file{name: `C:\a.jpg`, text: "A"}), "outside the folder"},
		{"a name without end", archive(t, file{name: strings.Repeat("n", 5000) + ".jpg", text: "A", format: tar.FormatPAX}), "5004 bytes"},
		{"holes", patched(one, 156, "S"), ""},
	} {
		l, err := list(bytes.NewReader(c.raw), int64(len(c.raw)))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "archive/tar") && c.what != "holes" {
			t.Errorf("%s: %v, %v; want %q", c.what, l, err, c.want)
		}
	}
	g := grouper{at: map[string]int{}}
	for _, h := range []*tar.Header{{Typeflag: tar.TypeGNUSparse, Name: "a.jpg"},
		{Typeflag: tar.TypeReg, Name: "a.jpg", PAXRecords: map[string]string{"GNU.sparse.major": "1"}}} {
		if err := g.add(h, 512, 1024); err == nil || !strings.Contains(err.Error(), "sparse") {
			t.Errorf("a file with holes: %v", err)
		}
	}
}

func TestLists(t *testing.T) {
	dir, cache := t.TempDir(), kept(t)
	path := filepath.Join(dir, "s.tar")
	write := func(text string) {
		if err := os.WriteFile(path, archive(t, file{name: "x/A.jpg", text: text}, file{name: "x/A.cls", text: "12"},
			file{name: "x/A.Weird.PNG", text: "w"}), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	open := func() (string, Opened, *Shard) {
		t.Helper()
		s := &Shard{Path: path, Name: "s.tar"}
		text := ""
		o, err := Open([]*Shard{s}, func(_ int, l *Listing) error {
			for _, sample := range l.Samples {
				for i, f := range sample.Fields {
					m := Member{s, f.At, f.Size}
					raw, err := m.Read(10)
					if err != nil {
						return err
					}
					text += fmt.Sprintf("%s=%s/%s ", sample.NameOf(&sample.Fields[i]), raw, f.Text)
				}
			}
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return text, o, s
	}
	const want = "x/A.jpg=one/ x/A.cls=12/12 x/A.Weird.PNG=w/ "
	write("one")
	text, o, s := open()
	if text != want || o.Listed != 1 || !o.Kept || !strings.HasPrefix(o.Folder, cache) {
		t.Fatalf("at first: %q, %+v", text, o)
	}
	if text, o, _ := open(); text != want || o.Listed != 0 {
		t.Fatalf("again: %q, %+v", text, o)
	}
	lists, _ := filepath.Glob(filepath.Join(o.Folder, "*"))
	if len(lists) != 1 {
		t.Fatalf("lists: %q", lists)
	}
	raw, _ := os.ReadFile(lists[0])
	contents, ok := ledger.Open(lists[0], magic)
	if !ok {
		t.Fatal("the list is not whole")
	}
	for at := range contents {
		if s.parse(contents[:at]) != nil {
			t.Fatalf("a list cut at byte %d is taken", at)
		}
	}
	os.WriteFile(lists[0], raw[:len(raw)/2], 0o666)
	if text, o, _ := open(); text != want || o.Listed != 1 {
		t.Fatalf("with a damaged list: %q, %+v", text, o)
	}

	// Another shard of the same size.
	write("two")
	later := time.Now().Add(3 * time.Second)
	os.Chtimes(path, later, later)
	m := Member{s, 512, 3}
	if _, err := m.Read(10); err == nil || !strings.Contains(err.Error(), "was changed since") {
		t.Errorf("a shard that was changed is read: %v", err)
	}
	if text, o, _ := open(); text != strings.Replace(want, "one", "two", 1) || o.Listed != 1 {
		t.Fatalf("another shard: %q, %+v", text, o)
	}

	// No place to keep lists.
	os.RemoveAll(filepath.Join(cache, "vicreg"))
	os.WriteFile(filepath.Join(cache, "vicreg"), nil, 0o666)
	if text, o, _ := open(); text == "" || o.Listed != 1 || o.Err == nil || o.Kept {
		t.Fatalf("nowhere to keep lists: %q, %+v", text, o)
	}
	s = &Shard{Path: filepath.Join(dir, "gone.tar")}
	if _, err := Open([]*Shard{s}, nil, nil); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a shard that is not there: %v", err)
	}
	s = &Shard{Path: dir}
	if _, err := Open([]*Shard{s}, nil, nil); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder: %v", err)
	}
}

// writtenByWebDataset is a shard of four samples that webdataset's TarWriter wrote, in folders
// with dots, letters beyond ASCII, a long name, and a dot in the name itself.
const writtenByWebDataset = "testdata/webdataset.tar"

func TestWebDataset(t *testing.T) {
	kept(t)
	keys := []string{"v1.2/x.y/000001", "é日本/000002",
		strings.Repeat("d", 90) + "/" + strings.Repeat("e", 90) + "/000003", "img"}
	s := &Shard{Path: writtenByWebDataset}
	t.Cleanup(s.Close)
	if _, err := Open([]*Shard{s}, func(_ int, l *Listing) error {
		if len(l.Samples) != len(keys) || l.Counts != (Counts{}) {
			t.Fatalf("%d samples, %+v", len(l.Samples), l.Counts)
		}
		for i, sample := range l.Samples {
			before := ""
			if sample.Key == "img" { // as WebDataset itself reads it
				before = "000004."
			}
			png, cls, text := sample.Field(before+"png"), sample.Field(before+"cls"), sample.Field(before+"json")
			if sample.Key != keys[i] || png == nil || cls == nil || text == nil {
				t.Errorf("sample %d is %q of %+v", i, sample.Key, sample.Fields)
				continue
			}
			m := Member{s, png.At, png.Size}
			if w, h, err := m.Stat("png", imagefile.Limits{}); err != nil || w != i+1 || h != 2 {
				t.Errorf("image %d is of %d × %d, %v", i, w, h, err)
			}
			for f, want := range map[*Field]string{cls: fmt.Sprint(i), text: fmt.Sprintf(`{"n": %d}`, i)} {
				m := Member{s, f.At, f.Size}
				if raw, err := m.Read(100); err != nil || string(raw) != want {
					t.Errorf("%s of sample %d is %q, %v", f.End, i, raw, err)
				}
			}
		}
		return nil
	}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestMoreShardsThanStayOpen(t *testing.T) {
	kept(t)
	dir := t.TempDir()
	var shards []*Shard
	for i := range mostOpen + 20 {
		path := filepath.Join(dir, fmt.Sprint(i, ".tar"))
		if err := os.WriteFile(path, archive(t, file{name: "a.jpg", text: fmt.Sprint(i)}), 0o666); err != nil {
			t.Fatal(err)
		}
		shards = append(shards, &Shard{Path: path})
	}
	members := make([]Member, len(shards))
	if _, err := Open(shards, func(i int, l *Listing) error {
		members[i] = Member{shards[i], l.Samples[0].Fields[0].At, l.Samples[0].Fields[0].Size}
		return nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for i := range members {
			if raw, err := members[i].Read(10); err != nil || string(raw) != fmt.Sprint(i) {
				t.Fatalf("shard %d: %q, %v", i, raw, err)
			}
		}
	}
	if n := opened.Load(); n > mostOpen {
		t.Errorf("%d shards are open", n)
	}
	for _, s := range shards {
		s.Close()
	}
	if n := opened.Load(); n != 0 {
		t.Errorf("%d shards stay open", n)
	}
	if _, _, err := members[0].Hold("a.jpg", imagefile.Limits{}, new([]byte)); err == nil || !strings.Contains(err.Error(), "a.jpg: ") {
		t.Errorf("no image: %v", err)
	}
	shards[0].Close()
}

func FuzzList(f *testing.F) {
	f.Add(archive(f, file{name: "a.jpg", text: "A"}, file{name: "a.cls", text: "1"}))
	f.Add(archive(f, file{name: strings.Repeat("n", 150) + ".jpg", text: "A", format: tar.FormatPAX}))
	f.Add(archive(f, file{name: strings.Repeat("n", 150) + ".jpg", text: "A", format: tar.FormatGNU}))
	f.Add(patched(archive(f, file{name: "a.jpg", text: "A"}), 124, "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\x00"))
	raw, err := os.ReadFile(writtenByWebDataset)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<16 {
			return
		}
		check.Bounded(t, 16, 5*time.Second, func() {
			l, err := list(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				return
			}
			for _, s := range l.Samples {
				for _, f := range s.Fields {
					name := s.NameOf(&f)
					if f.At < 0 || f.Size < 0 || f.At+f.Size > int64(len(raw)) || strings.HasPrefix(name, "/") ||
						slices.Contains(strings.Split(name, "/"), "..") {
						t.Errorf("%q at %d, %d bytes of %d", name, f.At, f.Size, len(raw))
					}
				}
			}
			s := &Shard{Path: "x", size: int64(len(raw))}
			if again := s.parse(s.format(l)); again == nil || shown(again) != shown(l) {
				t.Errorf("listed %s, kept %v", shown(l), again)
			}
		})
	})
}

func FuzzParse(f *testing.F) {
	s := &Shard{Path: "x", size: 3000}
	raw := archive(f, file{name: "a.jpg", text: "A"}, file{name: "b.CLS", text: "1"})
	l, err := list(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.format(l))
	f.Fuzz(func(t *testing.T, contents []byte) {
		check.Bounded(t, 16, 5*time.Second, func() {
			if l := s.parse(contents); l != nil {
				for _, sample := range l.Samples {
					for _, f := range sample.Fields {
						if f.At < 0 || f.Size < 0 || f.At+f.Size > s.size {
							t.Errorf("at %d, %d bytes", f.At, f.Size)
						}
					}
				}
			}
		})
	})
}
