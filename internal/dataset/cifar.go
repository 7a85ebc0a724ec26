package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
)

// CIFAR's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records
// of one label byte (CIFAR-100: a coarse one, then the fine one) and the 32 × 32
// red, green and blue planes.
const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
)

func isCIFAR(names []string) bool {
	return slices.Contains(names, "data_batch_1.bin") || slices.Contains(names, "test_batch.bin") ||
		slices.Contains(names, "train.bin") && slices.Contains(names, "test.bin")
}

func openCIFAR(dir string, names []string) (train, test *Dataset, err error) {
	trainFiles, testFiles, labelBytes := []string{"train.bin"}, []string{"test.bin"}, 2
	if !slices.Contains(names, "train.bin") {
		trainFiles, testFiles, labelBytes = nil, nil, 1
		for _, n := range names { // sorted
			if strings.HasPrefix(n, "data_batch_") && strings.HasSuffix(n, ".bin") {
				trainFiles = append(trainFiles, n)
			}
		}
		if slices.Contains(names, "test_batch.bin") {
			testFiles = []string{"test_batch.bin"}
		}
		if trainFiles == nil {
			trainFiles, testFiles = testFiles, nil
		}
	}
	if train, err = readCIFAR(dir, trainFiles, labelBytes); err != nil {
		return nil, nil, err
	}
	if testFiles == nil {
		return train, nil, nil
	}
	if test, err = readCIFAR(dir, testFiles, labelBytes); err != nil {
		return nil, nil, err
	}
	train.About += fmt.Sprintf("; %s (%d images) scores", testFiles[0], len(test.Items))
	return train, test, nil
}

// openCIFARFile opens one file, of CIFAR-10 or CIFAR-100 by its size.
func openCIFARFile(path string) (train, test *Dataset, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, plain(path, err)
	}
	labelBytes := 1
	if info.Size()%(1+3*cifarPlane) != 0 && info.Size()%(2+3*cifarPlane) == 0 {
		labelBytes = 2
	}
	train, err = readCIFAR(filepath.Dir(path), []string{filepath.Base(path)}, labelBytes)
	return train, nil, err
}

func readCIFAR(dir string, files []string, labelBytes int) (*Dataset, error) {
	d := &Dataset{Name: "cifar-10", Channels: 3}
	classes, namesFile := 10, "batches.meta.txt"
	if labelBytes == 2 {
		d.Name = "cifar-100"
		classes, namesFile = 100, "fine_label_names.txt"
	}
	d.Classes = classNamesIn(filepath.Join(dir, namesFile), classes)
	record := labelBytes + 3*cifarPlane
	for _, name := range files {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, plain(path, err)
		}
		if len(data) == 0 || len(data)%record != 0 {
			return nil, fmt.Errorf("%s: %d bytes are no whole number of %s records (%d bytes each): the file is cut short or something else; fetch it again", path, len(data), d.Name, record)
		}
		n := len(data) / record
		pix := make([]uint8, n*3*cifarPlane)
		for i := range n {
			r := data[i*record : (i+1)*record]
			label := int(r[labelBytes-1])
			if label >= classes {
				return nil, fmt.Errorf("%s: image %d has label %d, but %s has %d classes: not such a file, or broken", path, i, label, d.Name, classes)
			}
			planes := r[labelBytes:]
			p := pix[i*3*cifarPlane : (i+1)*3*cifarPlane : (i+1)*3*cifarPlane]
			for j := range cifarPlane {
				p[3*j], p[3*j+1], p[3*j+2] = planes[j], planes[cifarPlane+j], planes[2*cifarPlane+j]
			}
			d.Items = append(d.Items, Item{
				Name: fmt.Sprintf("%s[%d]", name, i), Label: label,
				Image: imagefile.Image{W: cifarSide, H: cifarSide, C: 3, Pix: p},
			})
		}
	}
	d.About = fmt.Sprintf("%d images of %s in %s, %d classes", len(d.Items), d.Name, filepath.Join(dir, files[0]), classes)
	if len(files) > 1 {
		d.About = fmt.Sprintf("%d images of %s in %d files of %s, %d classes", len(d.Items), d.Name, len(files), dir, classes)
	}
	return d, nil
}

// classNamesIn reads one name a line; without such a file classes have numbers
// for names.
func classNamesIn(path string, n int) []string {
	data, err := os.ReadFile(path)
	names := strings.Fields(string(data))
	if err == nil && len(names) == n {
		return names
	}
	names = make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return names
}
