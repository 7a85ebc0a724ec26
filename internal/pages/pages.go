// Package pages lends the memory of large arrays in large pages, where the
// system has them: a processor that walks over hundreds of megabytes then looks
// up one address in five hundred.
package pages

// large is the size of a large page in bytes, on most machines.
const large = 2 << 20

// Floats returns n zeros.
func Floats(n int) []float32 {
	s := make([]float32, n)
	if 4*n >= 2*large {
		enlarge(s)
	}
	return s
}
