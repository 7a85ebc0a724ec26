package pairs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/audio"
	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// Types are what a side may be.
var Types = []string{"image", "waveform", "spectrogram", "series", "numeric", "text", "embedding"}

// Side is one side of the pairs: which columns of the manifest it is made of, and how.
// The user gives Type and Columns (or File), and may give the rest. Whatever is zero is
// resolved by [Source.Scan] from the training rows and stays from then on, so that a run
// can be repeated.
type Side struct {
	Type    string   `yaml:"type"`                   // one of Types
	Columns []string `yaml:"columns,flow,omitempty"` // one, of numeric one or more
	File    string   `yaml:"file,omitempty"`         // embedding: an .npy matrix, a row for each row of the manifest, instead of a column

	// Size is the width and height of an image's view, in pixels.
	Size int `yaml:"size,omitempty"`

	// Channels are those of an image (1 grey, 3 colour, up to 16 of other images) or of a series.
	Channels int `yaml:"channels,omitempty"`

	// Values is raw of images that are no pictures: they have the values of their files.
	Values string `yaml:"values,omitempty"`

	// Names are those of a series' channels, in their order, if its files have
	// headers: a file with the same names in another order is put into this one.
	Names []string `yaml:"names,flow,omitempty"`

	// Rate is how many samples a second a waveform has, or one that a
	// spectrogram is made of.
	Rate int `yaml:"rate,omitempty"`

	// Length is the number of a waveform's samples, a spectrogram's frames, a
	// series' points or a text's bytes: longer ones are cut, shorter ones
	// padded.
	Length int `yaml:"length,omitempty"`

	// Mel says how a spectrogram is made; by default as [audio.DefaultMelConfig].
	Mel *audio.MelConfig `yaml:"mel,omitempty"`

	// Width is the width of an embedding.
	Width int `yaml:"width,omitempty"`

	// Incomplete are the columns of a numeric side that miss values in the
	// training rows. A missing value is filled with the column's mean, and of
	// each of these columns an indicator follows the values: 1 where the value
	// is missing, 0 where it is not.
	Incomplete []string `yaml:"incomplete,flow,omitempty"`

	// Mean and Std normalise: of an image's pixels in [0, 1], or its values, by channel, of a
	// waveform's samples, of a spectrogram's values, of a series by channel, of
	// numeric columns by column, of an embedding by place.
	Mean []float64 `yaml:"mean,flow,omitempty"`
	Std  []float64 `yaml:"std,flow,omitempty"`

	// How views for training are drawn, for sides of the same type; Numeric is also for
	// embeddings. For images the run's views say so.
	Waveform    *augment.Waveform    `yaml:"waveform,omitempty"`
	Spectrogram *augment.Spectrogram `yaml:"spectrogram,omitempty"`
	Series      *augment.Series      `yaml:"series,omitempty"`
	Numeric     *augment.Numeric     `yaml:"numeric,omitempty"`
	Text        *augment.Text        `yaml:"text,omitempty"`
}

// ParseSide reads type=column[,column…], as a user gives a side. An embedding
// may name an .npy file instead of a column.
func ParseSide(spec string) (Side, error) {
	kind, columns, ok := strings.Cut(spec, "=")
	kind = strings.TrimSpace(kind)
	if !ok || kind == "" {
		return Side{}, fmt.Errorf("%q must be type=column, as image=photo or numeric=temp,load; the types are %s", spec, strings.Join(Types, ", "))
	}
	s := Side{Type: kind}
	for name := range strings.SplitSeq(columns, ",") {
		s.Columns = append(s.Columns, strings.TrimSpace(name))
	}
	if kind == "embedding" && len(s.Columns) == 1 && strings.HasSuffix(strings.ToLower(s.Columns[0]), ".npy") {
		s.File, s.Columns = s.Columns[0], nil
	}
	return s, s.Check()
}

// ReadAs takes from a side, which was resolved, how its items are read: whatever s
// leaves open.
func (s *Side) ReadAs(r Side) {
	if s.Type != r.Type {
		return
	}
	s.Size, s.Channels, s.Rate = cmp.Or(s.Size, r.Size), cmp.Or(s.Channels, r.Channels), cmp.Or(s.Rate, r.Rate)
	s.Values = cmp.Or(s.Values, r.Values)
	s.Length, s.Width, s.Mel = cmp.Or(s.Length, r.Length), cmp.Or(s.Width, r.Width), cmp.Or(s.Mel, r.Mel)
	if s.Mean == nil && s.Std == nil && (s.Type != "numeric" || slices.Equal(s.Columns, r.Columns)) {
		s.Mean, s.Std = r.Mean, r.Std
		if s.Type == "numeric" {
			s.Incomplete = r.Incomplete
		}
	}
	if len(s.Names) == 0 && s.Channels == len(r.Names) {
		s.Names = r.Names
	}
}

// Check returns what is wrong with the numbers and names of s, whatever the
// manifest.
func (s *Side) Check() error {
	if !slices.Contains(Types, s.Type) {
		return fmt.Errorf("unknown type %q; the types are %s", s.Type, strings.Join(Types, ", "))
	}
	switch {
	case s.File != "" && s.Type != "embedding":
		return fmt.Errorf("%s: a file of rows is for embeddings; name the column that holds the files", s.Type)
	case s.File != "" && len(s.Columns) > 0:
		return fmt.Errorf("embedding: give a column or a file, not both")
	case s.File == "" && len(s.Columns) == 0:
		return fmt.Errorf("%s: no column is named", s.Type)
	case len(s.Columns) > 1 && s.Type != "numeric":
		return fmt.Errorf("%s is one column, but %d are named (%s); only numeric takes several", s.Type, len(s.Columns), strings.Join(s.Columns, ", "))
	}
	for i, c := range s.Columns {
		if c == "" {
			return fmt.Errorf("%s: column %d has no name", s.Type, i+1)
		}
		if slices.Contains(s.Columns[:i], c) {
			return fmt.Errorf("%s: column %q is named twice", s.Type, c)
		}
	}
	for _, c := range s.Incomplete {
		if !slices.Contains(s.Columns, c) {
			return fmt.Errorf("%s: incomplete names %q, which is not among its columns", s.Type, c)
		}
	}
	switch {
	case len(s.Names) > 0 && s.Type != "series":
		return fmt.Errorf("%s: names of channels belong to series", s.Type)
	case len(s.Names) > 0 && (s.Channels != len(s.Names) || unnamed(s.Names)):
		return fmt.Errorf("series: names must name each of its %d channels, each by another name", s.Channels)
	}
	for _, n := range []struct {
		key   string
		value int
		least int
		of    []string
	}{
		{"size", s.Size, 8, []string{"image"}},
		{"channels", s.Channels, 1, []string{"image", "series"}},
		{"rate", s.Rate, 1000, []string{"waveform", "spectrogram"}},
		{"length", s.Length, 1, []string{"waveform", "spectrogram", "series", "text"}},
		{"width", s.Width, 1, []string{"embedding"}},
	} {
		switch {
		case n.value != 0 && !slices.Contains(n.of, s.Type):
			return fmt.Errorf("%s: %s is %d, but it belongs to %s", s.Type, n.key, n.value, strings.Join(n.of, ", "))
		case n.value != 0 && n.value < n.least:
			return fmt.Errorf("%s: %s is %d, but must be at least %d", s.Type, n.key, n.value, n.least)
		}
	}
	switch {
	case s.Type == "image" && s.Channels > imagefile.MostChannels:
		return fmt.Errorf("image: channels is %d, but must be 1 (grey), 3 (colour), another number up to %d, or 0 (as the files)", s.Channels, imagefile.MostChannels)
	case s.Values != "" && s.Type != "image":
		return fmt.Errorf("%s: values is %q, but it belongs to image", s.Type, s.Values)
	case s.Values != "" && s.Values != raw:
		return fmt.Errorf("image: values is %q, but must be %s (those of the files), or empty", s.Values, raw)
	}
	if s.Mel != nil {
		if s.Type != "spectrogram" {
			return fmt.Errorf("%s: mel belongs to spectrogram", s.Type)
		}
		rate := s.Rate
		if rate == 0 {
			rate = 2 * int(max(8000, s.Mel.High)) // not known yet
		}
		if err := s.Mel.Check(rate); err != nil {
			return fmt.Errorf("%s: mel.%w", s.Type, err)
		}
	}
	if len(s.Mean) != len(s.Std) {
		return fmt.Errorf("%s: mean is of %d and std of %d; give as many of both, or neither", s.Type, len(s.Mean), len(s.Std))
	}
	if want := s.normalised(); len(s.Mean) != 0 && want != 0 && len(s.Mean) != want {
		return fmt.Errorf("%s: mean and std are of %d, but %d are needed, one for each %s; give as many or neither", s.Type, len(s.Mean), want, s.each())
	}
	for _, v := range s.Std {
		if !(v > 0) {
			return fmt.Errorf("%s: a standard deviation is %v, but must be above 0", s.Type, v)
		}
	}
	return s.checkViews()
}

// raw is the name of values that are those of the files.
const raw = "raw"

// Raw reports whether the side is of images that are no pictures, but have values of their own.
func (s *Side) Raw() bool {
	_, raws := s.source(imagefile.Limits{}).Asked()
	return s.Type == "image" && raws
}

// source is how images of the side are decoded.
func (s *Side) source(limits imagefile.Limits) batch.SourceOptions {
	return batch.SourceOptions{Channels: s.Channels, Raw: s.Values == raw, Limits: limits}
}

// normalised returns how many means and deviations there are; 0 if that is not resolved
// or if there are none.
func (s *Side) normalised() int {
	switch s.Type {
	case "image", "series":
		return s.Channels
	case "waveform", "spectrogram":
		return 1
	case "numeric":
		return len(s.Columns)
	case "embedding":
		return s.Width
	}
	return 0
}

// each names what has a mean and a deviation of its own.
func (s *Side) each() string {
	switch s.Type {
	case "image", "series":
		return "channel"
	case "numeric":
		return "column"
	case "embedding":
		return "number"
	}
	return "side"
}

// Resolved reports whether everything is known that a view needs.
func (s *Side) Resolved() bool {
	known := false
	switch s.Type {
	case "image":
		known = s.Size > 0 && s.Channels > 0
	case "waveform":
		known = s.Rate > 0 && s.Length > 0
	case "spectrogram":
		known = s.Rate > 0 && s.Length > 0 && s.Mel != nil
	case "series":
		known = s.Channels > 0 && s.Length > 0
	case "numeric":
		known = true
	case "text":
		return s.Length > 0
	case "embedding":
		known = s.Width > 0
	}
	return known && len(s.Mean) > 0
}

// Shape returns the shape of a view of the side: h × w × c of an image,
// mels × frames × 1 of a spectrogram, t × 1 of a waveform, t × c of a series, t
// of a text, f of numeric columns, d of an embedding.
func (s *Side) Shape() []int {
	if !s.Resolved() {
		panic(fmt.Sprintf("pairs: side %s is not resolved; scan first", s))
	}
	switch s.Type {
	case "image":
		return []int{s.Size, s.Size, s.Channels}
	case "waveform":
		return []int{s.Length, 1}
	case "spectrogram":
		return []int{s.Mel.Bands, s.Length, 1}
	case "series":
		return []int{s.Length, s.Channels}
	case "numeric":
		return []int{len(s.Columns) + len(s.Incomplete)}
	case "text":
		return []int{s.Length}
	}
	return []int{s.Width}
}

// String returns the side as a user gives it.
func (s *Side) String() string {
	if s.File != "" {
		return s.Type + "=" + s.File
	}
	return s.Type + "=" + strings.Join(s.Columns, ",")
}

// sequence reports whether a sample is a row of points, which is kept normalised.
func (s *Side) sequence() bool { return s.sound() || s.Type == "series" }

// files reports whether the side's cells name files.
func (s *Side) files() bool {
	switch s.Type {
	case "image", "waveform", "spectrogram", "series":
		return true
	case "embedding":
		return s.File == ""
	}
	return false
}

// About describes a resolved side in a line for people.
func (s *Side) About() string {
	what := s.String()
	switch s.Type {
	case "image":
		colour := "colour"
		switch {
		case s.Raw():
			colour = show.Count(s.Channels, "channel")
		case s.Channels == 1:
			colour = "grey"
		}
		return fmt.Sprintf("%s, %d × %d pixels, %s", what, s.Size, s.Size, colour)
	case "waveform":
		return fmt.Sprintf("%s, %d samples at %d Hz (%s)", what, s.Length, s.Rate, seconds(s.Length, s.Rate))
	case "spectrogram":
		return fmt.Sprintf("%s, %d mel bands × %d frames at %d Hz", what, s.Mel.Bands, s.Length, s.Rate)
	case "series":
		return fmt.Sprintf("%s, %d points × %d channels", what, s.Length, s.Channels)
	case "numeric":
		what = fmt.Sprintf("%s, %s", what, show.Count(len(s.Columns), "column"))
		if n := len(s.Incomplete); n > 0 {
			what += fmt.Sprintf(", missing values filled with the mean, and %d indicators of them", n)
		}
		return what
	case "text":
		return fmt.Sprintf("%s, %d bytes", what, s.Length)
	}
	return fmt.Sprintf("%s, %d numbers", what, s.Width)
}
