package batch

import (
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
)

// twin is a Memory that checks the order of the calls and keeps what was sent.
type twin struct {
	t     *testing.T
	fails int // the call of Send that does, from 1

	mu    sync.Mutex
	held  map[*float32]int
	sent  map[*float32][]float32
	sends int
}

var errFull = errors.New("the card is lost")

func (m *twin) Hold(n int) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := make([]float32, n)
	m.held[&x[0]] = n
	return x
}

func (m *twin) Drop(x []float32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[&x[0]] == 0 {
		m.t.Error("what is not held is dropped")
	}
	delete(m.held, &x[0])
}

func (m *twin) Send(x []float32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[&x[0]] < len(x) || m.sent[&x[0]] != nil {
		m.t.Error("what is not held, or on its way, is sent")
	}
	m.sent[&x[0]] = slices.Clone(x)
	if m.sends++; m.sends == m.fails {
		return errFull
	}
	return nil
}

func (m *twin) Reuse(x []float32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.sent[&x[0]], x) {
		m.t.Error("a batch changed before it was used up")
	}
	delete(m.sent, &x[0])
}

// Batches made in a device's memory are those made in the host's, and are on their way
// before they are lent; at the end nothing is held.
func TestSentAhead(t *testing.T) {
	s := NewSource(noise(20, 12, 10, 3), SourceOptions{Channels: 3})
	c := Config{Order: Order{Seed: 3, Epochs: 2}, Views: pair(8), Batch: 6, Mean: []float64{.5, .4, .3},
		Std: []float64{.2, .2, .2}, Workers: 3}
	m := &twin{t: t, held: map[*float32]int{}, sent: map[*float32][]float32{}}
	far := c
	far.Memory = m
	near, sent := train(t, s, c), train(t, s, far)
	defer near.Close()
	for {
		a, err := near.Next()
		b, errB := sent.Next()
		if err == io.EOF && errB == io.EOF {
			break
		}
		if err != nil || errB != nil {
			t.Fatal(err, errB)
		}
		for v := range a.Views {
			x := b.Views[v].Data
			m.mu.Lock()
			if !slices.Equal(a.Views[v].Data, x) || !slices.Equal(m.sent[&x[0]], x) {
				t.Errorf("step %d, view %d: other values, or not sent", b.Step, v)
			}
			m.mu.Unlock()
		}
	}
	if len(m.held) != 6 || m.sends != 12 {
		t.Errorf("%d views held and %d sent", len(m.held), m.sends)
	}
	sent.Done()
	if len(m.held) != 0 {
		t.Errorf("%d views are held at the end", len(m.held))
	}
}

// A device that fails meanwhile ends the batches with its error.
func TestSendFails(t *testing.T) {
	s := NewSource(noise(40, 12, 10, 1), SourceOptions{Channels: 1})
	m := &twin{t: t, held: map[*float32]int{}, sent: map[*float32][]float32{}, fails: 5}
	l := train(t, s, Config{Order: Order{Epochs: 9}, Views: pair(8), Batch: 6, Mean: []float64{.5}, Std: []float64{.2},
		Workers: 1, Memory: m}) // one worker sends in order
	defer l.Done()
	for n := 0; ; n++ {
		if _, err := l.Next(); err != nil {
			if !errors.Is(err, errFull) || n != 2 {
				t.Errorf("batch %d: %v", n, err)
			}
			return
		}
	}
}
