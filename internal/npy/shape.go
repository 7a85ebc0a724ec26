package npy

import (
	"bufio"
	"fmt"
	"os"
)

// Matrix returns the size of a matrix as [Writer] writes them, float32 row by row,
// from its header alone.
func Matrix(path string) (n, d int, err error) {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return 0, 0, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	h, _, err := readHeader(bufio.NewReader(f))
	if err != nil {
		return 0, 0, fmt.Errorf("%s is not a readable .npy file: %w", path, err)
	}
	if h.descr != "<f4" || h.fortran || len(h.shape) != 2 {
		return 0, 0, fmt.Errorf("%s is not a matrix of float32, row by row", path)
	}
	return h.shape[0], h.shape[1], nil
}
