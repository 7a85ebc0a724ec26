package pairs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/batch"
)

// writePNG writes an image of one colour with a darker left half.
func writePNG(t testing.TB, path string, w, h int, c color.Color) {
	t.Helper()
	r, g, b, _ := c.RGBA()
	var m image.Image
	if _, grey := c.(color.Gray); grey {
		p := image.NewGray(image.Rect(0, 0, w, h))
		for i := range p.Pix {
			p.Pix[i] = uint8(r>>8) >> (i % w * 2 / w)
		}
		m = p
	} else {
		p := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				s := x * 2 / w
				p.SetRGBA(x, y, color.RGBA{uint8(r>>8) >> s, uint8(g>>8) >> s, uint8(b>>8) >> s, 255})
			}
		}
		m = p
	}
	var out bytes.Buffer
	if err := png.Encode(&out, m); err != nil {
		t.Fatal(err)
	}
	os.MkdirAll(filepath.Dir(path), 0o777)
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// open reads a manifest and scans it.
func open(t testing.TB, manifest string, specs ...string) (*Source, *Report) {
	t.Helper()
	list := sides(t, specs...)
	for i := range list {
		if list[i].Type == "image" {
			list[i].Size = 8
		}
	}
	d, _, err := Open(manifest, list, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSource(d, list, 0)
	r, err := s.Scan(context.Background(), ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// all returns every item of a side as evaluation sees it.
func all(t testing.TB, s *Source, side int) [][]float32 {
	t.Helper()
	l := s.Plain(PlainConfig{Side: side, Batch: 3, Workers: 2})
	defer l.Close()
	var out [][]float32
	for {
		b, err := l.Next()
		if err != nil {
			return out
		}
		v := b.Views[0]
		want := append([]int{len(b.Items)}, s.Sides()[side].Shape()...)
		if !slices.Equal(v.Shape, want) {
			t.Fatalf("shape %v, want %v", v.Shape, want)
		}
		d := len(v.Data) / v.Shape[0]
		for i := range v.Shape[0] {
			out = append(out, slices.Clone(v.Data[i*d:(i+1)*d]))
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-5*(1+math.Abs(b)) }

func TestNumeric(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.csv")
	write(t, dir, map[string]string{"m.csv": "temp,load,rpm\n1,10,5\n2, 20 ,5\n3,NA,5\n6,,5\n,30,5\n"})
	s, r := open(t, path, "numeric=temp,load,rpm")
	side := s.Sides()[0]
	if got := fmt.Sprint(side.Incomplete); got != "[temp load]" {
		t.Error(got)
	}
	if want := []float64{3, 20, 5}; !slices.Equal(side.Mean, want) {
		t.Errorf("mean %v, want %v", side.Mean, want)
	}
	if !near(side.Std[0], math.Sqrt(3.5)) || !near(side.Std[1], math.Sqrt(200./3)) || side.Std[2] != 1 {
		t.Errorf("std %v", side.Std)
	}
	if want := []string{
		"numeric=temp,load,rpm: 1 of 5 rows have no temp; it is filled with the mean, and marked by an indicator",
		"numeric=temp,load,rpm: 2 of 5 rows have no load; it is filled with the mean, and marked by an indicator",
	}; !slices.Equal(r.Notes, want) {
		t.Errorf("%q", r.Notes)
	}
	got := all(t, s, 0)
	for i, want := range [][]float64{{-2 / math.Sqrt(3.5), -10 / math.Sqrt(200./3), 0, 0, 0},
		{-1 / math.Sqrt(3.5), 0, 0, 0, 0},
		{0, 0, 0, 0, 1}, {3 / math.Sqrt(3.5), 0, 0, 0, 1}, {0, 10 / math.Sqrt(200./3), 0, 1, 0}} {
		for c, v := range want {
			if !near(float64(got[i][c]), v) {
				t.Errorf("row %d: %v, want %v", i, got[i], want)
			}
		}
	}

	// Rows to score on are filled as the training rows say.
	write(t, dir, map[string]string{"test.csv": "temp,load,rpm\n3,20,\n"})
	d, _, err := Open(filepath.Join(dir, "test.csv"), []Side{side}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	held := NewSource(d, []Side{side}, 0)
	if r, err = held.Scan(context.Background(), ScanOptions{}); err != nil || len(r.Notes) != 1 ||
		r.Notes[0] != "numeric=temp,load,rpm: 1 of 1 rows have no rpm; it is filled with the mean" {
		t.Errorf("%+v %v", r, err)
	}
	if got := all(t, held, 0); !slices.Equal(got[0], make([]float32, 5)) {
		t.Errorf("%v", got)
	}
}

func TestText(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.jsonl")
	write(t, dir, map[string]string{"m.jsonl": "{\"c\": \" ab \"}\n{\"c\": \"grüße, Jürgen!\"}\n"})
	s, r := open(t, path, "text=c")
	side := s.Sides()[0]
	if side.Length != 24 || !slices.Equal(side.Shape(), []int{24}) || len(r.Notes) != 1 || r.Notes[0] != "text=c: 2 of 2 are shorter than 24 bytes and are padded" {
		t.Fatalf("%+v %v", side, r.Notes)
	}
	got := all(t, s, 0)
	if !slices.Equal(got[0], append([]float32{'a' + 1, 'b' + 1}, make([]float32, 22)...)) {
		t.Errorf("%v", got[0])
	}
	// Cut between characters, not within.
	side.Length = 3
	d, _, _ := Open(path, []Side{side}, Options{})
	short := NewSource(d, []Side{side}, 0)
	if got := all(t, short, 0); !slices.Equal(got[1], []float32{'g' + 1, 'r' + 1, 0}) {
		t.Errorf("%v", got[1])
	}
}

func TestSeries(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"a.csv":   "time,x,y\n10:00,1,2\n10:01,3,4\n10:02,5,6\n",
		"b.csv":   "1;2\n\n3;NA\n5;6\n7;\n",
		"c.txt":   "1 10\n2 20\n",
		"m.csv":   "path\na.csv\nb.csv\nc.txt\nd.npy\n",
		"one.csv": "x\n1\n2\n", "gap.csv": "x,y\n1,\n2,\n3,4\n", "odd.csv": "x,y\n1,2\n3\n", "word.csv": "x,y\n1,2\nhot,3\n",
		"empty.csv": "", "head.csv": "x,y\n", "point.csv": "x,y\n1,2\n", "zip.csv": "PK\x00\x00",
	}
	write(t, dir, files)
	writeArray(t, filepath.Join(dir, "d.npy"), 6, 2, func(i, j int) float32 { return float32(10*i + j) })
	for name, want := range map[string]string{
		"a.csv": "2 [1 2 3 4 5 6]", "b.csv": "2 [1 2 3 4 5 6 7 6]", "c.txt": "2 [1 10 2 20]", "one.csv": "1 [1 2]",
		"d.npy": "2 [0 1 10 11 20 21 30 31 40 41 50 51]",
	} {
		m, err := readSeries(filepath.Join(dir, name))
		if got := fmt.Sprint(m.c, m.values); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"gap.csv": "gap.csv: channel 2 misses 2 of its 3 values", "odd.csv": "odd.csv: line 3 has 1 values, the first has 2",
		"word.csv": `word.csv: line 3: "hot" is not a number`, "empty.csv": "empty.csv: there are no numbers in it",
		"head.csv": "head.csv: there are no numbers in it", "point.csv": "point.csv: a series of 1 points; at least 2 are needed",
		"zip.csv": "zip.csv: neither an .npy file nor a text table",
	} {
		if _, err := readSeries(filepath.Join(dir, name)); err == nil ||
			!strings.HasSuffix(strings.Split(err.Error(), " of numbers")[0], want) {
			t.Errorf("%s: %v", name, err)
		}
	}

	s, r := open(t, filepath.Join(dir, "m.csv"), "series=path")
	side := s.Sides()[0]
	if !slices.Equal(side.Shape(), []int{6, 2}) || r.Notes[0] != "series=path: 3 of 4 are shorter than 6 points and are padded" {
		t.Errorf("%+v %v", side, r.Notes)
	}
	// Each file counts the same: means 3, 4, 1.5 and 25 of the first channel.
	if !near(side.Mean[0], (3+4+1.5+25)/4) || !near(side.Mean[1], (4+4.5+15+26)/4) {
		t.Errorf("mean %v", side.Mean)
	}
	squares := ((1+9+25)/3. + (1+9+25+49)/4. + (1+4)/2. + (100+400+900+1600+2500)/6.) / 4
	if !near(side.Std[0], math.Sqrt(squares-side.Mean[0]*side.Mean[0])) {
		t.Errorf("std %v", side.Std)
	}
	got := all(t, s, 0)
	norm := func(v float64, c int) float64 { return (v - side.Mean[c]) / side.Std[c] }
	// Three points stand in the middle of six: one before, two behind.
	for i, want := range []float64{0, 0, norm(1, 0), norm(2, 1), norm(3, 0), norm(4, 1), norm(5, 0), norm(6, 1), 0, 0,
		0, 0} {
		if !near(float64(got[0][i]), want) {
			t.Errorf("%v", got[0])
		}
	}
	side.Length = 3 // the middle of what is too long
	d, _, _ := Open(filepath.Join(dir, "m.csv"), []Side{side}, Options{})
	if got := all(t, NewSource(d, []Side{side}, 0), 0); !near(float64(got[3][0]), norm(10, 0)) ||
		!near(float64(got[3][5]), norm(31, 1)) {
		t.Errorf("%v", got[3])
	}
}

func TestEmbedding(t *testing.T) {
	dir := t.TempDir()
	csv := "name,vec\n"
	value := func(i, j int) float32 { return float32(i*i+3*j) + 0.5 }
	for i := range 4 {
		csv += fmt.Sprintf("n%d,%d.npy\n", i, i)
		writeArray(t, filepath.Join(dir, fmt.Sprintf("%d.npy", i)), 1, 3, func(_, j int) float32 { return value(i, j) })
	}
	write(t, dir, map[string]string{"m.csv": csv})
	writeArray(t, filepath.Join(dir, "all.npy"), 4, 3, value)
	path := filepath.Join(dir, "m.csv")
	s, _ := open(t, path, "embedding=vec", "embedding=all.npy", "text=name")
	a, b := s.Sides()[0], s.Sides()[1]
	if a.Width != 3 || !slices.Equal(a.Mean, b.Mean) || !slices.Equal(a.Std, b.Std) || !near(a.Mean[1], 3.5+3.5) ||
		!near(a.Std[0], math.Sqrt((0+1+16+81)/4.-3.5*3.5)) {
		t.Errorf("%+v %+v", a, b)
	}
	x, y := all(t, s, 0), all(t, s, 1)
	for i := range x {
		if !slices.Equal(x[i], y[i]) || !near(float64(x[i][2]), (float64(value(i, 2))-a.Mean[2])/a.Std[2]) {
			t.Errorf("%v %v", x[i], y[i])
		}
	}
	// Held out rows keep their own vectors.
	list := sides(t, "embedding=all.npy")
	train, test, err := Open(path, list, Options{Holdout: 0.25})
	if err != nil || len(test.Rows) != 1 {
		t.Fatal(err)
	}
	m, err := NewSource(test, list, 0).Sample(0, 0)
	if err != nil || m.Values[0] != value(test.Rows[0].Index, 0) || len(train.Rows) != 3 {
		t.Errorf("%+v %v", m, err)
	}
	writeArray(t, filepath.Join(dir, "nan.npy"), 1, 3, func(_, j int) float32 { return float32(math.NaN()) })
	writeArray(t, filepath.Join(dir, "two.npy"), 2, 3, value)
	write(t, dir, map[string]string{"bad.csv": "vec\n0.npy\nnan.npy\ntwo.npy\n"})
	d, _, _ := Open(filepath.Join(dir, "bad.csv"), sides(t, "embedding=vec"), Options{})
	bad := NewSource(d, sides(t, "embedding=vec"), 0)
	if _, err := bad.Sample(1, 0); err == nil || err.Error() != "bad.csv: row 3: vec: number 1 of the embedding is not finite" {
		t.Error(err)
	}
	if _, err := bad.Sample(2, 0); err == nil || !strings.Contains(err.Error(), "two.npy: an array of shape [2 3]; one embedding is a vector") {
		t.Error(err)
	}
}

func TestImage(t *testing.T) {
	dir := t.TempDir()
	csv := "photo,caption\n"
	for i := range 5 {
		name := fmt.Sprintf("p/%d.png", i)
		csv += fmt.Sprintf("%s,first\n%[1]s,second\n", name)
		writePNG(t, filepath.Join(dir, name), 12+i, 9, color.Gray{uint8(40 * i)})
	}
	write(t, dir, map[string]string{"m.csv": csv})
	path := filepath.Join(dir, "m.csv")
	s, r := open(t, path, "image=photo", "text=caption")
	side := s.Sides()[0]
	if side.Channels != 1 || r.Rows != 10 || !slices.Equal(side.Shape(), []int{8, 8, 1}) || len(side.Mean) != 1 ||
		side.Mean[0] < 0.1 || side.Mean[0] > 0.4 {
		t.Errorf("%+v %+v", side, r)
	}
	if len(s.cache) != 5 { // both captions' rows share the picture
		t.Errorf("%d places for 5 files", len(s.cache))
	}
	got := all(t, s, 0)
	if !slices.Equal(got[2], got[3]) || slices.Equal(got[2], got[4]) {
		t.Error("rows of one picture differ, or of two are alike")
	}
	writePNG(t, filepath.Join(dir, "p/2.png"), 10, 10, color.RGBA{200, 100, 50, 255})
	if s, _ := open(t, path, "image=photo", "text=caption"); s.Sides()[0].Channels != 3 ||
		len(s.Sides()[0].Mean) != 3 || s.Sides()[0].Mean[2] >= s.Sides()[0].Mean[0] {
		t.Errorf("%+v", s.Sides()[0])
	}
}

// Images of 12 bits in 16 are scaled, which is said.
func TestImageDepth(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	table := "picture,number\n"
	for i := range 8 {
		m := image.NewGray16(image.Rect(0, 0, 8, 8))
		for k := range 64 {
			m.SetGray16(k%8, k/8, color.Gray16{Y: uint16(60*k + i)})
		}
		if i < 2 {
			m.SetGray16(0, 0, color.White)
		}
		var file bytes.Buffer
		if err := png.Encode(&file, m); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%d.png", i)
		files[name] = file.String()
		table += fmt.Sprintf("%s,%d\n", name, i)
	}
	files["m.csv"] = table
	write(t, dir, files)
	_, r := open(t, filepath.Join(dir, "m.csv"), "image=picture", "numeric=number")
	if want := "image=picture: 6 images have samples of 16 bits that use 12 of them; they are scaled so that these fill the range"; !slices.Contains(r.Notes, want) {
		t.Errorf("%q", r.Notes)
	}
}

// Rows that cannot be used are named, and left out of the figures.
func TestBadRows(t *testing.T) {
	dir := t.TempDir()
	csv := "photo,caption,temp\n"
	for i := range 100 {
		name := fmt.Sprintf("%d.png", i)
		writePNG(t, filepath.Join(dir, name), 10, 10, color.Gray{uint8(2 * i)})
		switch i {
		case 3:
			csv += name + ",text,warm\n"
		case 10:
			csv += name + ",,1\n"
		case 11:
			csv += "no.png,text,1\n"
		case 12:
			csv += "broken.png,text,1\n"
		case 13:
			csv += ",text,1\n"
		case 14:
			csv += name + ",text,\n"
		case 15:
			csv += name + ",text,1,2\n"
		case 16:
			csv += ".,text,Inf\n"
		default:
			csv += name + ",text," + fmt.Sprint(i%2) + "\n"
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "12.png"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"pairs.csv": csv, "broken.png": string(raw[:len(raw)/2])})
	s, r := open(t, filepath.Join(dir, "pairs.csv"), "image=photo", "text=caption", "numeric=temp")
	want := []string{
		`pairs.csv: row 5: temp is "warm", which is not a finite number`,
		"pairs.csv: row 12: caption: the field is empty",
		"pairs.csv: row 13: photo: " + filepath.Join(dir, "no.png") + ": there is no such file",
		"pairs.csv: row 14: photo: " + filepath.Join(dir, "broken.png") + ": broken PNG: the file is cut short",
		"pairs.csv: row 15: photo: the field is empty",
		"pairs.csv: row 16: temp is empty",
		"pairs.csv: row 17: it has 4 fields, but the header has 3",
		"pairs.csv: row 18: photo: " + dir + ": this is a folder; a file is needed",
	}
	var got []string
	for _, b := range r.Bad {
		got = append(got, b.Err.Error())
		if !strings.HasPrefix(b.Err.Error(), b.Name+": ") {
			t.Error(b)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r.Rows != 92 || len(s.Data().Rows) != 92 || s.Data().Rows[3].Line != 6 || !near(s.Sides()[2].Mean[0], 46./92) {
		t.Errorf("%+v, mean %v", r, s.Sides()[2].Mean)
	}
	// The cache moves along.
	grey, err := s.Sample(7, 0)
	if err != nil || grey.Image.Pix[0] != 2*8 {
		t.Errorf("%+v %v", grey.Image.Pix[:3], err)
	}

	// Three more are more than a tenth.
	csv = strings.Replace(strings.Replace(strings.Replace(csv, "50.png", "x.png", 1), "51.png", "y.png", 1), "52.png", "z.png", 1)
	write(t, dir, map[string]string{"pairs.csv": csv})
	list := sides(t, "image=photo", "text=caption", "numeric=temp")
	d, _, err := Open(filepath.Join(dir, "pairs.csv"), list, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewSource(d, list, 0).Scan(context.Background(), ScanOptions{})
	many := new(batch.TooManyBad)
	if !errors.As(err, &many) || len(many.Bad) != 11 || !strings.HasPrefix(err.Error(), "11 of 100 rows cannot be read, more than a tenth: pairs.csv: row 5: ") {
		t.Error(err)
	}
}

// The most common shape is the right one.
func TestMostCommon(t *testing.T) {
	dir := t.TempDir()
	csv := "s,e\n"
	for i := range 20 {
		c, d := 2, 3
		if i == 4 {
			c = 1
		}
		if i == 9 {
			d = 5
		}
		writeArray(t, filepath.Join(dir, fmt.Sprintf("s%d.npy", i)), 4+i%5, c, func(i, j int) float32 { return float32(i) })
		writeArray(t, filepath.Join(dir, fmt.Sprintf("e%d.npy", i)), 1, d, func(_, j int) float32 { return float32(i + j) })
		csv += fmt.Sprintf("s%d.npy,e%[1]d.npy\n", i)
	}
	write(t, dir, map[string]string{"m.csv": csv})
	s, r := open(t, filepath.Join(dir, "m.csv"), "series=s", "embedding=e")
	if len(r.Bad) != 2 || r.Bad[0].Err.Error() != "m.csv: row 6: s: the series has 1 channels, but most have 2" ||
		r.Bad[1].Err.Error() != "m.csv: row 11: e: the embedding has 5 numbers, but most have 3" {
		t.Errorf("%v", r.Bad)
	}
	if a, b := s.Sides()[0], s.Sides()[1]; a.Channels != 2 || a.Length != 8 || b.Width != 3 || r.Rows != 18 {
		t.Errorf("%+v %+v %+v", a, b, r)
	}
	// Whatever the number of workers, the same bits.
	for workers := 1; workers < 4; workers++ {
		list := sides(t, "series=s", "embedding=e")
		d, _, _ := Open(filepath.Join(dir, "m.csv"), list, Options{})
		one := NewSource(d, list, -1)
		last := 0
		_, err := one.Scan(context.Background(), ScanOptions{Workers: workers, Progress: func(done, total int) {
			if done <= last || total != 20 {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			last = done
		}})
		if err != nil || last != 20 || !reflect.DeepEqual(one.Sides(), s.Sides()) {
			t.Errorf("%d workers: %v %d\n%v\nwant\n%v", workers, err, last, one.Sides(), s.Sides())
		}
	}
	// Of some rows only whether the files are there.
	os.Remove(filepath.Join(dir, "s1.npy"))
	list := sides(t, "series=s", "embedding=e")
	d, _, _ := Open(filepath.Join(dir, "m.csv"), list, Options{})
	if r, err := NewSource(d, list, -1).Scan(context.Background(), ScanOptions{Decode: 5}); err != nil ||
		r.Decoded > 5 || r.Rows < 18 || len(r.Bad) == 0 {
		t.Errorf("%+v %v", r, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewSource(d, list, -1).Scan(ctx, ScanOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// rgb returns a colour for a number.
func rgb(i int) color.Color { return color.RGBA{uint8(40 + 5*i), uint8(200 - 3*i), uint8(90 + i), 255} }
