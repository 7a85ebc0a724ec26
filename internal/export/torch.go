package export

import (
	"context"
	"fmt"

	"vicreg/internal/durable"
	"vicreg/internal/torchfile"
)

// torch writes a state dict.
func (w *work) torch(ctx context.Context) error {
	var tensors []torchfile.Tensor
	for _, a := range w.arrays(w.m.Encoder, w.m.Expander) {
		t := torchfile.Tensor{Name: a.name, Shape: a.Shape}
		if a.whole() {
			t.Data = []int64{int64(a.Number())}
		} else {
			t.Data = a.Torch()
		}
		tensors = append(tensors, t)
	}
	f, err := durable.Create(w.path)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", w.path, err)
	}
	defer f.Discard()
	if err := torchfile.Encode(f, tensors, Producer); err != nil {
		return fmt.Errorf("%s cannot be written: %w", w.path, durable.Reason(err))
	}
	return w.place(w.path, f, func() error { return w.checkTorch(ctx, f.Name()) })
}

func (w *work) checkTorch(ctx context.Context, path string) error {
	back, err := torchfile.Open(path)
	if err != nil {
		return unread(err)
	}
	defer back.Close()
	return w.checkArrays(ctx, back.Float32)
}
