package runlog

import (
	"strings"

	"vicreg/internal/show"
)

// Sight is how an encoder sees views of images, or the sides of pairs. It needs no
// labels.
type Sight struct {
	R1   float64 `json:"r1"`   // share of the views that find the other one of their image first among all, by cosine
	Rank float64 `json:"rank"` // effective rank of their features
	Std  float64 `json:"std"`  // of features of length 1, times √D: 0 if all are alike, 1 if they lie in all directions
}

// Seen is a Sight on the way.
type Seen struct {
	Epoch int `json:"epoch"` // from 1
	Step  int `json:"step"`  // since the start of the run
	Sight
}

// What a [Verdict] may be.
const (
	Learned   = "learned"        // the encoder is better than untrained
	Longer    = "needs longer"   // it is not yet, or not clearly, and was still getting better
	Little    = "learned little" // it is not, and hardly got better
	Collapsed = "collapsed"      // its features have come to be alike
)

// Verdict judges what came of a run, without labels. Where there are scores, it
// agrees with them.
type Verdict struct {
	Is   string `json:"is"`
	Text string `json:"text"` // it in a sentence, with the figures that tell
	Next string `json:"next"` // what to try next, a sentence

	// Spread says whether anything collapsed, a sentence. It is empty in what older versions
	// wrote, whose Text has its figures.
	Spread string `json:"spread,omitempty"`

	Trained   Sight   `json:"trained"`
	Untrained *Sight  `json:"untrained,omitempty"` // the same encoder before any training; nil of pairs
	Chance    float64 `json:"chance_r1"`
	Items     int     `json:"items"`    // images, or pairs, among which views look for each other
	HeldOut   bool    `json:"held_out"` // they were not trained on
	Trend     []Seen  `json:"trend"`    // on the way, the last at the end
	Rising    bool    `json:"rising"`   // R1 still rose at the end
}

// Advice is what to try next, for the run in a folder, on one line.
func (v *Verdict) Advice(folder string) string {
	return strings.ReplaceAll(show.Line(v.Next), "--resume RUN ", "--resume "+show.Name(folder)+" ")
}
