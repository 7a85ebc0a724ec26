package pretrained

import (
	"context"
	"sync"

	"vicreg/internal/augment"
	"vicreg/internal/device"
	"vicreg/internal/imagefile"
	"vicreg/internal/tensor"
)

// row is the memory in which one image is made ready.
type row struct {
	scratch augment.Scratch
	values  []float32
}

var rows = sync.Pool{New: func() any { return new(row) }}

// Image returns the representation of an image, resized and centre-cropped as
// the model expects. The model must be one of images. The same image gives the same
// bits, however many goroutines embed at the same time.
func (m *Model) Image(ctx context.Context, img imagefile.Image) (y []float32, err error) {
	defer device.Catch(&err)
	if err := m.fitsMemory(1); err != nil {
		return nil, err
	}
	c := m.Channels()
	if img, err = m.Fit(img); err != nil {
		return nil, err
	}
	r := rows.Get().(*row)
	defer rows.Put(r)
	r.values = tensor.Grow(r.values, m.Size*m.Size*c)
	r.scratch.Plain(r.values, img, m.Size, m.norm)
	e := Embedder{Encoder: m.Encoder, engine: m.engine}
	y, err = m.engine.features(ctx, &e, make([]float32, 0, e.Dim()), tensor.From(r.values, 1, m.Size, m.Size, c))
	if err != nil {
		return nil, err
	}
	if i, ok := notFinite(y); ok {
		return nil, errNotFinite("0", i, y[i])
	}
	return y, nil
}
