package train

import (
	"context"
	"errors"
	"fmt"

	"vicreg/internal/augment"
	"vicreg/internal/imagefile"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/show"
)

// Peek is what a run that is configured so would look at first.
type Peek struct {
	Config  recipe.Config // with all that it left open
	Dataset string
	Images  []Peeked
	Notes   []string // what is not as in the run, a sentence each
}

// Peeked is an image and the views that a run draws of it in its first epoch.
type Peeked struct {
	Name  string
	Image imagefile.Image
	Views []DrawnView
}

// DrawnView is a view and what was drawn for it.
type DrawnView struct {
	augment.Draw
	Image imagefile.Image
}

// ErrNoImages is the error of a run whose views are not of images.
var ErrNoImages = errors.New("views are of images, and this run learns from pairs")

// LookAhead returns the first n images of the first epoch of a new run and their views, as the
// run draws them as long as no image is bad: those that cannot be read are passed over here.
func LookAhead(ctx context.Context, c recipe.Config, n int) (*Peek, error) {
	if c.Pairs != nil {
		return nil, ErrNoImages
	}
	r, err := prepare(ctx, c, Options{})
	if err != nil {
		return nil, err
	}
	data := r.corpus.(*images)
	p := &Peek{Config: r.config, Dataset: data.name()}
	items := data.trainData.Items
	limits := imagefile.Limits{Pixels: r.config.Data.Pixels()}
	grey, bad := true, 0
	var places []int
	for _, i := range rng.Perm(len(items), r.config.Seed, rng.Shuffle, 0) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(places) == n || bad > n+100 {
			break
		}
		m, err := items[i].Read(limits)
		if err != nil {
			if bad++; bad == 1 {
				p.Notes = append(p.Notes, fmt.Sprintf("%s cannot be read; the run leaves such images out and draws others",
					show.Name(items[i].Name)))
			}
			continue
		}
		places = append(places, i)
		p.Images = append(p.Images, Peeked{Name: items[i].Name, Image: m})
		grey = grey && m.C == 1
	}
	if len(p.Images) == 0 {
		return nil, fmt.Errorf("none of %s of %s can be read", show.Count(bad, "image"), data.name())
	}
	channels := r.config.Channels
	if channels == 0 {
		if channels = 3; grey {
			channels = 1
		}
	}
	var s augment.Scratch
	for k := range p.Images {
		at := &p.Images[k]
		m := at.Image
		if channels == 1 {
			m = m.Convert(1)
		}
		for v, crop := range r.config.Crops() {
			// Keyed as in batch.Source.Train.
			r := rng.New(r.config.Seed, rng.Augment, 0, uint64(places[k]), uint64(v))
			view, drawn := s.Picture(r, m, &crop.View, crop.Size, channels)
			at.Views = append(at.Views, DrawnView{drawn, view})
		}
	}
	return p, nil
}
