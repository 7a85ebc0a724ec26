package audio

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// page returns an Ogg page of whole packets.
func page(serial uint32, flags byte, granule int64, packets ...[]byte) []byte {
	le := binary.LittleEndian
	var lacing, body []byte
	for _, p := range packets {
		for range len(p) / 255 {
			lacing = append(lacing, 255)
		}
		lacing = append(lacing, byte(len(p)%255))
		body = append(body, p...)
	}
	b := append([]byte("OggS\x00"), flags)
	b = le.AppendUint64(b, uint64(granule))
	b = le.AppendUint32(b, serial)
	b = append(b, make([]byte, 8)...)
	b = append(append(append(b, byte(len(lacing))), lacing...), body...)
	le.PutUint32(b[22:], oggSum(b))
	return b
}

// seal gives each Ogg page of data its checksum, as far as there are whole ones.
func seal(data []byte) {
	for len(data) >= 27 && string(data[:4]) == "OggS" {
		size := 27 + int(data[26])
		if len(data) < size {
			return
		}
		for _, n := range data[27:size] {
			size += int(n)
		}
		if len(data) < size {
			return
		}
		binary.LittleEndian.PutUint32(data[22:], oggSum(data[:size]))
		data = data[size:]
	}
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Against ffmpeg's own decoder: testdata/decoded.py. Long and short blocks, coupled
// channels, and a last packet that is cut.
func TestOggStereo(t *testing.T) {
	s, err := Decode(file(t, "stereo.ogg"), Limits{})
	if err != nil || s.Channels != 2 || s.Rate != 8000 || s.Frames() != 2000 {
		t.Fatalf("%d channels, rate %d, %d samples, %v", s.Channels, s.Rate, len(s.Samples), err)
	}
	g := check.Golden(t, "testdata/decoded.safetensors")
	check.Close(t, "stereo.ogg", s.Samples, g.F32("stereo.ogg"), 1e-6)
}

// Links of a chain follow each other; other streams between pages are passed over.
func TestOggChain(t *testing.T) {
	data := file(t, "stereo.ogg")
	one, err := Decode(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Decode(slices.Concat(data, data, []byte("\x00\x00 a tag")), Limits{})
	if err != nil || !slices.Equal(s.Samples, slices.Concat(one.Samples, one.Samples)) {
		t.Errorf("a chain of two: %d samples, want %d; %v", len(s.Samples), 2*len(one.Samples), err)
	}
	var mixed []byte
	skeleton := page(7, oggFirst, 0, []byte("fishead\x00 and more"))
	mixed = append(mixed, skeleton...)
	for at := 0; at < len(data); {
		_, size, err := readPage(data[at:], at)
		if err != nil {
			t.Fatal(err)
		}
		mixed = append(mixed, data[at:at+size]...)
		if at > 0 {
			mixed = append(mixed, page(7, 0, 0, []byte("between"))...)
		}
		at += size
	}
	if s, err := Decode(mixed, Limits{}); err != nil || !slices.Equal(s.Samples, one.Samples) {
		t.Errorf("with another stream: %d samples, want %d; %v", len(s.Samples), len(one.Samples), err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"another rate", slices.Concat(data, file(t, "tone.ogg")), "a chain of recordings that differ: 2 channels at 8000 Hz, then 1 at 44100 Hz"},
		{"half of the second", slices.Concat(data, data[:len(data)/2]), "cut short"},
		{"two at once", slices.Concat(page(9, oggFirst, 0, []byte("\x01vorbis")), data), "two Vorbis streams at once"},
		{"nothing but others", slices.Concat(page(9, oggFirst, 0, []byte("OpusHead"))), "Opus in an Ogg file"},
		{"FLAC", slices.Concat(page(9, oggFirst, 0, []byte("\x7fFLAC\x01"))), "FLAC in an Ogg file"},
		{"a page lost", data[:58], "cut short"},
		{"another link unfinished", slices.Concat(page(3, oggFirst, 0, []byte("\x01vorbis")), page(3, 0, 0, []byte("\x03vorbis")), data), "begins before the one before it ends"},
	} {
		if _, err := Decode(c.data, Limits{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	flipped := bytes.Clone(data)
	flipped[len(data)-100] ^= 4
	if _, err := Decode(flipped, Limits{}); err == nil || !strings.Contains(err.Error(), "does not have its checksum") {
		t.Errorf("a flipped bit: %v", err)
	}
}

// Pages that are missing are counted; those between the header and where a recording
// of a station begins are not.
func TestOggGaps(t *testing.T) {
	data := file(t, "tone.ogg")
	var pages [][]byte
	number := func(p []byte) []byte {
		binary.LittleEndian.PutUint32(p[18:], uint32(len(pages)))
		binary.LittleEndian.PutUint32(p[22:], oggSum(p))
		return p
	}
	for at := 0; at < len(data); {
		p, size, err := readPage(data[at:], at)
		if err != nil {
			t.Fatal(err)
		}
		if p.granule == 0 { // of the header
			pages = append(pages, bytes.Clone(data[at:at+size]))
			at += size
			continue
		}
		var o oggStream
		o.page(&p)
		for len(o.packets) > 10 {
			pages = append(pages, number(page(p.serial, 0, -1, packets(o.packets[:10])...)))
			o.packets = o.packets[10:]
		}
		pages = append(pages, number(page(p.serial, oggLast, p.granule, packets(o.packets)...)))
		at += size
	}
	if len(pages) < 10 {
		t.Fatalf("%d pages", len(pages))
	}
	for _, c := range []struct {
		without []int
		gaps    int
	}{{nil, 0}, {[]int{2}, 0}, {[]int{2, 3}, 0}, {[]int{4}, 1}, {[]int{4, 5}, 1}, {[]int{4, 6}, 2}} {
		left := slices.Clone(pages)
		for _, n := range c.without {
			left[n] = nil
		}
		one := slices.Concat(left...)
		for links := 1; links < 3; links++ {
			s, err := Decode(slices.Repeat(one, links), Limits{})
			if err != nil || s.Gaps != links*c.gaps {
				t.Errorf("without pages %v, %d times: %d gaps, %v", c.without, links, s.Gaps, err)
			}
		}
	}
}

// packets returns their data.
func packets(list []oggPacket) (all [][]byte) {
	for _, p := range list {
		all = append(all, p.data)
	}
	return all
}

// vorbisFile returns a file of the header packets and of audio packets.
func vorbisFile(id, comments, setup []byte, audio ...[]byte) []byte {
	b := slices.Concat(page(1, oggFirst, 0, id), page(1, 0, 0, comments, setup))
	for len(audio) > 200 {
		b = append(b, page(1, 0, -1, audio[:200]...)...)
		audio = audio[200:]
	}
	return append(b, page(1, oggLast, 1<<40, audio...)...)
}

// What headers and packets of a few bytes may ask for is bounded.
func TestOggBounds(t *testing.T) {
	id := func(channels byte, blocks byte) []byte {
		b := append([]byte("\x01vorbis\x00\x00\x00\x00"), channels)
		b = append(b, "\x44\xac\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
		return append(b, blocks, 1)
	}
	comments := []byte("\x03vorbis\x00\x00\x00\x00\xff\xff\xff\xff\x01") // says that there are 4 G of them
	data := file(t, "stereo.ogg")
	var headers [][]byte // of a real stream
	for at := 0; len(headers) < 3; {
		p, size, err := readPage(data[at:], at)
		if err != nil {
			t.Fatal(err)
		}
		from := 0
		for i, n := 0, 0; i < len(p.lacing); i++ {
			n += int(p.lacing[i])
			if p.lacing[i] < 255 {
				headers = append(headers, p.body[from:from+n])
				from, n = from+n, 0
			}
		}
		at += size
	}
	setup := headers[2]
	long := bytes.Clone(headers[0])
	long[28] = 0xdd // blocks of 8192 both
	quiet := make([][]byte, 5000)
	for i := range quiet {
		quiet[i] = []byte{0}
	}
	loud := make([][]byte, 4000)
	for i := range loud {
		loud[i] = []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a codebook of 2²³ entries of 64", vorbisFile(id(1, 0xb8), comments, []byte("\x05vorbis\x00BCV@\x00\x00\x00\x80\x2d\x00\x00\x60\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), "asks for codebooks of more than 1048576 numbers"},
		{"an ordered codebook that goes on for ever", vorbisFile(id(1, 0xb8), comments, []byte("\x05vorbis\x00BCV\x01\x00\xff\xff\x0f\x01")), "setup header is wrong"},
		{"256 codebooks", vorbisFile(id(1, 0xb8), comments, []byte("\x05vorbis\xff")), "setup header is wrong"},
		{"255 channels", vorbisFile(id(255, 0xb8), comments, setup), "255 channels"},
		{"blocks of 32", vorbisFile(id(2, 0xb5), comments, setup), "identification header is wrong"},
		{"no setup", vorbisFile(id(2, 0xb8), comments, comments), "does not begin with three headers"},
		{"silent packets of 8192", vorbisFile(long, comments, setup, quiet...), "which only silence or a broken file does"},
		{"packets of 8192", vorbisFile(long, comments, setup, loud...), "which only silence or a broken file does"},
		{"not too many of them", vorbisFile(long, comments, setup, loud[:900]...), ""},
		{"no audio", vorbisFile(headers[0], comments, setup), "holds no samples"},
		{"empty packets", vorbisFile(headers[0], comments, setup, make([][]byte, 10_000)...), "holds no samples"},
		{"a cut setup header", vorbisFile(headers[0], comments, setup[:len(setup)-20]), "setup header is wrong"},
	} {
		check.Bounded(t, 300, 2*time.Second, func() {
			if s, err := Decode(c.data, Limits{}); (err == nil) != (c.want == "") ||
				err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %d samples, error %v, want %q", c.name, len(s.Samples), err, c.want)
			}
		})
	}
}
