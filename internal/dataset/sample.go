package dataset

import (
	"bytes"
	"embed"
	"fmt"
)

// Fashion-MNIST's test images and labels; see sample/LICENSE.
//
//go:embed sample/t10k-images-idx3-ubyte.gz sample/t10k-labels-idx1-ubyte.gz
var sampleFiles embed.FS

// sampleHoldout makes 8,000 images to train on and 2,000 to score, every fifth
// of each class.
const sampleHoldout = 0.2

// sample opens the embedded data set. Its split never changes.
func sample() (*source, error) {
	const images, labels = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
	read := func(name string) *bytes.Reader {
		data, err := sampleFiles.ReadFile("sample/" + name)
		if err != nil {
			panic(fmt.Sprintf("dataset: %v", err))
		}
		return bytes.NewReader(data)
	}
	d, _, err := readIDXImages(read(images), read(images).Size(), images, images)
	if err != nil {
		return nil, err
	}
	if _, err := d.readIDXLabels(read(labels), read(labels).Size(), labels); err != nil {
		return nil, err
	}
	d.Name, d.Classes = "sample", fashionClasses
	d.About = "the embedded sample: 10000 images of Fashion-MNIST (its test set), 10 classes"
	train, test := d.split(sampleHoldout)
	return &source{train: train, test: test, part: "the part that scores"}, nil
}
