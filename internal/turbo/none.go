//go:build !native || !linux || (!amd64 && !arm64)

package turbo

import "errors"

const native = false

var errBuild = errors.New("this build opens no native libraries")

// Found returns the file of the library, or why it is not used.
func Found() (string, error) { return "", errBuild }

// Decoder decodes one picture at a time. This build has none.
type Decoder struct{}

// Take returns a decoder, or nil if there is no library. Give it back.
func Take() *Decoder { return nil }

// Give gives a decoder back. What it returned is no longer valid.
func (d *Decoder) Give() {}

// Planes decodes a picture into its planes.
func (d *Decoder) Planes([]byte, Frame) (planes [3][]byte, strides [3]int, ok bool) {
	panic("turbo: no library")
}

// Pixels decodes a picture at 1/by of its size, grey or red, green and blue, into pix.
func (d *Decoder) Pixels(pix, data []byte, f Frame, by int) bool { panic("turbo: no library") }
