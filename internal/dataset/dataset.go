// Package dataset lists the images of a data set and their labels. It decodes
// nothing: an item is the path of a file, or pixels that were stored as they
// are.
//
// [Open] takes
//
//   - "" or "sample": the embedded sample, Fashion-MNIST's 10,000 test images
//     (a folder of that name is ./sample);
//   - "fashion-mnist": Debian's package dataset-fashion-mnist, or a folder of
//     that name;
//   - a folder tree of images, with train/ and test/ (or val/) inside or not, and
//     unlabeled/ beside them, or all of that in a folder of its own;
//   - a folder or a file of CIFAR-10 or CIFAR-100 in its binary version;
//   - a folder or a file of the MNIST family (idx, gzipped or not);
//   - a file that vicreg pack made of one of these.
package dataset

import (
	"fmt"
	"slices"

	"vicreg/internal/imagefile"
)

// Item is one image: a file at Path, an image within a larger file, or pixels.
type Item struct {
	Name   string // below the folder that was opened, with slashes; or file[i]
	Label  int    // index into the data set's classes; -1: none
	Path   string
	Stored Stored
	Image  *imagefile.Image // of an image of a pack its size alone; nil if it must be decoded
}

// Stored is an image within a larger file: of a pack, an archive or a table.
type Stored interface {
	// Hold reads the image, which errors call by name, see [imagefile.Hold]. It may use buf,
	// which grows; the pixels may lie in it.
	Hold(name string, limits imagefile.Limits, buf *[]byte) (imagefile.Image, *imagefile.Held, error)

	// Stat returns the image's size, see [imagefile.Stat].
	Stat(name string, limits imagefile.Limits) (w, h int, err error)

	// Large is [imagefile.Large].
	Large() bool
}

// Held reports whether the item's pixels are in memory.
func (i *Item) Held() bool { return i.Path == "" && i.Stored == nil }

// Encoded reports whether the item must be decoded.
func (i *Item) Encoded() bool { return i.Path != "" || i.Stored != nil && i.Image == nil }

// Hold decodes the item, or takes its pixels from where they are, see [imagefile.Hold].
// The pixels may lie in buf, which grows.
func (i *Item) Hold(limits imagefile.Limits, buf *[]byte) (imagefile.Image, *imagefile.Held, error) {
	switch {
	case i.Path != "":
		return imagefile.Hold(i.Path, limits)
	case i.Stored != nil:
		return i.Stored.Hold(i.Name, limits, buf)
	}
	return *i.Image, &nothing, nil
}

// nothing is what is held of pixels that are in memory anyway.
var nothing imagefile.Held

// Read is Hold for pixels that are the caller's to keep.
func (i *Item) Read(limits imagefile.Limits) (imagefile.Image, error) {
	m, held, err := i.Hold(limits, new([]byte))
	held.Release()
	return m, err
}

// Stat returns the item's size, without decoding it.
func (i *Item) Stat(limits imagefile.Limits) (w, h int, err error) {
	switch {
	case i.Path != "":
		return imagefile.Stat(i.Path, limits)
	case i.Encoded():
		return i.Stored.Stat(i.Name, limits)
	}
	return i.Image.W, i.Image.H, nil
}

// Large reports whether no other image should be in memory beside the item while it is
// decoded.
func (i *Item) Large() bool {
	if i.Path != "" {
		return imagefile.Large(i.Path)
	}
	return i.Stored != nil && i.Stored.Large()
}

// Dataset is a list of images in a fixed order.
type Dataset struct {
	Name     string // for people
	Items    []Item
	Classes  []string // names; nil if the images have no labels
	Channels int      // 1 to 16; 0: not known before decoding
	About    string   // where images and labels come from, in a line for people

	// Notes say what of the source is not in the data set, and what was guessed
	// of it, a sentence each: other files, rows without a label, parts not used.
	Notes []string

	// Marks say of an image, by its name, and of each class whether it is there, where an
	// image may be of several classes. Labels are then 0 for images that have marks.
	Marks map[string][]int8

	Parted bool // a file of labels says which images train and which score

	sum string // of the packed file that holds the items
}

func (d *Dataset) forgetLabels() {
	d.Classes = nil
	for i := range d.Items {
		d.Items[i].Label = -1
	}
}

// Choose takes the channels of the given numbers, from 1, of images whose pixels are in memory;
// none: all.
func (d *Dataset) Choose(bands []int) error {
	for i := range d.Items {
		if item := &d.Items[i]; item.Held() && len(bands) > 0 {
			m, err := item.Image.Take(bands)
			if err != nil {
				return fmt.Errorf("%s: %w", d.Name, err)
			}
			item.Image = &m
		}
	}
	return nil
}

// Losing returns the classes that have no images left if the items of some names are
// removed.
func (d *Dataset) Losing(without map[string]bool) []string {
	before, after := make([]bool, len(d.Classes)), make([]bool, len(d.Classes))
	for _, item := range d.Items {
		if item.Label >= 0 {
			before[item.Label] = true
			after[item.Label] = after[item.Label] || !without[item.Name]
		}
	}
	var lost []string
	for i, c := range d.Classes {
		if before[i] && !after[i] {
			lost = append(lost, c)
		}
	}
	return lost
}

// Labels returns the label of every item.
func (d *Dataset) Labels() []int {
	labels := make([]int, len(d.Items))
	for i, item := range d.Items {
		labels[i] = item.Label
	}
	return labels
}

// Limit keeps n items spread evenly over the list (item ⌊i·len/n⌋ for each i),
// so that a folder sorted by class keeps all its classes. n ≤ 0, or more than
// there are, keeps all.
func (d *Dataset) Limit(n int) {
	if n <= 0 || n >= len(d.Items) {
		return
	}
	kept := make([]Item, n)
	for i := range kept {
		kept[i] = d.Items[i*len(d.Items)/n]
	}
	d.Items = kept
}

// Remove drops the items of the given indices.
func (d *Dataset) Remove(indices []int) {
	if len(indices) == 0 {
		return
	}
	drop := make(map[int]bool, len(indices))
	for _, i := range indices {
		drop[i] = true
	}
	kept := make([]Item, 0, len(d.Items))
	for i, item := range d.Items {
		if !drop[i] {
			kept = append(kept, item)
		}
	}
	d.Items = kept
}

// KeepLabelled drops the items that have no label and returns how many it
// dropped.
func (d *Dataset) KeepLabelled() int {
	n := len(d.Items)
	d.Items = slices.DeleteFunc(slices.Clone(d.Items), func(item Item) bool { return item.Label < 0 })
	return n - len(d.Items)
}

// unlabelled returns how many items have no label.
func (d *Dataset) unlabelled() int {
	n := 0
	for _, item := range d.Items {
		if item.Label < 0 {
			n++
		}
	}
	return n
}

// sizes returns the number of images of each class.
func (d *Dataset) sizes() []int {
	size := make([]int, len(d.Classes))
	for _, item := range d.Items {
		if item.Label >= 0 {
			size[item.Label]++
		}
	}
	return size
}

// HeldOut ends what is said of data of which a part was held out.
const HeldOut = " held out for scoring"

// split holds out a share of each class for scoring, see Options.Holdout. test
// is nil if nothing is held out; or else d is not to be used any more, since train takes
// over the memory of its items.
func (d *Dataset) split(share float64) (train, test *Dataset) {
	size := d.sizes()
	rest, held := *d, *d
	seen, want, all := make([]int, len(d.Classes)), make([]int, len(d.Classes)), 0
	for i, m := range size {
		const slack = 1e-9 // a share such as 0.1 is not exact
		if share > 0 {
			want[i] = max(min(int(float64(m)*share+slack), m-1), min(1, m-1))
		}
		all += max(0, want[i])
	}
	rest.Items, held.Items = d.Items[:0], make([]Item, 0, all)
	for _, item := range d.Items {
		out := false
		if item.Label >= 0 {
			// Item j of m goes to the test part if the count that is due rises after it.
			m, want, j := size[item.Label], want[item.Label], seen[item.Label]
			out = (j+1)*want/m > j*want/m
			seen[item.Label]++
		}
		if out {
			held.Items = append(held.Items, item)
		} else {
			rest.Items = append(rest.Items, item)
		}
	}
	if len(held.Items) == 0 {
		return d, nil
	}
	clear(d.Items[len(rest.Items):])
	rest.About += fmt.Sprintf("; %d images of them", len(held.Items)) + HeldOut
	return &rest, &held
}
