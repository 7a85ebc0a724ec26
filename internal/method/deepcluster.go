package method

import (
	"fmt"

	"vicreg/internal/batch"
	"vicreg/internal/cluster"
	"vicreg/internal/device"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/loss"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// deepcluster is DeepCluster v2 of Caron et al. 2020: at the start of every epoch
// k-means finds prototypes in a bank of the images' embeddings, and all views of an
// image must find the prototype of its cluster (swav main_deepclusterv2.py; solo-learn
// solo/methods/deepclusterv2.py).
//
// The bank is filled as images come by. So in the first epoch no image has a label and
// nothing is learnt, as in solo-learn; the released code goes through all images once
// before it starts. In that epoch the optimizer leaves the network alone: where the
// gradient is zero, LARS would scale weight decay up to the length of a usual step.
type deepcluster struct {
	core
	loss     loss.DeepCluster
	seed     uint64
	items, d int
	rounds   int // of k-means

	clusters []clustering
	heads    []loss.Head
	banks    [2]*nn.Param // items × d, unit rows by item, of views 1 and 2; zero before an image has come
	fresh    [2][]float32 // embeddings of the step, n × d,
	who      []int        // and whose they are

	kmeans  cluster.KMeans
	seen    []int     // items that have come,
	compact []float32 // and their rows of a bank
	found   []int32   // and their labels
}

// clustering is one of several.
type clustering struct {
	*prototypes
	labels *nn.Param // by item; below 0 before there is one
}

func checkDeepCluster(c recipe.Config, items int) error {
	if items == 0 {
		items = 1 << 30
	}
	items = batch.Steps(items, c.Batch) * c.Batch // in an epoch
	return loss.DeepCluster{Temperature: c.Temperature}.Check(c.Prototypes.Counts, items)
}

func newDeepCluster(c recipe.Config, data Data) (Method, error) {
	m, err := newCore(c, data, true)
	if err != nil {
		return nil, err
	}
	o := &deepcluster{core: m, loss: loss.DeepCluster{Temperature: c.Temperature}, seed: c.Seed,
		items: data.Items, d: m.branches[0].Expander.Dim(), rounds: c.Prototypes.KMeans}
	for i, k := range c.Prototypes.Counts {
		w := newPrototypes(fmt.Sprintf("prototypes.%d.weight", i), k, o.d, len(m.z))
		nn.LinearUniform(stream(c.Seed, prototypeInit, i), w.weight, nil)
		w.normalise()
		w.weight.Freeze() // they do not learn
		labels := nn.NewBuffer(fmt.Sprintf("labels.%d", i), o.items)
		device.Local.Fill(labels.Value, -1)
		o.clusters = append(o.clusters, clustering{w, labels})
	}
	o.heads = make([]loss.Head, len(o.clusters))
	for i, name := range bankNames {
		o.banks[i] = nn.NewBuffer(name, o.items, o.d)
	}
	return o, nil
}

var bankNames = [2]string{"bank.1", "bank.2"}

func (m *deepcluster) State() []*nn.Param {
	all := []*nn.Param{m.banks[0], m.banks[1]}
	for _, c := range m.clusters {
		all = append(all, c.weight, c.labels)
	}
	return all
}

// StartEpoch finds the clusters of an epoch, except the first. Clusterings take turns at
// the banks of both views.
func (m *deepcluster) StartEpoch(epoch int) {
	if epoch == 0 {
		return
	}
	m.seen = vector.FilledRows(m.seen[:0], m.banks[0].Read(), m.d)
	n := len(m.seen)
	m.compact = tensor.Grow(m.compact, n*m.d)
	if cap(m.found) < n {
		m.found = make([]int32, n)
	}
	m.found = m.found[:n]
	for h, c := range m.clusters {
		vector.GatherRows(m.compact, m.banks[h%2].Read(), m.d, m.seen)
		r := rng.New(m.seed, rng.Method, uint64(epoch), uint64(h))
		if _, err := m.kmeans.Run(r, m.compact, n, m.d, c.weight.Value.Host(), m.found, m.rounds); err != nil {
			panic("method: " + err.Error()) // the numbers have been checked
		}
		vector.ScatterInts(c.labels.Value.Host(), m.seen, m.found)
	}
}

func (m *deepcluster) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	for _, p := range m.Params() {
		p.Frozen = b.Epoch == 0
	}
	m.forward(b)
	m.who = append(m.who[:0], m.allItems(b.Items)...)
	for h := range m.clusters {
		c, head := &m.clusters[h], &m.heads[h]
		c.score(m.z, c.read(), m.n)
		head.K, head.Scores, head.DScores = c.k, c.scores, c.scores
		head.Labels = vector.GatherInts(head.Labels[:0], c.labels.Read(), m.who)
	}
	for i := range m.fresh {
		m.fresh[i] = append(m.fresh[i][:0], m.clusters[0].units[i].Data...)
	}
	t := m.loss.Eval(&m.ws, m.heads, m.n)
	for h := range m.clusters {
		c := m.clusters[h]
		c.back(m.dz, nil, c.read(), m.n, h > 0)
	}
	return m.backward(t.Total, runlog.Terms{{Name: "accuracy", Value: t.Accuracy}})
}

func (m *deepcluster) AfterStep(step, total int) {
	for i, bank := range m.banks {
		vector.ScatterRows(bank.Value.Host(), m.fresh[i], m.d, m.who)
	}
}

func init() {
	builders["deepcluster"] = builder{newDeepCluster, checkDeepCluster}
}
