package main

import (
	"cmp"
	"math"
	"os"
	"strings"

	"vicreg/internal/runlog"
)

// history is what the last epochs came to, for the live line.
type history struct{ loss, knn, views, right []float64 }

// sparks is how many epochs a sparkline shows.
const sparks = 12

// add takes in an epoch. What is not finite is left out.
func (h *history) add(e runlog.Epoch) {
	keep := func(to *[]float64, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		*to = append(*to, v)
		*to = (*to)[max(0, len(*to)-sparks):]
	}
	keep(&h.loss, e.Loss)
	if e.KNN != nil {
		keep(&h.knn, *e.KNN)
	}
	if e.Views != nil {
		keep(&h.views, e.Views.R1)
	}
	if e.Classified != nil {
		keep(&h.right, e.Classified.Top1)
	}
}

// String is a sparkline of the loss and one of what is right: the classifier's top-1, kNN,
// or how views find each other. It is empty before two epochs.
func (h *history) String() string {
	if len(h.loss) < 2 {
		return ""
	}
	text := "loss " + sparkline(h.loss)
	switch {
	case len(h.right) > 1:
		text += "  top-1 " + sparkline(h.right)
	case len(h.knn) > 1:
		text += "  kNN " + sparkline(h.knn)
	case len(h.views) > 1:
		text += "  views " + sparkline(h.views)
	}
	return text
}

// sparkline draws values, from the lowest to the highest of them, a character each.
func sparkline(values []float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	all := []rune(bars)
	lo, hi := values[0], values[0]
	for _, v := range values {
		lo, hi = min(lo, v), max(hi, v)
	}
	var b strings.Builder
	for _, v := range values {
		at := len(all)/2 - 1 // all alike
		if hi > lo && !math.IsInf(hi-lo, 0) {
			at = int((v/(hi-lo)-lo/(hi-lo))*float64(len(all)-1) + 0.5)
		}
		b.WriteRune(all[at])
	}
	return b.String()
}

// drawsBlocks reports whether a terminal is to get sparklines: it writes colours, and the
// locale does not rule out what they are drawn with.
func (p *printer) drawsBlocks() bool {
	if p.width == nil || !p.coloured() {
		return false
	}
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return locale == "" || strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}
