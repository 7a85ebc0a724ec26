package pairs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"vicreg/internal/audio"
	"vicreg/internal/batch"
	"vicreg/internal/imagefile"
	"vicreg/internal/npy"
	"vicreg/internal/table"
)

// DefaultCache is the room for decoded samples, in bytes.
const DefaultCache = 512 << 20

// Sample is one side of a row, decoded.
type Sample struct {
	Image imagefile.Image // of an image, with its side's channels if they are resolved
	// Values are the samples t of a waveform, mels × frames of a spectrogram, or points
	// t × c of a series, which are normalised once the side is resolved; f numbers, NaN
	// where missing; or the d of an embedding.
	Values []float32
	Text   string

	rest     []float32    // of an embedding: what 32 bits leave off of each of Values; nil: nothing
	channels int          // of Values: a series' c
	facts    *facts       // of a series
	rate     int          // of a sound, in Hz
	sound    *audio.Sound // if there is something to say of it; without samples
}

// size returns the bytes that the cache has to keep.
func (s *Sample) size() int64 { return int64(len(s.Image.Pix) + 4*len(s.Values) + 4*len(s.rest)) }

// Source decodes the samples of a data set. Its cache keeps the samples of as many files
// as fit. Any number of goroutines may use it.
type Source struct {
	data  *Data
	sides []Side
	mels  []*audio.Mel             // of the sides that are spectrograms, once their rate is known
	file  [][]int                  // of each row and side: its place in the cache; -1: nothing to keep
	cache []atomic.Pointer[Sample] // by file
	room  atomic.Int64             // bytes
}

// NewSource returns a source of d's rows. cache is its room for decoded samples
// in bytes; 0: DefaultCache, -1: none. Sides that are not resolved need a Scan
// before there are batches.
func NewSource(d *Data, sides []Side, cache int64) *Source {
	if len(sides) != len(d.sides) {
		panic(fmt.Sprintf("pairs: %d sides of data with %d", len(sides), len(d.sides)))
	}
	s := &Source{data: d, sides: slices.Clone(sides)}
	switch {
	case cache == 0:
		s.room.Store(DefaultCache)
	case cache > 0:
		s.room.Store(cache)
	}
	s.number()
	return s
}

// number gives every file a place in an empty cache. Sides that decode a file in the
// same way share it.
func (s *Source) number() {
	s.mels = make([]*audio.Mel, len(s.sides))
	for k := range s.sides {
		side := &s.sides[k]
		if side.Type != "spectrogram" || side.Rate == 0 || side.Mel == nil {
			continue
		}
		var err error
		if s.mels[k], err = audio.NewMel(*side.Mel, side.Rate); err != nil {
			panic("pairs: " + err.Error()) // Check has passed it
		}
	}
	seen := map[string]int{}
	s.file = make([][]int, len(s.data.Rows))
	for i, r := range s.data.Rows {
		s.file[i] = make([]int, len(s.sides))
		for k := range s.sides {
			s.file[i][k] = -1
			side := &s.sides[k]
			if !side.files() || table.Blank(r.cells[k][0]) {
				continue
			}
			kind := side.Type
			switch {
			case side.sound():
				kind = fmt.Sprintf("%s %d %v", side.Type, side.Rate, side.Mel)
			case side.Raw():
				kind = fmt.Sprintf("%s of %d", side.Type, side.Channels)
			}
			key := kind + "\x00" + s.data.path(r.cells[k][0])
			at, ok := seen[key]
			if !ok {
				at = len(seen)
				seen[key] = at
			}
			s.file[i][k] = at
		}
	}
	s.cache = make([]atomic.Pointer[Sample], len(seen))
}

// Kept returns how many bytes of decoded samples it keeps.
func (s *Source) Kept() (bytes int64) {
	for i := range s.cache {
		if m := s.cache[i].Load(); m != nil {
			bytes += m.size()
		}
	}
	return bytes
}

// Data returns the rows, after a Scan without the bad ones.
func (s *Source) Data() *Data { return s.data }

// Sides returns the sides, after a Scan resolved.
func (s *Source) Sides() []Side { return slices.Clone(s.sides) }

// Sample decodes a side of row i. What it returns is not to be changed. An error
// names the row.
func (s *Source) Sample(i, side int) (Sample, error) {
	m, err := s.sample(i, side)
	if err == nil {
		err = s.sides[side].fits(&m)
	}
	if err != nil {
		return m, s.rowError(i, side, err)
	}
	return m, nil
}

// rowError names the row that an error is of, and the columns.
func (s *Source) rowError(i, side int, err error) error {
	if s.data.Rows[i].err != nil || s.sides[side].Type == "numeric" { // it names the columns itself
		return fmt.Errorf("%s: %w", s.data.RowName(i), err)
	}
	what := s.sides[side].File
	if what == "" {
		what = strings.Join(s.sides[side].Columns, ", ")
	}
	return fmt.Errorf("%s: %s: %w", s.data.RowName(i), what, err)
}

// sample is Sample without a check of what the side expects.
func (s *Source) sample(i, k int) (Sample, error) {
	row, side := &s.data.Rows[i], &s.sides[k]
	if row.err != nil {
		return Sample{}, row.err
	}
	if m := s.data.matrix[k]; m != nil {
		width := m.Shape[1]
		return Sample{Values: m.Values[row.Index*width : (row.Index+1)*width]}, nil
	}
	switch cells := row.cells[k]; {
	case side.Type == "numeric":
		return s.data.numeric(k, cells)
	case table.Blank(cells[0]):
		return Sample{}, errors.New("the field is empty")
	case side.Type == "text":
		return Sample{Text: strings.TrimSpace(cells[0])}, nil
	}
	at := s.file[i][k]
	if m := s.cache[at].Load(); m != nil {
		return side.convert(*m), nil
	}
	m, err := s.decode(k, s.data.path(row.cells[k][0]))
	if err != nil {
		return m, err
	}
	if side.sequence() {
		m.reorder(side.Names)
		if err := side.fits(&m); err != nil || len(side.Mean) == 0 {
			return m, err // as it is read, for a Scan
		}
		mean, inv := inverse(side.Mean, side.Std)
		for i, v := range m.Values {
			c := i % len(mean)
			m.Values[i] = (v - mean[c]) * inv[c]
		}
	}
	if size := m.size(); s.room.Add(-size) < 0 {
		s.room.Add(size)
	} else if !s.cache[at].CompareAndSwap(nil, &m) {
		s.room.Add(size) // another goroutine was first
	}
	return side.convert(m), nil
}

// convert gives an image the side's channels.
func (s *Side) convert(m Sample) Sample {
	if s.Type == "image" && s.Channels != 0 && !s.Raw() {
		m.Image = m.Image.Convert(s.Channels)
	}
	return m
}

// decode reads a file of the type of side k.
func (s *Source) decode(k int, path string) (Sample, error) {
	if err := s.data.present(path); err != nil {
		return Sample{}, err
	}
	switch side := &s.sides[k]; side.Type {
	case "image":
		limits, raws := side.source(s.data.limits).Asked()
		m, err := s.data.image(path, limits)
		if err == nil {
			m, err = batch.Fit(m, side.Channels, raws)
		}
		if err == nil && side.Channels != 0 && !raws {
			m = m.Convert(side.Channels)
		}
		return Sample{Image: m}, err
	case "series":
		m, err := readSeries(path)
		return Sample{Values: m.values, channels: m.c, facts: &m.facts}, err
	case "embedding":
		return readEmbedding(path)
	}
	return s.decodeAudio(k, path)
}

// image reads an image out of its file.
func (d *Data) image(path string, limits imagefile.Limits) (imagefile.Image, error) {
	in := d.files[path]
	if in == nil {
		return imagefile.Read(path, limits)
	}
	m, held, err := in.Hold(path, limits, new([]byte))
	held.Release()
	return m, err
}

// readEmbedding reads an .npy file of one vector.
func readEmbedding(path string) (Sample, error) {
	a, err := npy.Read(path)
	if err != nil {
		return Sample{}, plain(path, err)
	}
	if len(a.Values) == 0 || len(a.Shape) > 2 || len(a.Shape) == 2 && a.Shape[0] != 1 {
		return Sample{}, fmt.Errorf("%s: an array of shape %v; one embedding is a vector (to take the rows of a matrix, give the file itself instead of a column)", path, a.Shape)
	}
	return Sample{Values: a.Values, rest: a.Rest}, nil
}

// numeric reads the cells of side k as numbers, NaN for missing ones. It is an
// error if all are missing.
func (d *Data) numeric(k int, cells []string) (Sample, error) {
	columns := d.sides[k].Columns
	m := Sample{Values: make([]float32, len(cells))}
	gaps := 0
	for c, cell := range cells {
		if table.Missing(cell) {
			m.Values[c] = float32(math.NaN())
			gaps++
			continue
		}
		var err error
		if m.Values[c], err = d.writings[k][c].number(cell, false); err != nil {
			return m, fmt.Errorf("%s is %s, %w", columns[c], table.Clip(cell), err)
		}
	}
	if gaps == len(cells) {
		if gaps == 1 {
			return m, fmt.Errorf("%s is empty", columns[0])
		}
		return m, fmt.Errorf("%s are all empty", strings.Join(columns, ", "))
	}
	return m, nil
}

// fits checks a sample against what is resolved of the side.
func (s *Side) fits(m *Sample) error {
	switch s.Type {
	case "series":
		if s.Channels != 0 && m.channels != s.Channels {
			return fmt.Errorf("the series has %d channels, but %d are expected", m.channels, s.Channels)
		}
	case "embedding":
		if s.Width != 0 && len(m.Values) != s.Width {
			return fmt.Errorf("the embedding has %d numbers, but %d are expected", len(m.Values), s.Width)
		}
		for j, v := range m.Values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("number %d of the embedding is not finite", j+1)
			}
		}
	}
	return nil
}
