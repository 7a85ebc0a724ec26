package pairs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/audio"
	"vicreg/internal/batch"
	"vicreg/internal/imagefile"
	"vicreg/internal/npy"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// Parts counts over all parts of the data, the rows to train on and those to score on.
// The share of bad rows that is allowed is one of all of them, and notes on them are
// made once.
type Parts struct {
	tally batch.Tally
	left  int        // to be scanned
	good  [][]*found // by side
}

// NewParts returns the Parts of some data, of which some may be nil. All of them are to
// be scanned.
func NewParts(parts ...*Data) *Parts {
	p := &Parts{tally: batch.Tally{Kind: "rows"}}
	for _, d := range parts {
		if d != nil {
			p.tally.Total, p.tally.Most = p.tally.Total+len(d.Rows), d.most
			p.good = make([][]*found, len(d.sides))
			p.left++
		}
	}
	return p
}

// notes says what of the side is filled, cut, padded or left out.
func (s *Side) notes(good []*found) []string {
	switch s.Type {
	case "image":
		var depths imagefile.Depths
		missing, in := 0, 0
		for _, f := range good {
			depths.Count(f.image)
			if missing += f.missing; f.missing > 0 {
				in++
			}
		}
		notes := append(depths.Notes(), batch.Missing(missing, in)...)
		for i, note := range notes {
			notes[i] = fmt.Sprintf("%s: %s", s, note)
		}
		return notes
	case "numeric":
		return s.gaps(good)
	case "series":
		return append(s.lengths(good), s.ofFiles(good)...)
	case "waveform", "spectrogram":
		return append(s.lengths(good), s.ofSounds(good)...)
	case "embedding":
		return s.ofEmbeddings(good)
	}
	return s.lengths(good)
}

// gaps says how many rows miss numbers.
func (s *Side) gaps(good []*found) (notes []string) {
	for c, name := range s.Columns {
		n := 0
		for _, f := range good {
			if f.gaps[c] {
				n++
			}
		}
		if n == 0 {
			continue
		}
		note := fmt.Sprintf("%s: %d of %d rows have no %s; it is filled with the mean", s, n, len(good), name)
		if slices.Contains(s.Incomplete, name) {
			note += ", and marked by an indicator"
		}
		notes = append(notes, note)
	}
	return notes
}

// ofEmbeddings says of how many numbers of embeddings that are files little is left in 32
// bits.
func (s *Side) ofEmbeddings(good []*found) []string {
	if !slices.ContainsFunc(good, func(f *found) bool { return f.rest != nil }) {
		return nil
	}
	spreads := make([]npy.Spread, s.Width)
	for _, f := range good {
		for c := range spreads {
			var rest float32
			if f.rest != nil {
				rest = f.rest[c]
			}
			spreads[c].Add(float32(f.mean[c]), rest)
		}
	}
	return s.coarse(spreads)
}

// coarse says of how many numbers of an embedding, measured over the rows, little is left
// in 32 bits.
func (s *Side) coarse(spreads []npy.Spread) []string {
	n := 0
	for i := range spreads {
		if spreads[i].Coarse(0.05) {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d of its %d numbers differ between rows by hardly more than the 32 bits they are computed with tell; take off what they have in common", s, n, len(spreads))}
}

// lengths says how many samples are cut or padded.
func (s *Side) lengths(good []*found) []string {
	if s.Length == 0 {
		return nil
	}
	longer, shorter := 0, 0
	var mel *audio.Mel
	if s.Mel != nil {
		mel, _ = audio.NewMel(*s.Mel, s.Rate) // known to be right
	}
	for _, f := range good {
		n := f.length
		if s.sound() {
			n = s.samples(f)
		}
		if mel != nil {
			n = mel.Frames(n)
		}
		switch {
		case n > s.Length:
			longer++
		case n < s.Length:
			shorter++
		}
	}
	var parts []string
	if longer > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d are longer than %s and are cut", longer, len(good), s.unit()))
	}
	if shorter > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d are shorter and are padded", shorter, len(good)))
		if longer == 0 {
			parts[0] = fmt.Sprintf("%d of %d are shorter than %s and are padded", shorter, len(good), s.unit())
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s", s, strings.Join(parts, ", "))}
}

// unit returns the side's length in words.
func (s *Side) unit() string {
	switch s.Type {
	case "waveform":
		return seconds(s.Length, s.Rate)
	case "spectrogram":
		return fmt.Sprintf("%d frames", s.Length)
	case "series":
		return fmt.Sprintf("%d points", s.Length)
	}
	return fmt.Sprintf("%d bytes", s.Length)
}

// ofFiles says what was left out, filled in or guessed of the files of a series.
func (s *Side) ofFiles(good []*found) (notes []string) {
	dropped, counters, same := map[string]int{}, map[string]int{}, map[string]int{}
	var numbered, doubtful, dotted, either, coarse, without, filled, values, ordered, otherwise, bare, commented,
		comments, flat, counting int
	other, line, point, header, row := "", "", "", "", ""
	for _, f := range good {
		if f.channels > f.length {
			flat++
		}
		if f.facts == nil {
			continue
		}
		for _, name := range f.facts.dropped {
			dropped[name]++
		}
		if len(f.facts.dropped) > 0 {
			without++
		}
		for _, name := range f.facts.coarse {
			same[name]++
		}
		if len(f.facts.coarse) > 0 {
			coarse++
		}
		if f.facts.either != "" {
			if either++; either == 1 {
				line = f.facts.either
			}
		}
		if f.facts.numbered != "" {
			numbered++
			header = cmp.Or(header, f.facts.numbered)
		}
		if f.facts.doubtful != "" {
			doubtful++
			row = cmp.Or(row, f.facts.doubtful)
		}
		if f.facts.dotted != "" {
			if dotted++; dotted == 1 {
				point = f.facts.dotted
			}
		}
		if f.facts.filled > 0 {
			filled++
			values += f.facts.filled
		}
		if f.facts.comment > 0 {
			commented++
			comments += f.facts.comment
		}
		if f.facts.counter != "" {
			counting++
			counters[f.facts.counter]++
		}
		switch names := f.facts.names; {
		case len(s.Names) == 0 || slices.Equal(names, s.Names):
		case len(names) == 0:
			bare++
		case orderOf(names, s.Names) != nil:
			ordered++
		default:
			if otherwise++; otherwise == 1 {
				other = show.Some(shown(names), 5)
			}
		}
	}
	note := func(n int, format string, args ...any) {
		if n > 0 {
			about := fmt.Sprintf("%s: %d of %d rows ", s, n, len(good))
			notes = append(notes, about+fmt.Sprintf(format, args...))
		}
	}
	names := show.Some(shown(s.Names), 5)
	note(without, "have columns without any number, which are left out: %s", show.Tally(dropped, ""))
	note(filled, "miss values, %d in all, which are filled in from those beside them", values)
	note(ordered, "have their columns in another order; they are put into that of the others, %s", names)
	note(otherwise, "have columns of other names, as %s; they are taken by their places for %s", other, names)
	note(bare, "have no names of columns; they are taken by their places for %s", names)
	note(commented, "have lines that begin with # among the values, %d in all, which are left out", comments)
	note(either, "have lines like %s, which are read as several numbers; if each is one, give the file a header of one column, or write it without commas and spaces", table.Clip(line))
	note(numbered, "begin with a row of whole numbers (%s) above numbers with decimals; it is taken as a header and left out", header)
	note(doubtful, "begin with a row of whole numbers (%s) above numbers with decimals; it is taken as values, so if it is a header, give it names", row)
	note(dotted, "have numbers like %s, always with three digits behind the point, which is read as a decimal one; if points stand between thousands, take them out", table.Clip(point))
	note(coarse, "have values that differ and are the same in the 32 bits they are computed with: %s; take off what they have in common, or multiply what is very small", show.Tally(same, ""))
	if 2*counting > len(good) {
		note(counting, "have a column that counts up evenly, as times and row numbers do: %s; it is a channel like the others", show.Tally(counters, ""))
	}
	if 2*flat > len(good) {
		note(flat, "have more channels than points; a row is a point and a column a channel, so they may have to be transposed")
	}
	return notes
}

// shown returns names of columns for people, of which one may be empty.
func shown(names []string) []string {
	out := slices.Clone(names)
	if i := slices.Index(out, ""); i >= 0 {
		out[i] = "(no name)"
	}
	return out
}
