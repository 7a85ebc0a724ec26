package imagefile

import "fmt"

// Depths counts images whose 16-bit samples use fewer bits, by how many they use.
type Depths [16]int

// Count adds an image.
func (d *Depths) Count(m Image) {
	if m.Depth > 0 {
		d[m.Depth]++
	}
}

// Notes says how many there are, a sentence for each number of bits.
func (d *Depths) Notes() []string {
	var notes []string
	for bits, n := range d {
		switch {
		case n == 1:
			notes = append(notes, fmt.Sprintf("1 image has samples of 16 bits that use %d of them; it is scaled so that these fill the range", bits))
		case n > 1:
			notes = append(notes, fmt.Sprintf("%d images have samples of 16 bits that use %d of them; they are scaled so that these fill the range", n, bits))
		}
	}
	return notes
}
