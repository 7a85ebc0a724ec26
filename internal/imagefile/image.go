// Package imagefile reads image files into plain 8-bit pixels.
package imagefile

// Image is W × H pixels of C channels (1: grey, 3: red, green, blue), stored
// row by row, the channels of a pixel side by side: Pix[(y*W+x)*C+c].
type Image struct {
	W, H, C int
	Pix     []uint8
}
