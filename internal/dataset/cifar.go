package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// CIFAR's binary version (https://www.cs.toronto.edu/~kriz/cifar.html): records
// of one label byte (CIFAR-100: a coarse one, then the fine one) and the 32 × 32
// red, green and blue planes.
const (
	cifarSide  = 32
	cifarPlane = cifarSide * cifarSide
)

func isCIFAR(names []string) bool {
	return slices.ContainsFunc(names, isBatch) || slices.Contains(names, "test_batch.bin") ||
		slices.Contains(names, "train.bin") && slices.Contains(names, "test.bin")
}

// isBatch reports whether a file is one of CIFAR-10's files to train on. A copy, such as
// "data_batch_1 (1).bin", is not.
func isBatch(name string) bool {
	number, ok := strings.CutPrefix(name, "data_batch_")
	number, ok2 := strings.CutSuffix(number, ".bin")
	return ok && ok2 && number != "" && strings.Trim(number, "0123456789") == ""
}

// missing notes the files that a folder of CIFAR-10 lacks.
func (s *source) missing(dir string, names []string) {
	const whole = 6
	var lacks []string
	for i := range whole {
		name := fmt.Sprintf("data_batch_%d.bin", i+1)
		if i+1 == whole {
			name = "test_batch.bin"
		}
		if !slices.Contains(names, name) {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 0 && slices.ContainsFunc(names, isBatch) {
		s.note("%s is not the whole of CIFAR-10: %s %s not here", show.Name(dir), show.Some(lacks, whole), is(len(lacks)))
	}
}

func openCIFAR(dir string, names []string) (*source, error) {
	s := new(source)
	trainFiles, testFiles, labelBytes := []string{"train.bin"}, []string{"test.bin"}, 2
	if !slices.Contains(names, "train.bin") {
		trainFiles, testFiles, labelBytes = nil, nil, 1
		for _, n := range names { // sorted
			if isBatch(n) {
				trainFiles = append(trainFiles, n)
			}
		}
		s.missing(dir, names)
		if slices.Contains(names, "test_batch.bin") {
			testFiles = []string{"test_batch.bin"}
		}
	}
	s.files = slices.Concat(trainFiles, testFiles)
	if trainFiles == nil {
		trainFiles, testFiles = testFiles, nil
		s.note("%s is all there is of %s, so it trains", trainFiles[0], show.Name(dir))
	}
	var err error
	if s.train, err = s.readCIFAR(dir, trainFiles, labelBytes); err != nil || testFiles == nil {
		return s, err
	}
	if s.test, err = s.readCIFAR(dir, testFiles, labelBytes); err != nil {
		return nil, err
	}
	s.part = testFiles[0]
	s.train.About += fmt.Sprintf("; %s (%d images) scores", testFiles[0], len(s.test.Items))
	return s, nil
}

// openCIFARFile opens one file, of CIFAR-10 or CIFAR-100 by its size.
func openCIFARFile(path string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plain(path, err)
	}
	labelBytes := 1
	if info.Size()%(1+3*cifarPlane) != 0 && info.Size()%(2+3*cifarPlane) == 0 {
		labelBytes = 2
	}
	s := new(source)
	s.train, err = s.readCIFAR(filepath.Dir(path), []string{filepath.Base(path)}, labelBytes)
	return s, err
}

func (s *source) readCIFAR(dir string, files []string, labelBytes int) (*Dataset, error) {
	d := &Dataset{Name: "cifar-10", Channels: 3}
	classes, namesFile := 10, "batches.meta.txt"
	if labelBytes == 2 {
		d.Name = "cifar-100"
		classes, namesFile = 100, "fine_label_names.txt"
	}
	var err error
	if d.Classes, err = s.classNames(filepath.Join(dir, namesFile), classes); err != nil {
		return nil, err
	}
	for _, name := range files {
		path := filepath.Join(dir, name)
		f, size, err := openRegular(path)
		if err != nil {
			return nil, err
		}
		err = d.addCIFAR(f, size, path, name, labelBytes)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	d.About = fmt.Sprintf("%d images of %s in %s, %d classes", len(d.Items), d.Name, filepath.Join(dir, files[0]), classes)
	if len(files) > 1 {
		d.About = fmt.Sprintf("%d images of %s in %d files of %s, %d classes", len(d.Items), d.Name, len(files), dir, classes)
	}
	return d, nil
}

// addCIFAR reads a file of size bytes. It looks at the labels of some records before it
// reads the next, so that a large file of something else is refused at its start.
func (d *Dataset) addCIFAR(f io.Reader, size int64, path, name string, labelBytes int) error {
	record := labelBytes + 3*cifarPlane
	if size == 0 || size%int64(record) != 0 {
		return fmt.Errorf("%s: %d bytes are no whole number of %s records (%d bytes each): the file is cut short or something else; fetch it again", show.Name(path), size, d.Name, record)
	}
	if err := fits(path, float64(size), int(size/int64(record))); err != nil {
		return err
	}
	const chunk = 256 // records
	zeros := zeroRun{path: path}
	data := make([]byte, min(int(size), chunk*record))
	for i, left := 0, int(size); left > 0; left -= len(data) {
		data = data[:min(left, len(data))]
		if _, err := io.ReadFull(f, data); err != nil {
			return plain(path, err)
		}
		if err := zeros.add(data); err != nil {
			return err
		}
		n := len(data) / record
		pix := make([]uint8, n*3*cifarPlane)
		for j := range n {
			r := data[j*record : (j+1)*record]
			label := int(r[labelBytes-1])
			if label >= len(d.Classes) {
				return fmt.Errorf("%s: image %d has label %d, but %s has %d classes: not such a file, or broken", show.Name(path), i, label, d.Name, len(d.Classes))
			}
			planes := r[labelBytes:]
			p := pix[j*3*cifarPlane : (j+1)*3*cifarPlane : (j+1)*3*cifarPlane]
			for k := range cifarPlane {
				p[3*k], p[3*k+1], p[3*k+2] = planes[k], planes[cifarPlane+k], planes[2*cifarPlane+k]
			}
			d.Items = append(d.Items, Item{
				Name: fmt.Sprintf("%s[%d]", name, i), Label: label,
				Image: &imagefile.Image{W: cifarSide, H: cifarSide, C: 3, Pix: p},
			})
			i++
		}
	}
	return nil
}

// classNames reads one name a line. If there is no such file, classes are named by their
// numbers.
func (s *source) classNames(path string, n int) ([]string, error) {
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = fmt.Sprint(i)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return numbers, nil
	}
	f, _, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const most = 64 << 10
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, plain(path, err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			names = append(names, line)
		}
	}
	if len(names) != n {
		text := fmt.Sprintf("%s has %s for %d classes, so they go by numbers", show.Name(path), show.Plural(len(names), "name", "names"), n)
		if !slices.Contains(s.notes, text) {
			s.note("%s", text)
		}
		return numbers, nil
	}
	return names, nil
}
