package npy

import (
	"bytes"
	"fmt"
	"io"

	"vicreg/internal/durable"
)

// Written returns the size of a matrix that a [Writer] wrote, from its header alone,
// and an error for every other file.
func Written(path string) (n, d int, err error) {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	text := make([]byte, headSize)
	if _, err := io.ReadFull(f, text); err != nil {
		return 0, 0, fmt.Errorf("%s is too short", path)
	}
	h, _, err := readHeader(bytes.NewReader(text))
	if err != nil {
		return 0, 0, fmt.Errorf("%s is not a readable .npy file: %w", path, err)
	}
	if len(h.shape) != 2 || !bytes.Equal(text, head(h.shape[0], h.shape[1])) {
		return 0, 0, fmt.Errorf("another program wrote %s", path)
	}
	return h.shape[0], h.shape[1], nil
}
