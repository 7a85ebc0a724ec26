package pairs

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/npy"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// maxChannels is the most that a series may have.
const maxChannels = 4096

// series is t points of c channels, point by point: t × c.
type series struct {
	values []float32
	c      int
	facts  facts
}

// facts are what can be said of the file of a series.
type facts struct {
	names    []string // of the channels, by the file's header; nil: none
	dropped  []string // columns without any number
	filled   int      // values that were missing
	counter  string   // the channel that counts up evenly, as rows and times do
	comment  int      // lines among the data that begin with #
	coarse   []string // channels whose values differ by less than 32 bits tell
	numbered string   // a first row that counts and is taken as a header without names
	doubtful string   // one that is taken as values
	dotted   string   // a number whose point may stand between thousands and was read as a decimal one
	either   string   // a line that may be one number with a decimal comma and was read as two
}

// readSeries reads a series: an .npy array t × c or of t numbers, or else a text table
// with one point a row. Missing values are interpolated between their neighbours; those
// at an end repeat the nearest. If a channel misses more than half of its values, that
// is an error.
func readSeries(path string) (series, error) {
	var s series
	var err error
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		s, err = readSeriesArray(path)
	} else {
		s, err = readSeriesText(path)
	}
	if err != nil {
		return s, err
	}
	if err := s.complete(); err != nil {
		return s, fmt.Errorf("%s: %w", show.Name(path), err)
	}
	return s, nil
}

// complete fills in what is missing and checks the result.
func (s *series) complete() error {
	if s.c > maxChannels {
		return fmt.Errorf("a series of %d channels, %d at most; a row is a point and a column a channel, so it may have to be transposed", s.c, maxChannels)
	}
	n := len(s.values) / s.c
	if n < 2 {
		return fmt.Errorf("a series of %d points; at least 2 are needed", n)
	}
	for c := range s.c {
		gaps := s.fill(c)
		if 2*gaps > n {
			return fmt.Errorf("channel %d misses %d of its %d values", c+1, gaps, n)
		}
		s.facts.filled += gaps
	}
	s.facts.counter = s.counter()
	return nil
}

func readSeriesArray(path string) (series, error) {
	if err := table.IsFile(path); err != nil {
		return series{}, err
	}
	a, err := npy.Read(path)
	if err != nil {
		return series{}, plain(path, err)
	}
	s := series{values: a.Values, c: 1}
	switch len(a.Shape) {
	case 1:
	case 2:
		s.c = a.Shape[1]
	default:
		return s, fmt.Errorf("%s: an array of shape %v; a series is points × channels", show.Name(path), a.Shape)
	}
	if len(s.values) == 0 {
		return s, fmt.Errorf("%s: the array is empty", show.Name(path))
	}
	n := len(s.values) / s.c
	for c := range s.c {
		if 10*a.Alike(c, s.c, n) > n {
			s.facts.coarse = append(s.facts.coarse, fmt.Sprintf("column %d", c+1))
		}
	}
	return s, nil
}

// counter returns the name, or place, of a channel that counts up by the same step from
// the first point to the last while others do not; "" if there is none.
func (s *series) counter() string {
	n := len(s.values) / s.c
	if s.c < 2 || n < 4 {
		return ""
	}
	found := ""
	for c := range s.c {
		step := float64(s.values[s.c+c]) - float64(s.values[c])
		even := step > 0
		for i := 1; i < n && even; i++ {
			a, b := float64(s.values[(i-1)*s.c+c]), float64(s.values[i*s.c+c])
			even = math.Abs(b-a-step) <= 1e-3*step+1e-6*math.Abs(b)
		}
		switch {
		case !even:
		case found != "":
			return "" // so do several
		case c < len(s.facts.names):
			found = shown(s.facts.names[c : c+1])[0]
		default:
			found = fmt.Sprintf("channel %d", c+1)
		}
	}
	return found
}

// reorder puts channels into the order of names, if the file has the same names in
// another order, and reports whether it did.
func (s *Sample) reorder(names []string) bool {
	if s.facts == nil {
		return false
	}
	order := orderOf(s.facts.names, names)
	if order == nil {
		return false
	}
	c := len(order)
	values := make([]float32, len(s.Values))
	for i := range values {
		values[i] = s.Values[i/c*c+order[i%c]]
	}
	s.Values = values
	return true
}

// orderOf returns where each of names is in have, if these are the same names in another
// order; else nil.
func orderOf(have, names []string) []int {
	if len(have) != len(names) || slices.Equal(have, names) {
		return nil
	}
	order := make([]int, len(names))
	for i, name := range names {
		if order[i] = slices.Index(have, name); order[i] < 0 {
			return nil
		}
	}
	return order
}

// nameChannels resolves the names of a series' channels: those that most headers have.
// What was measured of files with another order is reordered.
func (s *Source) nameChannels(k int, all [][]found) {
	side := &s.sides[k]
	if len(side.Names) > 0 || len(side.Mean) > 0 {
		return // what was measured is in their order
	}
	count := map[string]int{}
	most := ""
	for i := range all {
		f := &all[i][k]
		if !f.decoded || f.facts == nil || len(f.facts.names) != side.Channels || rowBad(all[i]) {
			continue
		}
		key := strings.Join(f.facts.names, "\x00")
		count[key]++
		if n := count[key]; n > count[most] || n == count[most] && key < most {
			most, side.Names = key, f.facts.names
		}
	}
	for i := range all {
		if f := &all[i][k]; f.decoded && f.facts != nil {
			if order := orderOf(f.facts.names, side.Names); order != nil {
				mean, squares := slices.Clone(f.mean), slices.Clone(f.squares)
				for c, from := range order {
					f.mean[c], f.squares[c] = mean[from], squares[from]
				}
			}
		}
	}
}

// fill replaces the values of channel c that are not finite, and returns how many there
// were. If none is finite, they stay.
func (s *series) fill(c int) (gaps int) {
	n := len(s.values) / s.c
	at := func(i int) *float32 { return &s.values[i*s.c+c] }
	last := -1 // the last good one
	for i := range n {
		v := float64(*at(i))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			gaps++
			continue
		}
		for j := last + 1; j < i; j++ {
			if last < 0 {
				*at(j) = *at(i)
				continue
			}
			share := float32(j-last) / float32(i-last)
			*at(j) = *at(last)*(1-share) + *at(i)*share
		}
		last = i
	}
	if last >= 0 {
		for j := last + 1; j < n; j++ {
			*at(j) = *at(last)
		}
	}
	return gaps
}
