package method

import (
	"slices"
	"testing"
)

// W-MSE draws its sub-batches anew for every step of every epoch, from the seed.
func TestWhiteningStreams(t *testing.T) {
	c := config(t, "wmse")
	c.Expander, c.Whitening.Size = "16-4", rows/2
	m := build(t, c)
	b := views(0, 0)
	loss := func(epoch, at int) float64 {
		b.Epoch, b.Step = epoch, at
		v, _ := step(t, m, b)
		return v
	}
	first := loss(0, 0)
	if again := loss(0, 0); again != first {
		t.Errorf("one step gives %v, then %v", first, again)
	}
	seen := []float64{first, loss(0, 1), loss(1, 0), loss(1, 1)}
	c.Seed++
	m = build(t, c)
	for i, p := range build(t, config(t, "wmse")).Params() {
		if own := m.Params()[i]; slices.Equal(own.Shape, p.Shape) {
			copy(own.Value.Host(), p.Value.Host()) // the same network but for the last layer
		}
	}
	seen = append(seen, loss(0, 0))
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != 5 {
		t.Errorf("%d of 5 losses differ", n)
	}
}

// Every clustering of every epoch starts from centres of its own; clusterings take
// turns at the banks of both views.
func TestClusteringStreams(t *testing.T) {
	c := config(t, "deepcluster")
	c.Prototypes.Counts = []int{7, 7, 7, 7}
	m := build(t, c).(*deepcluster)
	epoch(t, m, 0)
	centres := func(epoch int) (all [4][]float32) {
		m.StartEpoch(epoch)
		for i, c := range m.clusters {
			all[i] = slices.Clone(c.weight.Value.Host())
		}
		return all
	}
	one, two, again := centres(1), centres(2), centres(1)
	for i := range one {
		if slices.Equal(one[i], two[i]) {
			t.Errorf("clustering %d is the same in two epochs", i)
		}
		if !slices.Equal(one[i], again[i]) {
			t.Errorf("clustering %d of one epoch is another the second time", i)
		}
	}
	slices.Reverse(m.banks[1].Value.Host())
	for i, other := range centres(1) {
		if same := slices.Equal(one[i], other); same != (i%2 == 0) {
			t.Errorf("another bank of the second view leaves clustering %d as it is: %v", i, same)
		}
	}
	copy(m.banks[1].Value.Host(), m.banks[0].Value.Host())
	all := centres(1)
	for i := range all {
		for k := range i {
			if slices.Equal(all[i], all[k]) {
				t.Errorf("clusterings %d and %d of one bank start from the same centres", k, i)
			}
		}
	}
}
