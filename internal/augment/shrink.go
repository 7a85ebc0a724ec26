package augment

// Spare is how many times as many pixels, in both directions, a crop must have as the view
// that is made of it when its image is decoded at a part of its size: what a decoder's
// coarse filter does to the picture is then hardly seen in the view. Two is also what
// Pillow's Image.thumbnail leaves to a good filter (its reducing_gap).
const Spare = 2

// Shrink returns the greatest of 1, 2, 4 and 8 by which the sides of a crop may be divided
// for a view of size × size.
func (r Rect) Shrink(size int) int {
	by := 8
	for by > 1 && min(r.W, r.H) < Spare*size*by {
		by /= 2
	}
	return by
}

// Shrunk returns the crop in an image, now w × h, that was decoded at 1/by of its size: each
// edge moves to the nearest pixel.
func (r Rect) Shrunk(by, w, h int) Rect {
	near := func(v, most int) int { return min((v+by/2)/by, most) }
	x, y := near(r.X, w-1), near(r.Y, h-1)
	return Rect{x, y, max(1, near(r.X+r.W, w)-x), max(1, near(r.Y+r.H, h)-y)}
}
