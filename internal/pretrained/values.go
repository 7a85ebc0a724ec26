package pretrained

import (
	"context"

	"vicreg/internal/device"
	"vicreg/internal/tensor"
)

// Values returns the features of a batch that is as the encoder reads it. The Embedder
// must be a [Model]'s.
func (e *Embedder) Values(ctx context.Context, x *tensor.Tensor) (y []float32, err error) {
	defer device.Catch(&err)
	if err := e.model.fitsMemory(x.Shape[0]); err != nil {
		return nil, err
	}
	return e.engine.features(ctx, e, nil, x)
}
