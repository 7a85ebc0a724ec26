// Package turbo decodes everyday JPEG files with libjpeg-turbo, through its TurboJPEG
// interface. Only a build with the tag native, on Linux, can open the library.
package turbo

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

const (
	// Name is what is said of pictures that the library decoded.
	Name = "libjpeg-turbo"

	// Variable turns the library off if it is "go".
	Variable = "VICREG_JPEG"
)

// EnvError says what is wrong with the value of Variable, which is then passed over.
func EnvError() error {
	if v := os.Getenv(Variable); v != "" && v != "go" {
		return fmt.Errorf("%s is %q, but must be go, which keeps Go's decoder, or not be set", Variable, v)
	}
	return nil
}

// Frame is what a decoder is told of a picture. It is one of the kinds that every version
// of the library knows: grey, or luma with two chroma planes.
type Frame struct {
	W, H int
	Grey bool
	// How many pixels of a row and of a column share a sample of chroma: 1 × 1, 2 × 1,
	// 2 × 2, 1 × 2 or 4 × 1.
	ShareW, ShareH int
}

// Scaled returns the size of a picture that is decoded at 1/by of its own.
func (f Frame) Scaled(by int) (w, h int) { return (f.W + by - 1) / by, (f.H + by - 1) / by }

// errOff says that the library is not wanted.
var errOff = errors.New(Variable + " is go")

// Advice is what to do about a library that was not found, and nothing if nothing helps.
func Advice(err error) string {
	switch {
	case errors.Is(err, errOff):
		return "the environment says " + Variable + "=go"
	case runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64":
		return ""
	case !native:
		return Name + " is faster, in the build with native libraries: go install -tags native vicreg/cmd/vicreg"
	}
	return fmt.Sprintf("%s is faster, but %v; get it by apt-get install libturbojpeg0, or dnf install turbojpeg", Name, err)
}
