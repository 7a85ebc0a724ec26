//go:build native && linux && (amd64 || arm64)

package card

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unsafe"

	"vicreg/internal/cuda"
)

// choices are the algorithms that were found for shapes, or taken from another process,
// in words.
type choices struct {
	where string // the card and the libraries that they are for
	known map[string]string
}

// on writes what choices depend on besides shapes.
func on(c cuda.Card) string {
	return fmt.Sprintf(" on %s, driver %s, cuDNN %s, cuBLAS %s", c.Name, c.Driver, c.CUDNN, c.CUBLAS)
}

func (d *driver) Choices() []cuda.Choice {
	all := make([]cuda.Choice, 0, len(d.found.known))
	for key, value := range d.found.known {
		all = append(all, cuda.Choice{Product: key + d.found.where, Algorithm: value})
	}
	return all
}

// Choose takes the choices of another process. Shapes that this one has met keep theirs.
func (d *driver) Choose(all []cuda.Choice) (taken int) {
	for _, c := range all {
		key, ok := strings.CutSuffix(c.Product, d.found.where)
		if !ok || !sound(c.Algorithm) {
			continue
		}
		if _, met := d.found.known[key]; !met {
			d.found.known[key] = c.Algorithm
		}
		taken++
	}
	return taken
}

// sound says that a choice can be read.
func sound(text string) bool {
	_, product := readHeuristic(text)
	_, convolution := readConvolutionChoice(text)
	return product || convolution
}

// A key in words is all its fields.
func words(key any) string { return fmt.Sprintf("%T%+v", key, key) }

func (c *choices) product(key productKey) (heuristic, bool) {
	return readHeuristic(c.known[words(key)])
}

func (c *choices) keepProduct(key productKey, h heuristic) {
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h))
	c.known[words(key)] = hex.EncodeToString(raw)
}

func readHeuristic(text string) (h heuristic, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != int(unsafe.Sizeof(h)) {
		return heuristic{}, false
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&h)), len(raw)), raw)
	return h, h.workspace <= blasWorkspace
}

func (c *choices) convolution(key convolutionKey) (convolutionChoice, bool) {
	return readConvolutionChoice(c.known[words(key)])
}

func (c *choices) keepConvolution(key convolutionKey, v convolutionChoice) {
	c.known[words(key)] = fmt.Sprintf("%d %d %d", v.algo, v.math, v.workspace)
}

func readConvolutionChoice(text string) (v convolutionChoice, ok bool) {
	n, err := fmt.Sscanf(text, "%d %d %d", &v.algo, &v.math, &v.workspace)
	return v, err == nil && n == 3 && v.workspace >= 0 && v.workspace <= dnnWorkspace
}
