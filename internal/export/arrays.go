package export

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/host"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/safetensors"
	"vicreg/internal/tensor"
)

// array is a parameter or a running statistic under the name that other programs give it.
type array struct {
	name string
	*nn.Param
}

// tracked ends the names of what counts batches, a whole number.
const tracked = "num_batches_tracked"

func (a array) whole() bool { return strings.HasSuffix(a.name, tracked) }

// arrays lists those of an encoder, and of what comes behind it.
func (w *work) arrays(encoder model.Encoder, head *model.Expander) (all []array) {
	add := func(ps []*nn.Param, name func(string) string) {
		for _, p := range ps {
			all = append(all, array{name(p.Name), p})
		}
	}
	add(encoder.Params(), func(s string) string { return s })
	add(encoder.Buffers(), func(s string) string { return s })
	if w.head == "" {
		return all
	}
	prefix := expanderPrefix
	if w.head == logits {
		prefix = w.classifier() + "."
	}
	name := func(s string) string {
		if w.head == logits && len(head.Layers()) == 1 {
			_, s, _ = strings.Cut(s, ".") // it has no number then
		}
		return prefix + s
	}
	add(head.Params(), name)
	add(head.Buffers(), name)
	return all
}

// classifier is what torchvision and timm call the last layer.
func (w *work) classifier() string {
	switch w.m.Encoder.(type) {
	case *model.ResNet, *model.ResNet1D:
		return "fc"
	case *model.ViT:
		return "head"
	}
	return "classifier"
}

// checkArrays makes the network anew of arrays that were read back, and computes a batch.
func (w *work) checkArrays(ctx context.Context, read func(name string) ([]float32, error)) error {
	encoder, err := model.New(w.m.Meta.Encoder, nil)
	if err != nil {
		return err
	}
	var head *model.Expander
	if w.head != "" {
		if head, err = model.NewHead(encoder.Dim(), w.m.Meta.Expander, nil); err != nil {
			return err
		}
	}
	for _, a := range w.arrays(encoder, head) {
		v, err := read(a.name)
		if err != nil {
			return unread(err)
		}
		if len(v) != a.Value.Len() {
			return unread(fmt.Errorf("%s has %d values, not %d", a.name, len(v), a.Value.Len()))
		}
		a.SetTorch(v)
	}
	_, x := w.batch()
	want, err := w.outputs(ctx, x)
	if err != nil {
		return err
	}
	return w.compare(forward(encoder, head, w.head, x), want)
}

// forward computes the outputs of a network that nobody else uses.
func forward(encoder model.Encoder, head *model.Expander, name string, x *tensor.Tensor) map[string][]float32 {
	pass := nn.NewInferencePass(new(nn.Arena))
	var room []float32
	y := encoder.Forward(pass, x)
	all := map[string][]float32{features: append([]float32(nil), pass.Read(y, &room)...)}
	if head != nil {
		all[name] = append([]float32(nil), pass.Read(head.Forward(pass, y), &room)...)
	}
	return all
}

// safetensors writes arrays with no more metadata than other tools expect, and says who
// wrote them.
func (w *work) safetensors(ctx context.Context) error {
	return w.writeSafetensors(ctx, w.path, w.metadata())
}

func (w *work) writeSafetensors(ctx context.Context, path string, metadata map[string]string) error {
	metadata["format"] = "pt" // PyTorch's order of dimensions: transformers refuses files without it
	metadata["producer"] = Producer + " " + host.Version()
	var tensors []safetensors.Tensor
	scratch := []float32{}
	for _, a := range w.arrays(w.m.Encoder, w.m.Expander) {
		t := safetensors.Tensor{Name: a.name, Shape: a.Shape}
		if a.whole() {
			t.Data = []int64{int64(a.Number())}
		} else {
			if len(scratch) < a.Value.Len() {
				scratch = make([]float32, a.Value.Len())
			}
			t.Data = safetensors.Made{Len: a.Value.Len(), Make: func() []float32 { return a.TorchInto(scratch) }}
		}
		tensors = append(tensors, t)
	}
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	defer f.Discard()
	if err := safetensors.Write(f, tensors, metadata); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, durable.Reason(err))
	}
	return w.place(path, f, func() error { return w.checkSafetensors(ctx, f.Name()) })
}

func (w *work) checkSafetensors(ctx context.Context, path string) error {
	back, err := safetensors.Open(path)
	if err != nil {
		return unread(err)
	}
	defer back.Close()
	return w.checkArrays(ctx, back.Float32)
}

// unread is the error of what cannot be read back.
func unread(err error) error { return fmt.Errorf("what was written cannot be read back: %w", err) }

// place puts a file in place if its check finds nothing.
func (w *work) place(path string, f *durable.File, check func() error) error {
	err := f.Sync()
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, durable.Reason(err))
	}
	if err := check(); err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := f.Commit(); err != nil {
		return fmt.Errorf("%s cannot be written: %w", path, err)
	}
	return nil
}
