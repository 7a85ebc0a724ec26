package pretrained

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/eval"
	"vicreg/internal/imagefile"
)

// coloured holds n images of 24 × 24 pixels of two kinds.
func coloured(n int) *batch.Source {
	const side = 24
	d := &dataset.Dataset{Name: "coloured", Classes: []string{"a", "b"}, Channels: 3}
	for i := range n {
		m := imagefile.Image{W: side, H: side, C: 3, Pix: make([]uint8, 3*side*side)}
		for j := range m.Pix {
			m.Pix[j] = uint8(j*(i%2+1)%200 + i*j%50)
		}
		d.Items = append(d.Items, dataset.Item{Name: "x", Label: i % 2, Image: &m})
	}
	return batch.NewSource(d, batch.SourceOptions{Channels: 3})
}

// On a device whose memory the host cannot touch a model embeds, scores and looks as on the
// processor, and leaves nothing behind but itself.
func TestOnDevice(t *testing.T) {
	path, _, _, _ := saved(t)
	m, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := far.New()
	defer d.Close()
	on, err := m.On(d)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := m.On(d); again != on {
		t.Error("a model is taken to a device twice")
	}
	if same, _ := m.On(nil); same != m {
		t.Error("a model is not on the processor where it was opened")
	}
	s := coloured(26)
	all := func(m *Model) (x []float32, scores Scores, sight Sighting) {
		e := m.Embedder(8, 2)
		e.Expander = m.Expander
		x, err := e.Embed(t.Context(), e.Images(s, nil))
		if err != nil {
			t.Fatal(err)
		}
		untrained, err := m.Untrained()
		if err != nil {
			t.Fatal(err)
		}
		in := e.Images(s, nil)
		if scores, err = e.Score(t.Context(), untrained, in, in, eval.Options{K: 3}, func(string) {}); err != nil {
			t.Fatal(err)
		}
		untrained, _ = m.Untrained()
		o, free, err := e.Of(untrained)
		if err != nil {
			t.Fatal(err)
		}
		defer free()
		views := NewViews(s, nil, []batch.View{{Size: 20}}, 1)
		if sight, err = o.Sight(t.Context(), views); err != nil {
			t.Fatal(err)
		}
		one, err := m.Image(t.Context(), *s.Data().Items[3].Image)
		if err != nil {
			t.Fatal(err)
		}
		return append(x, one...), scores, sight
	}
	near, nearScores, nearSight := all(m)
	farX, farScores, farSight := all(on)
	if !slices.Equal(near, farX) || !reflect.DeepEqual(nearScores, farScores) || nearSight != farSight {
		t.Errorf("features equal: %v; %v, %v; %v, %v", slices.Equal(near, farX), nearScores, farScores, nearSight, farSight)
	}
	before := d.Held
	all(on)
	if d.Held != before {
		t.Errorf("%d arrays were left", d.Held-before)
	}

	// It fails once, and works again.
	e := on.Embedder(8, 2)
	calls := d.Calls
	if _, err := e.Embed(t.Context(), e.Images(s, nil)); err != nil {
		t.Fatal(err)
	}
	calls = d.Calls - calls
	d.Fault = errors.New("far: no memory")
	for part := range 10 {
		d.FailAt = d.Calls + 1 + part*calls/10
		if _, err := e.Embed(t.Context(), e.Images(s, nil)); !errors.As(err, new(device.Failure)) {
			t.Errorf("at %d of %d calls: %v", part*calls/10, calls, err)
		}
		d.FailAt = 0
		x, err := e.Embed(t.Context(), e.Images(s, nil))
		if err != nil || len(x) != 26*e.Dim() || math.IsNaN(float64(x[0])) {
			t.Errorf("afterwards: %v", err)
		}
	}
}
