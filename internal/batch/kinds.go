package batch

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// raw reports whether images of so many channels, 0 if that is not known, are no pictures.
func raw(channels int) bool { return channels != 0 && channels != 1 && channels != 3 }

// Fit returns an image as a source of so many channels has it, grey or in colour as it is; an
// error says what it has instead. If raw, its values are to be those of its file.
func Fit(m imagefile.Image, channels int, raw bool) (imagefile.Image, error) {
	switch {
	case channels == 0:
	case raw && m.C != channels:
		return m, fmt.Errorf("it has %s, but %s", show.Count(m.C, "channel"), wanted(channels))
	case raw:
	case !m.Plain():
		return m, fmt.Errorf("it has %s of %s, but pictures of 8 bits, grey or in colour, are wanted; --bands chooses channels by their numbers, and --values raw keeps values as they are",
			show.Count(m.C, "channel"), m.Type.Bits())
	case channels == 1:
		return m.Convert(1), nil
	}
	return m, nil
}

func wanted(n int) string {
	if n == 1 {
		return "1 is wanted"
	}
	return fmt.Sprintf("%d are wanted", n)
}

// kind is what images must have in common to be in one data set.
type kind struct {
	plain    bool // pictures, of one or three channels
	channels int  // of others
}

func (k kind) String() string {
	if k.plain {
		return "pictures of 8 bits, grey or in colour"
	}
	return fmt.Sprintf("of %s with values of their own", show.Count(k.channels, "channel"))
}

// Kinds counts the kinds of a data set's images. The zero value is ready.
type Kinds struct {
	Raw bool // pictures count as others do

	kinds []kind
	count map[kind]int
	first map[kind]string
}

// Add counts an image of a name.
func (k *Kinds) Add(c int, plain bool, name string) {
	of := kind{plain: true}
	if k.Raw || !plain {
		of = kind{channels: c}
	}
	if k.count == nil {
		k.count, k.first = map[kind]int{}, map[kind]string{}
	}
	if k.count[of] == 0 {
		k.kinds, k.first[of] = append(k.kinds, of), name
	}
	k.count[of]++
}

// One returns the channels of the images if they are no pictures, else 0. If there are images
// of several kinds, that is an error, which counts them and names one of each.
func (k *Kinds) One(data string) (int, error) {
	if len(k.kinds) < 2 {
		if len(k.kinds) == 0 {
			return 0, nil
		}
		return k.kinds[0].channels, nil
	}
	slices.SortStableFunc(k.kinds, func(a, b kind) int { return k.count[b] - k.count[a] })
	var list []string
	for _, of := range k.kinds {
		list = append(list, fmt.Sprintf("%d %s (%s)", k.count[of], of, show.Name(k.first[of])))
	}
	return 0, fmt.Errorf("%s: the images are of several kinds: %s; take those of one kind, or choose channels that all have with --bands",
		show.Name(data), strings.Join(list, ", "))
}

// moments are sums over images of what was measured of each.
type moments struct {
	mean, square []float64
	count        []int // images that have data in a channel
	gaps         int   // values that are no data,
	gappy        int   // and images that have such
}

// add adds an image's.
func (s *moments) add(m imagefile.Measures) {
	if s.mean == nil {
		n := len(m.Mean)
		s.mean, s.square, s.count = make([]float64, n), make([]float64, n), make([]int, n)
	}
	for c, v := range m.Mean {
		if v == v && c < len(s.mean) {
			s.mean[c], s.square[c], s.count[c] = s.mean[c]+v, s.square[c]+m.Square[c], s.count[c]+1
		}
	}
	if s.gaps += m.Gaps; m.Gaps > 0 {
		s.gappy++
	}
}

// of returns mean and standard deviation of a channel, and whether it ever varies. One that
// does not has a deviation of 1, one without data a mean of 0.
func (s *moments) of(c int) (mean, std float64, varies bool) {
	if s.count[c] == 0 {
		return 0, 1, false
	}
	n := float64(s.count[c])
	mean = s.mean[c] / n
	std = math.Sqrt(max(0, s.square[c]/n-float64(mean*mean)))
	if std <= 1e-7*math.Abs(mean) || std == 0 {
		return mean, 1, false
	}
	return mean, std, true
}

// Missing says how many values of how many images are no data, if there are such.
func Missing(values, images int) []string {
	if values == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s of %s no data (not a number, infinite or marked so); the mean of the channel stands there",
		show.Count(values, "value"), show.Plural(images, "image is", "images are"))}
}

// notes says what of the values is no data, and which channels never vary.
func (s *moments) notes() []string {
	notes := Missing(s.gaps, s.gappy)
	var same []string
	for c := range s.mean {
		if _, _, varies := s.of(c); !varies {
			same = append(same, fmt.Sprint(c+1))
		}
	}
	switch len(same) {
	case 0:
	case 1:
		notes = append(notes, fmt.Sprintf("channel %s is the same in all images; its standard deviation counts as 1", same[0]))
	default:
		notes = append(notes, fmt.Sprintf("channels %s are the same in all images; their standard deviations count as 1", strings.Join(same, ", ")))
	}
	return notes
}
