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
func sample() (train, test *Dataset, err error) {
	const images, labels = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
	read := func(name string) *bytes.Reader {
		data, err := sampleFiles.ReadFile("sample/" + name)
		if err != nil {
			panic(fmt.Sprintf("dataset: %v", err))
		}
		return bytes.NewReader(data)
	}
	d, err := readIDXImages(read(images), images, images)
	if err != nil {
		return nil, nil, err
	}
	if err := d.readIDXLabels(read(labels), labels); err != nil {
		return nil, nil, err
	}
	d.Name, d.Classes = "sample", fashionClasses
	d.About = "the embedded sample: 10000 images of Fashion-MNIST (its test set), 10 classes"
	train, test = d.split(sampleHoldout)
	return train, test, nil
}
