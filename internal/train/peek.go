package train

import (
	"context"
	"errors"
	"fmt"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
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
	o := data.options(data.trainData, &r.config)
	limits, raw := o.Asked()
	kinds, grey, bad := batch.Kinds{Raw: raw}, true, 0
	var places []int
	for _, i := range rng.Perm(len(items), r.config.Seed, rng.Shuffle, 0) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(places) == n || bad > n+100 {
			break
		}
		m, err := items[i].Read(limits)
		if err == nil {
			m, err = batch.Fit(m, r.config.Channels, raw)
		}
		if err != nil {
			if bad++; bad == 1 {
				p.Notes = append(p.Notes, fmt.Sprintf("%s cannot be read; the run leaves such images out and draws others",
					show.Name(items[i].Name)))
			}
			continue
		}
		places = append(places, i)
		p.Images = append(p.Images, Peeked{Name: items[i].Name, Image: m})
		kinds.Add(m.C, m.Plain(), items[i].Name)
		grey = grey && m.C == 1
	}
	if len(p.Images) == 0 {
		return nil, fmt.Errorf("none of %s of %s can be read", show.Count(bad, "image"), data.name())
	}
	many, err := kinds.One(data.name())
	if err != nil {
		return nil, err
	}
	if many > 0 {
		return p, r.peekRaw(ctx, p, places, many)
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

// peekRaw makes the views of images that are no pictures, and pictures of all of them, each
// image and its views by the same Stretch.
func (r *run) peekRaw(ctx context.Context, p *Peek, places []int, channels int) error {
	r.config.Channels, r.config.Data.Values = channels, recipe.Raw
	data := r.corpus.(*images)
	if err := data.measure(ctx, places, &r.config); err != nil {
		return err
	}
	p.Config, p.Notes = r.config, append(p.Notes, leftOut(r.config)...)
	if channels > 3 {
		p.Notes = append(p.Notes, fmt.Sprintf("of %d channels the first three are shown, as red, green and blue", channels))
	}
	norm := augment.NewRawNorm(r.config.Normalize.Mean, r.config.Normalize.Std)
	var s augment.Scratch
	for k := range p.Images {
		at := &p.Images[k]
		stretch := at.Image.Stretch()
		for v, crop := range r.config.Crops() {
			r := rng.New(r.config.Seed, rng.Augment, 0, uint64(places[k]), uint64(v))
			view, drawn := s.RawPicture(r, at.Image, &crop.View, crop.Size, norm)
			at.Views = append(at.Views, DrawnView{drawn, view.Show(stretch)})
		}
		at.Image = at.Image.Show(stretch)
	}
	return nil
}
