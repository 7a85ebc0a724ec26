package imagefile

import "fmt"

// Depths counts images of which less is used than their files have: whose 16-bit samples use
// fewer bits, by how many they use, or are cut to 8, and those whose channels or pages are
// left out.
type Depths struct {
	bits              [16]int
	cut, extra, pages int
}

// Count adds an image.
func (d *Depths) Count(m Image) {
	if m.Depth > 0 {
		d.bits[m.Depth]++
	}
	if m.Cut {
		d.cut++
	}
	if m.Extra > 0 {
		d.extra++
	}
	if m.Pages {
		d.pages++
	}
}

// Notes says how many there are, a sentence for each number of bits.
func (d *Depths) Notes() []string {
	var notes []string
	for bits, n := range d.bits {
		switch {
		case n == 1:
			notes = append(notes, fmt.Sprintf("1 image has samples of 16 bits that use %d of them; it is scaled so that these fill the range", bits))
		case n > 1:
			notes = append(notes, fmt.Sprintf("%d images have samples of 16 bits that use %d of them; they are scaled so that these fill the range", n, bits))
		}
	}
	switch {
	case d.cut == 1:
		notes = append(notes, "1 image has samples of 16 bits, of which the upper 8 are kept; --values raw keeps all")
	case d.cut > 1:
		notes = append(notes, fmt.Sprintf("%d images have samples of 16 bits, of which the upper 8 are kept; --values raw keeps all", d.cut))
	}
	switch {
	case d.extra == 1:
		notes = append(notes, "1 image has channels beside its colours, which are left out; --bands chooses channels by their numbers")
	case d.extra > 1:
		notes = append(notes, fmt.Sprintf("%d images have channels beside their colours, which are left out; --bands chooses channels by their numbers", d.extra))
	}
	switch {
	case d.pages == 1:
		notes = append(notes, "1 TIFF file has several pages, of which the first is read")
	case d.pages > 1:
		notes = append(notes, fmt.Sprintf("%d TIFF files have several pages, of which the first is read", d.pages))
	}
	return notes
}
