package batch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/dataset"
)

// parts are two parts of a data set of photos, the first of so many images, with
// some broken; indices count over both.
func parts(t *testing.T, n, first int, broken ...int) (train, test *dataset.Dataset) {
	t.Helper()
	train = photos(t, n, broken...)
	test = &dataset.Dataset{Name: train.Name, Items: train.Items[first:]}
	train.Items = train.Items[:first:first]
	return train, test
}

// The tenth that may be bad is one of all images, wherever they lie.
func TestTenthIsOfAllParts(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken []int
		want   string // in the error; empty: none
	}{
		{"one of the eight that score", []int{35}, ""},
		{"four of the eight that score", []int{32, 33, 34, 35}, ""},
		{"four in both", []int{1, 2, 33, 34}, ""},
		{"five in both", []int{1, 2, 33, 34, 35}, "5 of 40 images cannot be read, more than a tenth: "},
		{"five that score", []int{32, 33, 34, 35, 36}, "5 of 40 images cannot be read, more than a tenth: "},
		{"five that train", []int{0, 1, 2, 3, 4}, "at least 5 of 40 images cannot be read, more than a tenth: "},
	} {
		train, test := parts(t, 40, 32, c.broken...)
		tally := &Tally{Total: 40}
		_, err := NewSource(train, SourceOptions{}).Scan(context.Background(), ScanOptions{Tally: tally})
		if err == nil {
			_, err = NewSource(test, SourceOptions{}).Scan(context.Background(), ScanOptions{Tally: tally})
		}
		if left := len(train.Items) + len(test.Items); c.want == "" && (err != nil || left != 40-len(c.broken)) ||
			c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %d images left, %v", c.name, left, err)
		}

		train, test = parts(t, 40, 32, c.broken...)
		_, err = Pack(context.Background(), filepath.Join(t.TempDir(), "a.pack"), train, test, PackOptions{})
		if (err != nil) != (c.want != "") || err != nil &&
			!strings.Contains(err.Error(), strings.TrimPrefix(c.want, "at least ")) {
			t.Errorf("%s: packing: %v", c.name, err)
		}
	}
}

// A part of which nothing is left is an error, however small it is.
func TestNoPartIsLost(t *testing.T) {
	broken := []int{38, 39}
	train, test := parts(t, 40, 38, broken...)
	tally := &Tally{Total: 40}
	if _, err := NewSource(train, SourceOptions{}).Scan(context.Background(), ScanOptions{Tally: tally}); err != nil {
		t.Fatal(err)
	}
	const want = "none of the 2 images to score on can be read: "
	_, err := NewSource(test, SourceOptions{}).Scan(context.Background(), ScanOptions{Tally: tally, Part: "images to score on"})
	if many := new(TooManyBad); !errors.As(err, &many) || !strings.HasPrefix(err.Error(), want) || len(many.Bad) != 2 {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "a.pack")
	train, test = parts(t, 40, 38, broken...)
	if _, err := Pack(context.Background(), path, train, test, PackOptions{}); err == nil ||
		!strings.HasPrefix(err.Error(), want) {
		t.Error(err)
	}
	train, test = parts(t, 40, 2, 0, 1)
	if _, err := Pack(context.Background(), path, train, test, PackOptions{}); err == nil ||
		!strings.HasPrefix(err.Error(), "none of the 2 images to train on can be read: ") {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file is left")
	}
}
