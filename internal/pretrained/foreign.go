package pretrained

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/safetensors"
	"vicreg/internal/show"
)

// opened opens the file of a model. That of weights which another program wrote is known,
// and the error says what takes them in.
func opened(path string) (*safetensors.File, error) {
	f, err := safetensors.Open(path)
	if err != nil && torch(path) {
		return nil, fmt.Errorf("%s is a file of PyTorch; %s", show.Name(path), takeIn(path))
	}
	if err != nil {
		return nil, advised(err)
	}
	if err := notOurs(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// notOurs is the error of a file that is no model of vicreg's, or nil.
func notOurs(f *safetensors.File, path string) error {
	switch name := f.Metadata["format"]; {
	case name == format || name == bareFormat || name == firstFormat:
		return nil
	case strings.HasPrefix(name, "vicreg "):
		return fmt.Errorf("%s is not a model that vicreg wrote: its metadata has format %s, not %q", path, quote(name), format)
	}
	return fmt.Errorf("%s is not a model that vicreg wrote, but arrays of another kind; %s", show.Name(path), takeIn(path))
}

func takeIn(path string) string {
	return fmt.Sprintf("vicreg import %s --out FOLDER takes an encoder out of it", show.Name(path))
}

// torch reports whether a file begins as those of PyTorch do: as a zip file, or as a pickle
// of the version that torch.save wrote before, whose first number is its magic one.
func torch(path string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); err != nil {
		return false
	}
	return bytes.Equal(head, []byte("PK\x03\x04")) || bytes.Equal(head, []byte("\x80\x02\x8a\x0a"))
}
