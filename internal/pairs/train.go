package pairs

import (
	"math/rand/v2"

	"vicreg/internal/augment"
)

// view writes a sample as training sees it, changed by chance: an image as its
// view says, a part of what is too long, and what is too short at any place.
func (m *maker) view(dst []float32, r *rand.Rand, s *Sample, image *augment.View, w *memory) {
	switch m.side.Type {
	case "image":
		w.image.View(dst, r, s.Image, image, m.side.Size, m.norm)
	case "waveform", "series":
		m.window(dst, s.Values, anywhere(r, m.spare(dst, s)))
	case "spectrogram":
		m.frames(dst, s.Values, anywhere(r, m.spare(dst, s)))
	default:
		m.plain(dst, s, w)
	}
}

// anywhere draws where a window begins in what has spare points more, or fewer,
// than it.
func anywhere(r *rand.Rand, spare int) int {
	return min(0, spare) + r.IntN(max(spare, -spare)+1)
}
