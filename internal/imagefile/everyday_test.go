package imagefile

import (
	"bufio"
	"bytes"
	"image/jpeg"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"vicreg/internal/turbo"
)

// isEveryday reads the frame of a JPEG and goes over the file.
func isEveryday(data []byte) bool {
	f, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
	if err != nil || f.plausible(int64(len(data))) != nil {
		return false
	}
	visits := visitsOf(len(data))
	if f.progressive && f.scans(data, &visits) != nil {
		return false
	}
	_, ok := f.everyday(data)
	return ok
}

// jpegs returns the JPEG files of testdata by name.
func jpegs(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files: %v", len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		files[filepath.Base(name)] = readFile(t, name)
	}
	return files
}

// restarted returns files with the pixels of rough420.jpg and markers of restart in scans of
// one component. Of all but two.jpg Go's decoder miscounts them.
func restarted(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("testdata/restart/*.jpg")
	if err != nil || len(names) != 5 {
		t.Fatalf("%d files: %v", len(names), err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		files[strings.TrimPrefix(name, "testdata/")] = readFile(t, name)
	}
	return files
}

// Files as cameras and programs write them are everyday ones.
func TestEveryday(t *testing.T) {
	files := jpegs(t)
	maps.Copy(files, restarted(t))
	for name, data := range files {
		want := name != "cmyk.jpg"
		if got := isEveryday(data); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if !want {
			continue
		}
		if !isEveryday(append(bytes.Clone(data), "what a camera puts behind"...)) {
			t.Errorf("%s is none with something behind its end", name)
		}
		for n := range data {
			if isEveryday(data[:n:n]) {
				t.Errorf("%s is one when cut to %d of %d bytes", name, n, len(data))
			}
		}
	}
}

// Whatever decoders may take in different ways is not everyday.
func TestNotEveryday(t *testing.T) {
	insert := func(data []byte, at int, what ...byte) []byte { return slices.Insert(bytes.Clone(data), at, what...) }
	files := jpegs(t)
	data, marked, steps := files["rough420.jpg"], files["restart420.jpg"], files["progressive420.jpg"]
	at := func(data []byte, marker byte) int { return bytes.Index(data, []byte{0xff, marker}) }
	change := func(data []byte, at int, to byte) []byte {
		data = bytes.Clone(data)
		data[at] = to
		return data
	}
	cut := func(data []byte, from, to int) []byte { return slices.Delete(bytes.Clone(data), from, to) }
	sos, dht, dqt, frame, end := at(data, 0xda), at(data, 0xc4), at(data, 0xdb), at(data, 0xc0), len(data)-2
	length := func(data []byte, at int) int { return 2 + int(data[at+2])<<8 + int(data[at+3]) }
	alone := restarted(t)["restart/progressive.jpg"]
	second := bytes.Index(steps[at(steps, 0xda)+2:], []byte{0xff, 0xda}) + at(steps, 0xda) + 2
	last := bytes.LastIndex(steps, []byte{0xff, 0xda})
	names := change(change(change(data, frame+10, 'R'), frame+13, 'G'), frame+16, 'B')
	for i, id := range []byte("RGB") {
		names[sos+5+2*i] = id
	}
	for name, bad := range map[string][]byte{
		"a byte before the end":          insert(data, end, 0x55),
		"a byte before a segment":        insert(data, sos, 0x55),
		"a fill byte before the end":     insert(data, end, 0xff),
		"fill bytes among the pixels":    insert(data, sos+200, 0xff, 0xff),
		"a marker among the pixels":      insert(data, sos+200, 0xff, 0xd3),
		"the end among the pixels":       insert(data, sos+200, 0xff, 0xd9),
		"no table of codes":              cut(data, dht, dht+length(data, dht)),
		"no table of steps":              cut(data, dqt, dqt+length(data, dqt)),
		"steps that change":              insert(data, end, data[dqt:dqt+length(data, dqt)]...),
		"pixels twice":                   insert(data, end, data[sos:end]...),
		"two frames":                     insert(data, frame, data[frame:frame+length(data, frame)]...),
		"colours by name":                names,
		"colours by Adobe's mark":        insert(data, sos, append([]byte("\xff\xee\x00\x0eAdobe"), 0, 100, 0, 0, 0, 0, 0)...),
		"a short JFIF":                   insert(data, 2, []byte("\xff\xe0\x00\x08JFIF\x00\x01")...),
		"an unknown segment":             insert(data, sos, 0xff, 0xf0, 0, 2),
		"a scan of one part":             change(data, sos+4, 1),
		"a scan of some coefficients":    change(data, sos+length(data, sos)-2, 62),
		"another mark of restart":        change(marked, at(marked, 0xd1)+1, 0xd2),
		"no mark of restart":             cut(marked, at(marked, 0xd1), at(marked, 0xd1)+2),
		"marks at other places":          change(marked, at(marked, 0xdd)+5, 3),
		"marks that were not said":       cut(marked, at(marked, 0xdd), at(marked, 0xdd)+6),
		"one scan too few":               cut(steps, last, len(steps)-2),
		"the first scan left out":        cut(steps, at(steps, 0xda), second),
		"marks in a progressive file":    insert(steps, at(steps, 0xda), 0xff, 0xdd, 0, 4, 0, 2),
		"another mark in one part":       change(alone, bytes.LastIndex(alone, []byte{0xff, 0xd2})+1, 0xd3),
		"no mark in one part":            cut(alone, bytes.LastIndex(alone, []byte{0xff, 0xd2}), bytes.LastIndex(alone, []byte{0xff, 0xd2})+2),
		"a scan of one part, then all":   insert(files["scans.jpg"], len(files["scans.jpg"])-2, data[sos:end]...),
		"steps for another part missing": change(data, frame+12, 3),
	} {
		if isEveryday(bad) {
			t.Errorf("%s makes an everyday file", name)
		}
	}
	for name, good := range map[string][]byte{
		"a comment":                     insert(data, sos, []byte("\xff\xfe\x00\x04ha")...),
		"fill bytes before a segment":   insert(data, sos, 0xff, 0xff),
		"colours by Adobe's mark, luma": insert(data, sos, append([]byte("\xff\xee\x00\x0eAdobe"), 0, 100, 0, 0, 0, 0, 1)...),
	} {
		if !isEveryday(good) {
			t.Errorf("%s makes no everyday file", name)
		}
	}
}

// agree fails unless a file that is everyday is one that Go's decoder reads, and
// libjpeg-turbo too, if it is there, at the same size. It reports whether it is.
func agree(t testing.TB, data []byte) bool {
	if !isEveryday(data) {
		return false
	}
	f, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	width, height := f.w, f.h
	if !f.miscounted(data) {
		decoded, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("an everyday file is not read: %v", err)
		}
		width, height = decoded.Bounds().Dx(), decoded.Bounds().Dy()
	}
	d := turbo.Take()
	if d == nil {
		return true
	}
	d.Give()
	m, ok := f.turbo(data, whole)
	if !ok {
		t.Fatal("an everyday file is not read by libjpeg-turbo")
	}
	if m.W != width || m.H != height || (m.C == 1) != (len(f.parts) == 1) {
		t.Fatalf("%d × %d × %d, want %d × %d", m.W, m.H, m.C, width, height)
	}
	return true
}

// Damage leaves no file everyday that a decoder would refuse.
func TestDamagedEveryday(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	everyday, all := 0, 0
	files := jpegs(t)
	maps.Copy(files, restarted(t))
	for _, data := range files {
		for range 150 {
			bad := bytes.Clone(data)
			for range 1 + r.IntN(3) {
				switch i := 2 + r.IntN(len(bad)-2); r.IntN(3) {
				case 0:
					bad[i] ^= 1 << r.IntN(8)
				case 1:
					bad[i] = uint8(r.Uint32())
				default:
					bad = slices.Delete(bad, i, min(len(bad), i+1+r.IntN(4)))
				}
			}
			all++
			if agree(t, bad) {
				everyday++
			}
		}
	}
	if everyday < all/20 {
		t.Errorf("%d of %d are left, too few to say much", everyday, all)
	}
}

// FuzzEveryday looks for an everyday file that a decoder refuses.
func FuzzEveryday(f *testing.F) {
	for _, data := range jpegs(f) {
		f.Add(data)
	}
	for _, data := range restarted(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if w, h, err := size(data); len(data) < 1<<16 && err == nil && w*h < 1<<20 {
			agree(t, data)
		}
	})
}

func size(data []byte) (w, h int, err error) {
	c, err := sizeJPEG(bytes.NewReader(data), int64(len(data)))
	return c.w, c.h, err
}

// libjpeg-turbo's pixels are Go's but for the rounding of a transform.
func TestTurbo(t *testing.T) {
	if _, err := turbo.Found(); err != nil {
		t.Skip("libjpeg-turbo is not used: " + err.Error())
	}
	var wg sync.WaitGroup
	for name, data := range jpegs(t) {
		if name == "cmyk.jpg" {
			continue
		}
		wg.Go(func() {
			for range 20 {
				f, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
				if err != nil {
					t.Error(err)
					return
				}
				got, ok := f.turbo(data, whole)
				decoded, err := jpeg.Decode(bytes.NewReader(data))
				if err != nil || !ok {
					t.Errorf("%s: %v, %v", name, ok, err)
					return
				}
				want, others := pixels(decoded, &jfif, false), 0
				if got.W != want.W || got.H != want.H || got.C != want.C {
					t.Errorf("%s: %d × %d × %d, want %d × %d × %d", name, got.W, got.H, got.C, want.W, want.H, want.C)
					return
				}
				for i := range got.Pix {
					d := int(got.Pix[i]) - int(want.Pix[i])
					if d < -3 || d > 3 {
						t.Errorf("%s: sample %d is %d, want %d", name, i, got.Pix[i], want.Pix[i])
						return
					}
					if d != 0 {
						others++
					}
				}
				if others > len(got.Pix)/12 {
					t.Errorf("%s: %d of %d samples differ", name, others, len(got.Pix))
				}
			}
		})
	}
	wg.Wait()
}

// A file that libjpeg-turbo might read in another way is read as ever.
func TestTurboLeavesTheRest(t *testing.T) {
	data := jpegs(t)["rough420.jpg"]
	end := len(data) - 2
	for name, bad := range map[string][]byte{
		"cmyk.jpg":              jpegs(t)["cmyk.jpg"],
		"a byte before the end": slices.Insert(bytes.Clone(data), end, 0x55), "cut": data[:end-100],
	} {
		got, err := Decode(bad, Limits{})
		decoded, plainErr := jpeg.Decode(bytes.NewReader(bad))
		if (err == nil) != (plainErr == nil) || err != nil && !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s: %v, but %v", name, err, plainErr)
		}
		if err == nil && !bytes.Equal(got.Pix, pixels(decoded, &jfif, false).Pix) {
			t.Errorf("%s: other pixels", name)
		}
	}
}

// Markers of restart that Go's decoder miscounts are read by libjpeg-turbo, or the file is said
// to be of a kind that is not read, also where it is damaged.
func TestRestartInOneComponent(t *testing.T) {
	want, err := Decode(jpegs(t)["rough420.jpg"], Limits{})
	if err != nil {
		t.Fatal(err)
	}
	refused := "a kind of JPEG that is not read (restart markers in a scan of one component"
	for name, data := range restarted(t) {
		for what, data := range map[string][]byte{"": data, "cut": data[:len(data)-20]} {
			m, err := Decode(data, Limits{})
			switch counted := name == "restart/two.jpg"; {
			case what == "" && (counted || Library() != ""):
				if err != nil || !bytes.Equal(m.Pix, want.Pix) {
					t.Errorf("%s: %v, or other pixels than without them", name, err)
				}
			case counted && (err == nil || !strings.Contains(err.Error(), "broken JPEG: the file is cut short")),
				!counted && (err == nil || !strings.Contains(err.Error(), refused)):
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
	}
}

// Pictures come in the part of their size that is asked for, upright, where that can be; the
// question is about upright pixels too.
func TestFit(t *testing.T) {
	for name, data := range jpegs(t) {
		whole, err := Decode(data, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		asked := false
		m, err := Decode(data, Limits{Fit: func(w, h int) int {
			asked = true
			if w != whole.W || h != whole.H {
				t.Errorf("%s: asked about %d × %d, want %d × %d", name, w, h, whole.W, whole.H)
			}
			return 2
		}})
		if err != nil {
			t.Fatal(err)
		}
		if want := Library() != "" && name != "cmyk.jpg"; asked != want {
			t.Errorf("%s: asked %v, want %v", name, asked, want)
		}
		w, h := whole.W, whole.H
		if asked {
			w, h = (w+1)/2, (h+1)/2
		}
		if m.W != w || m.H != h || m.C != whole.C || len(m.Pix) != w*h*m.C {
			t.Errorf("%s: %d × %d × %d, want %d × %d × %d", name, m.W, m.H, m.C, w, h, whole.C)
			continue
		}
		// The corner has about the same colour: nothing is turned the wrong way.
		for c := range m.C {
			if d := int(m.Pix[c]) - int(whole.Pix[c]); d < -60 || d > 60 {
				t.Errorf("%s: channel %d of the corner is %d, want some %d", name, c, m.Pix[c], whole.Pix[c])
			}
		}
	}
}
