package dataset

import (
	"fmt"
	"path/filepath"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/pack"
	"vicreg/internal/show"
)

// isPacked reports whether path is a packed data set, or is meant to be one.
func isPacked(path string) bool {
	return strings.EqualFold(filepath.Ext(path), ".pack") || pack.Is(path)
}

// openPacked opens the file that vicreg pack makes of a data set.
func openPacked(path string, o Options) (*source, error) {
	f, err := pack.Open(path)
	if err != nil {
		return nil, err
	}
	if len(f.Train) == 0 {
		return nil, fmt.Errorf("%s: this packed data set has no images to train on", show.Name(path))
	}
	s := &source{train: packedPart(f, f.Train), part: "the part that scores", notes: f.Notes}
	s.train.About = fmt.Sprintf("%d images packed in %s", len(f.Train), path)
	if o.Labels == told {
		if len(f.Test) > 0 {
			s.test = packedPart(f, f.Test)
		}
		return s, nil
	}
	if f.Classes == nil {
		s.train.About += ", no labels"
	} else {
		s.train.About += fmt.Sprintf(", %d classes", len(f.Classes))
		if n := s.train.unlabelled(); n > 0 {
			s.note("%d of %s to train on %s no label", n, images(len(f.Train)), has(n))
		}
	}
	if len(f.Test) == 0 {
		return s, nil
	}
	s.test = packedPart(f, f.Test)
	s.train.About += fmt.Sprintf("; %d more score", len(f.Test))
	if n := s.test.unlabelled(); f.Classes != nil && n == len(f.Test) {
		s.unfit = fmt.Errorf("%s: no image of the part that scores has a label; --labels none trains without scores", show.Name(path))
	} else if f.Classes != nil && n > 0 {
		s.unuse("%d of %s to score on %s no label and %s not used", n, images(len(f.Test)), has(n), is(n))
		for _, item := range s.test.Items {
			if item.Label < 0 {
				s.rest = append(s.rest, item)
			}
		}
		s.test.KeepLabelled()
	}
	return s, nil
}

// packedPart returns one part of a packed data set.
func packedPart(f *pack.File, items []pack.Stored) *Dataset {
	d := &Dataset{Name: f.Name, Classes: f.Classes, Items: make([]Item, len(items)), sum: fmt.Sprintf("%016x", f.Sum)}
	d.Channels = items[0].C
	sizes := make([]imagefile.Image, len(items))
	for i := range items {
		s := &items[i]
		sizes[i] = imagefile.Image{W: s.W, H: s.H, C: s.C, Type: s.Type}
		d.Items[i] = Item{Name: s.Name, Label: s.Label, Stored: s, Image: &sizes[i]}
		if s.C != d.Channels {
			d.Channels = 0
		}
	}
	return d
}
