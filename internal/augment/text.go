package augment

import (
	"math/rand/v2"
	"unicode/utf8"
)

// Tokens of a text: 0 is padding, a byte is itself plus 1, and TextMask is a byte
// that is not shown.
const (
	TextPadding = 0
	TextMask    = 257
)

// Text is the distribution of a view of a text.
type Text struct {
	Mask   float64 `yaml:"mask"`   // probability of each byte to be hidden
	Delete float64 `yaml:"delete"` // probability of each byte to be left out
}

// DefaultText returns the share of masks of BERT (Devlin et al. 2018), and a few
// bytes left out, so that places move.
func DefaultText() Text { return Text{Mask: 0.15, Delete: 0.03} }

// Check returns what is wrong with the numbers of t, naming the YAML key.
func (t Text) Check() error {
	return within(number{"mask", t.Mask, 0, 1}, number{"delete", t.Delete, 0, 1})
}

// View draws a view of a text and writes its tokens to dst, then padding. Of a text that
// is too long it takes a part that may begin anywhere. A text that is not empty keeps at
// least one token.
func (t *Text) View(r *rand.Rand, dst []float32, text string) {
	from := 0
	if spare := len(text) - len(dst); spare > 0 {
		from = r.IntN(spare + 1)
		for from > 0 && !utf8.RuneStart(text[from]) { // not within a character
			from--
		}
	}
	n := 0
	for i := from; i < len(text) && n < len(dst); i++ {
		if r.Float64() < t.Delete {
			continue
		}
		dst[n] = float32(text[i]) + 1
		if r.Float64() < t.Mask {
			dst[n] = TextMask
		}
		n++
	}
	if n == 0 && len(text) > 0 && len(dst) > 0 {
		dst[0], n = TextMask, 1
	}
	clear(dst[n:])
}

// Tokens writes the tokens of a text to dst, then padding. What is too long loses
// its end, at the start of a character.
func Tokens(dst []float32, text string) {
	if n := len(dst); len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	for i := range len(text) {
		dst[i] = float32(text[i]) + 1
	}
	clear(dst[len(text):])
}
