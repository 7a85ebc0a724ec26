package pretrained

import (
	"context"
	"sync/atomic"

	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// engine takes batches through networks whose weights do not change, one batch at a
// time, whoever sends them. It keeps the weights in the layout that products read, and
// the memory of activations.
type engine struct {
	turn chan struct{} // full while a batch is under way
	pass *nn.Pass
	room []float32    // where features cross to the host
	most atomic.Int64 // items of the largest batch so far
}

func newEngine(arena *nn.Arena) *engine {
	return &engine{turn: make(chan struct{}, 1), pass: nn.NewInferencePass(arena)}
}

// take waits for the engine's turn. The caller must release it.
func (g *engine) take(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil { // both were ready
		g.release()
		return err
	}
	return nil
}

func (g *engine) release() { <-g.turn }

// features appends the features of a batch, as e makes them, to dst.
func (g *engine) features(ctx context.Context, e *Embedder, dst []float32, x *tensor.Tensor) ([]float32, error) {
	if err := g.take(ctx); err != nil {
		return dst, err
	}
	defer g.release()
	if g == e.engine { // the precision of a network in training is its owner's
		e.Encoder.SetPrecision(e.Precision)
	}
	g.pass.Reset()
	y := e.Encoder.Forward(g.pass, x)
	if e.Expander != nil {
		y = e.Expander.Forward(g.pass, y)
	}
	g.most.Store(max(g.most.Load(), int64(x.Shape[0])))
	dst = append(dst, g.pass.Read(y, &g.room)...)
	if e.Head != nil && e.heads != nil {
		*e.heads = append(*e.heads, g.pass.Read(e.Head.Forward(g.pass, y), &g.room)...)
	}
	return dst, nil
}
