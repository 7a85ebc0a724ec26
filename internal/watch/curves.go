package watch

import (
	"math"
	"sort"
	"strconv"
)

// curves are a run's curves as a page draws them.
type curves struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Version int         `json:"version"`
	Per     float64     `json:"per"` // steps of an epoch; 0: not known
	Step    drawn       `json:"step"`
	Epoch   drawn       `json:"epoch"`
	Spectra []drawnRank `json:"spectra"`
	Marks   []drawnMark `json:"marks"`
	More    int         `json:"more"` // marks that are left out
}

type drawn struct {
	X     numbers   `json:"x"` // steps
	Names []string  `json:"names"`
	Y     []numbers `json:"y"` // by name
}

type drawnRank struct {
	Epoch  int       `json:"epoch"`
	Ranks  []int     `json:"ranks"`
	Values []float64 `json:"values"`
}

type drawnMark struct {
	X    int    `json:"x"`
	Text string `json:"text"`
}

// numbers are written to six digits, and null where there is none.
type numbers []float64

func (n numbers) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 8*len(n)+2), '[')
	for i, v := range n {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			out = append(out, "null"...)
			continue
		}
		out = strconv.AppendFloat(out, v, 'g', 6, 64)
	}
	return append(out, ']'), nil
}

// mostDrawnSpectra is how many spectra a page gets: the first, the last, and others spread
// evenly.
const mostDrawnSpectra = 24

// draw takes from a history what pixels can show of the steps from one to another.
func (h *history) draw(pixels int, from, to float64) (c curves) {
	c.Step, c.Epoch = h.steps.draw(pixels, from, to), h.epochs.draw(pixels, from, to)
	if n := len(h.epochs.step); n > 0 {
		c.More = h.more
	}
	for i := range min(mostDrawnSpectra, len(h.spectra)) {
		s := h.spectra[i]
		if n := len(h.spectra); n > mostDrawnSpectra {
			s = h.spectra[i*(n-1)/(mostDrawnSpectra-1)]
		}
		c.Spectra = append(c.Spectra, drawnRank{s.epoch, s.Ranks, s.Values})
	}
	for _, m := range h.marks {
		c.Marks = append(c.Marks, drawnMark{m.step, m.text})
	}
	c.More = h.more
	return c
}

// draw cuts the steps from one to another into as many pieces as there are pixels, and takes
// of each column the least and the most of a piece, in their order, at the piece's ends.
// Where there are fewer rows than that, all stand for themselves.
func (c *columns) draw(pixels int, from, to float64) (d drawn) {
	d.Names, d.Y = c.names, make([]numbers, len(c.names))
	first := sort.Search(len(c.step), func(i int) bool { return float64(c.step[i]) >= from })
	last := max(first, sort.Search(len(c.step), func(i int) bool { return float64(c.step[i]) > to }))
	first, last = max(0, first-1), min(len(c.step), last+1) // lines go on to the edges
	if last-first <= 2*pixels {
		for i := first; i < last; i++ {
			d.X = append(d.X, float64(c.step[i]))
		}
		for k, v := range c.value {
			for _, y := range v[first:last] {
				d.Y[k] = append(d.Y[k], float64(y))
			}
		}
		return d
	}
	begin := float64(c.step[first])
	width := (float64(c.step[last-1]) - begin) / float64(pixels)
	for i := first; i < last; {
		piece := math.Floor((float64(c.step[i]) - begin) / width)
		j := i + 1
		for j < last && (float64(c.step[j])-begin)/width < piece+1 {
			j++
		}
		d.X = append(d.X, float64(c.step[i]))
		if j > i+1 {
			d.X = append(d.X, float64(c.step[j-1]))
		}
		for k, v := range c.value {
			a, b := extremes(v[i:j])
			d.Y[k] = append(d.Y[k], a)
			if j > i+1 {
				d.Y[k] = append(d.Y[k], b)
			}
		}
		i = j
	}
	return d
}

// extremes returns the least and the most of some values, the earlier first; NaN where there
// are none.
func extremes(v []float32) (a, b float64) {
	least, most := -1, -1
	for i, y := range v {
		if y != y {
			continue
		}
		if least < 0 || y < v[least] {
			least = i
		}
		if most < 0 || y > v[most] {
			most = i
		}
	}
	if least < 0 {
		return math.NaN(), math.NaN()
	}
	return float64(v[min(least, most)]), float64(v[max(least, most)])
}
