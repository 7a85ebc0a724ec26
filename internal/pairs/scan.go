package pairs

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/audio"
	"vicreg/internal/batch"
	"vicreg/internal/imagefile"
	"vicreg/internal/table"
)

// ScanOptions say how thoroughly to look.
type ScanOptions struct {
	Workers int // 0: one for each processor
	// Decode is how many rows to decode the files of, spread evenly; of the others it is
	// only checked that the files exist. 0: 50,000, -1: all.
	Decode   int
	Progress func(done, total int) // called now and then, done growing; may be nil
	Parts    *Parts                // of which these rows are one; nil: they are all
	Part     string                // what these are, if they are a part: "rows to score on"
}

// Report is what a Scan found.
type Report struct {
	Rows    int         // that are left
	Decoded int         // of them, and measured
	Bad     []batch.Bad // in the order of the data; no longer in it
	Notes   []string    // what was filled, cut or padded, a line each, for people; of parts, the last has those of all
}

// found is what a Scan learns of one side of one row.
type found struct {
	decoded       bool
	image         imagefile.Image // without its pixels
	missing       int             // values of it that are no data
	length        int             // what Side.Length counts; of audio in samples at its own rate
	channels      int             // of an image or a series; the width of an embedding
	rate          int
	mean, squares []float64    // over the sample's values, by channel or column; of an image 3
	rest          []float32    // of an embedding, see Sample
	gaps          []bool       // of numeric columns
	facts         *facts       // of a series
	sound         *audio.Sound // see Sample
	err           error
}

// Scan looks at every row once, removes those that cannot be used from the data, and
// resolves what is still zero of the sides:
//
//   - an image's channels: grey if all files are; its pixels' mean and standard
//     deviation by channel;
//   - the rate of audio: the most common one, at most 16 kHz; the length that 95%
//     of the files do not exceed, at most 5 seconds;
//   - a series' channels: the most common number; its length: what 95% do not
//     exceed, at most 4096;
//   - a text's length: what 95% do not exceed, in steps of 8, at most 256;
//   - an embedding's width: the most common one;
//   - means and standard deviations of all, each row counting the same whatever
//     its length. What never varies has a deviation of 1.
//
// The rows should be those to train on. If the sides are resolved already, as for rows
// to score on, it only finds the bad rows. If more than a tenth of all parts is bad, or
// no row is left, that is an error of type *batch.TooManyBad.
func (s *Source) Scan(ctx context.Context, o ScanOptions) (*Report, error) {
	n := len(s.data.Rows)
	if n == 0 {
		return nil, fmt.Errorf("%s: the data has no rows", s.data.manifest)
	}
	all := make([][]found, n) // by row and side
	audio := false
	for k := range s.sides {
		audio = audio || s.sides[k].sound() && len(s.sides[k].Mean) == 0
	}
	chosen, progress := batch.Chosen(o.Decode, n), batch.Counter{Total: n, Report: o.Progress}
	if audio {
		progress.Total *= 2
	}
	err := batch.Each(ctx, o.Workers, n, func(_, i int) {
		all[i] = make([]found, len(s.sides))
		for side := range s.sides {
			s.look(i, side, chosen(i), &all[i][side])
		}
		progress.Add()
	})
	if err != nil {
		return nil, err
	}
	r := &Report{}
	parts := o.Parts
	if parts == nil {
		parts = NewParts(s.data)
	}
	if err := s.conclude(all, r, parts, o.Part); err != nil {
		return nil, err
	}
	if audio { // once its rate is known
		err := batch.Each(ctx, o.Workers, n, func(_, i int) {
			for k := range s.sides {
				if f := &all[i][k]; s.sides[k].sound() && len(s.sides[k].Mean) == 0 && f.decoded && !rowBad(all[i]) {
					s.measureAudio(i, k, f)
				}
			}
			progress.Add()
		})
		if err != nil {
			return nil, err
		}
		for k := range s.sides {
			if s.sides[k].sound() {
				s.resolveMean(k, all)
			}
		}
	}
	return r, s.remove(all, r, parts)
}

func rowBad(sides []found) bool {
	return slices.ContainsFunc(sides, func(f found) bool { return f.err != nil })
}

// look fills in what Scan needs to know of a side of row i.
func (s *Source) look(i, k int, decode bool, f *found) {
	side := &s.sides[k]
	if !decode && side.files() {
		if row := s.data.Rows[i]; row.err == nil && !table.Blank(row.cells[k][0]) {
			path := s.data.path(row.cells[k][0])
			if f.err = s.data.present(path); f.err == nil && side.Type == "image" {
				if m := s.data.files[path]; m != nil {
					_, _, f.err = m.Stat(path, s.data.limits)
				} else {
					_, _, f.err = imagefile.Stat(path, s.data.limits)
				}
			}
			return
		}
	}
	var m Sample
	if side.sound() && s.data.Rows[i].err == nil && !table.Blank(s.data.Rows[i].cells[k][0]) {
		m, f.err = side.readSound(s.data, s.data.path(s.data.Rows[i].cells[k][0]))
	} else {
		m, f.err = s.sample(i, k)
	}
	if f.err == nil {
		f.err = side.fits(&m)
	}
	if f.err != nil {
		return
	}
	f.decoded = true
	switch side.Type {
	case "image":
		f.channels, f.image = m.Image.C, m.Image
		f.image.Pix = nil
		if m.Image.Plain() && !side.Raw() && !s.data.limits.Raw {
			mean, squares := m.Image.Moments()
			f.mean, f.squares = mean[:], squares[:]
			break
		}
		all := m.Image.Measure()
		f.mean, f.squares, f.missing = all.Mean, all.Square, all.Gaps
		for _, v := range all.Mean {
			f.gaps = append(f.gaps, v != v)
		}
	case "waveform", "spectrogram":
		f.length, f.rate, f.sound = len(m.Values), m.rate, m.sound
	case "series":
		f.channels, f.length, f.facts = m.channels, len(m.Values)/m.channels, m.facts
		f.mean, f.squares = moments(m.Values, m.channels)
	case "numeric":
		f.gaps = make([]bool, len(m.Values))
		f.mean, f.squares = make([]float64, len(m.Values)), make([]float64, len(m.Values))
		for c, v := range m.Values {
			if f.gaps[c] = math.IsNaN(float64(v)); !f.gaps[c] {
				f.mean[c], f.squares[c] = float64(v), float64(v)*float64(v)
			}
		}
	case "text":
		f.length = len(m.Text)
	case "embedding":
		f.channels, f.rest = len(m.Values), m.rest
		f.mean, f.squares = moments(m.Values, len(m.Values))
	}
}

// moments returns the mean and the mean square of values t × c by channel.
func moments(values []float32, c int) (mean, squares []float64) {
	mean, squares = make([]float64, c), make([]float64, c)
	for i, v := range values {
		mean[i%c] += float64(v)
		squares[i%c] += float64(v) * float64(v)
	}
	t := float64(len(values) / c)
	for j := range mean {
		mean[j] /= t
		squares[j] /= t
	}
	return mean, squares
}

// conclude resolves the sides in the order of the rows, so that the result does not
// depend on the number of goroutines. Means of audio come later.
func (s *Source) conclude(all [][]found, r *Report, parts *Parts, part string) error {
	sound := false
	for k := range s.sides {
		side := &s.sides[k]
		switch side.Type {
		case "image":
			kinds := batch.Kinds{Raw: side.Raw() || s.data.limits.Raw}
			for i := range all {
				if f := &all[i][k]; f.decoded && !rowBad(all[i]) {
					kinds.Add(f.channels, f.image.Plain(), s.data.RowName(i))
				}
			}
			many, err := kinds.One(side.String())
			if err != nil {
				return fmt.Errorf("%s: %w", s.data.manifest, err)
			}
			if many > 0 {
				side.Channels, side.Values = many, raw
			}
			if side.Channels == 0 {
				side.Channels = 1
				for i := range all {
					if f := &all[i][k]; f.decoded && !rowBad(all[i]) && f.channels == 3 {
						side.Channels = 3
					}
				}
			}
		case "series":
			side.Channels = s.common(all, k, side.Channels, "the series has %d channels, but most have %d")
			s.nameChannels(k, all)
		case "embedding":
			side.Width = s.common(all, k, side.Width, "the embedding has %d numbers, but most have %d")
		case "waveform", "spectrogram":
			sound = true
			s.resolveRate(k, all)
		}
	}
	for k := range s.sides { // a mean that was given, to what was found
		if err := s.sides[k].Check(); err != nil {
			return fmt.Errorf("%s: %w", s.data.manifest, err)
		}
	}
	r.Bad = s.bad(all)
	if err := parts.tally.Add(len(all), r.Bad); err != nil {
		return err
	}
	if len(r.Bad) == len(all) {
		return &batch.TooManyBad{Bad: r.Bad, Total: len(all), Kind: cmp.Or(part, "rows")}
	}
	if len(r.Bad)*10 > len(all) { // of a part
		r.Notes = append(r.Notes, fmt.Sprintf("%d of the %d %s cannot be used", len(r.Bad), len(all), part))
	}
	length := func(f *found) int { return f.length }
	for k := range s.sides {
		side := &s.sides[k]
		good := make([]*found, 0, len(all))
		for i := range all {
			if !rowBad(all[i]) && all[i][k].decoded {
				good = append(good, &all[i][k])
			}
		}
		if len(good) == 0 {
			return fmt.Errorf("%s: no row of %s could be decoded", s.data.manifest, side)
		}
		r.Decoded = max(r.Decoded, len(good))
		switch side.Type {
		case "waveform", "spectrogram":
			if err := side.resolveSound(good); err != nil {
				return err
			}
		case "series":
			if side.Length == 0 {
				side.Length = min(most(good, length), 4096)
			}
		case "text":
			if side.Length == 0 {
				side.Length = min((most(good, length)+7)/8*8, 256)
			}
		case "numeric":
			if len(side.Mean) == 0 {
				side.resolveGaps(good)
			}
		}
		parts.good[k] = append(parts.good[k], good...)
		if !side.sound() {
			s.resolveMean(k, all)
		}
	}
	if sound {
		s.number() // at their rates now
	}
	for k := range s.sides {
		s.sides[k].fill()
		if err := s.sides[k].Check(); err != nil {
			return fmt.Errorf("%s: %w", s.data.manifest, err)
		}
	}
	if parts.left--; parts.left == 0 {
		for k := range s.sides {
			r.Notes = append(r.Notes, s.sides[k].notes(parts.good[k])...)
		}
	}
	return nil
}

// common returns the number of channels that is wanted, or else the most common one;
// rows with another number are bad.
func (s *Source) common(all [][]found, k, want int, wrong string) int {
	if want != 0 {
		return want // Sample has seen to it
	}
	count := map[int]int{}
	for i := range all {
		if f := &all[i][k]; f.decoded && !rowBad(all[i]) {
			count[f.channels]++
		}
	}
	for c, n := range count {
		if want == 0 || n > count[want] || n == count[want] && c < want {
			want = c
		}
	}
	for i := range all {
		if f := &all[i][k]; f.decoded && f.channels != want {
			f.decoded, f.err = false, fmt.Errorf(wrong, f.channels, want)
		}
	}
	return want
}

// most returns the length that 95% of the samples do not exceed.
func most(good []*found, length func(*found) int) int {
	lengths := make([]int, len(good))
	for i, f := range good {
		lengths[i] = length(f)
	}
	slices.Sort(lengths)
	return max(1, lengths[(len(lengths)*95+99)/100-1])
}

// resolveGaps finds the columns that miss values.
func (s *Side) resolveGaps(good []*found) {
	for c, name := range s.Columns {
		if !slices.Contains(s.Incomplete, name) && slices.ContainsFunc(good, func(f *found) bool { return f.gaps[c] }) {
			s.Incomplete = append(s.Incomplete, name)
		}
	}
}

// resolveMean sets mean and standard deviation of side k, if they are needed.
func (s *Source) resolveMean(k int, all [][]found) {
	side := &s.sides[k]
	n := side.normalised()
	if n == 0 || len(side.Mean) != 0 {
		return
	}
	mean, squares, count := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range all {
		f := &all[i][k]
		if !f.decoded || rowBad(all[i]) {
			continue
		}
		for c := range n {
			if f.gaps == nil || !f.gaps[c] {
				mean[c] += f.mean[c]
				squares[c] += f.squares[c]
				count[c]++
			}
		}
	}
	side.Std = make([]float64, n)
	for c := range n {
		if count[c] > 0 {
			mean[c] /= count[c]
			squares[c] /= count[c]
		}
		side.Std[c] = math.Sqrt(max(0, squares[c]-mean[c]*mean[c]))
		if side.Std[c] <= 1e-6*max(1e-6, math.Sqrt(squares[c])) {
			side.Std[c] = 1
		}
	}
	side.Mean = mean
}

// bad lists what is wrong with each row: the first thing found.
func (s *Source) bad(all [][]found) []batch.Bad {
	var list []batch.Bad
	for i := range all {
		for k := range all[i] {
			if err := all[i][k].err; err != nil {
				list = append(list, batch.Bad{Name: s.data.RowName(i), Err: s.rowError(i, k, err)})
				break
			}
		}
	}
	return list
}

// remove removes the bad rows from the data, including those that turned bad since they
// were counted.
func (s *Source) remove(all [][]found, r *Report, parts *Parts) error {
	known := map[string]bool{}
	for _, b := range r.Bad {
		known[b.Name] = true
	}
	var late []batch.Bad
	r.Bad = s.bad(all)
	for _, b := range r.Bad {
		if !known[b.Name] {
			late = append(late, b)
		}
	}
	if err := parts.tally.Add(0, late); err != nil {
		return err
	}
	var rows []Row
	var file [][]int
	for i := range all {
		if !rowBad(all[i]) {
			rows, file = append(rows, s.data.Rows[i]), append(file, s.file[i])
		}
	}
	s.data.Rows, s.file = rows, file
	r.Rows = len(rows)
	return nil
}
