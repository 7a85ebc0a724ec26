package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/loss"
	"vicreg/internal/rng"
	"vicreg/internal/safetensors"
)

// rival is a method whose loss the command computes besides VICReg's.
type rival struct {
	constants []constant
	scores    bool // z1 and z2 are scores of prototypes, n × K
	eval      func(in *inputs) error
}

// constant is what --set may change.
type constant struct {
	name  string
	value float64 // unless set
	above float64 // it must be above this
	equal bool    // or equal to it
	whole bool    // it must be a whole number
	most  float64 // it must not be above this; 0: no limit
}

// mostRounds is the most iterations of anything.
const mostRounds = 10_000

var stopGradient = constant{"stop-gradient", 1, 0, true, true, 1}

func temperature(value float64) constant { return constant{name: "temperature", value: value} }

var rivals = map[string]rival{
	"simclr":       {[]constant{temperature(loss.NewSimCLR().Temperature)}, false, (*inputs).simclr},
	"moco-v2":      {[]constant{temperature(loss.NewMoCo().Temperature), stopGradient}, false, (*inputs).mocoV2},
	"moco-v3":      {[]constant{temperature(loss.NewMoCoV3().Temperature), stopGradient}, false, (*inputs).mocoV3},
	"byol":         {[]constant{stopGradient}, false, (*inputs).byol},
	"simsiam":      {[]constant{stopGradient}, false, (*inputs).simsiam},
	"wmse":         {[]constant{{"size", 0, 0, true, true, 0}, {"iterations", 1, 0, false, true, mostRounds}, {"eps", 0, 0, true, false, 0}, {"seed", 0, 0, true, true, 0}}, false, (*inputs).wmse},
	"swav":         {[]constant{temperature(0.1), {name: "epsilon", value: 0.05}, {"iterations", 3, 0, false, true, mostRounds}}, true, (*inputs).swav},
	"deepcluster":  {[]constant{temperature(0.1)}, true, (*inputs).deepcluster},
	"barlow-twins": {[]constant{{"lambda", 0.0051, 0, true, false, 0}, {name: "scale", value: 0.1}, {name: "eps", value: 1e-5}}, false, (*inputs).barlowTwins},
}

// lossMethods returns the names that --method takes.
func lossMethods() []string {
	return append([]string{"vicreg"}, slices.Sorted(maps.Keys(rivals))...)
}

// inputs are what the loss of a rival reads, and what comes of it.
type inputs struct {
	pair
	file tensors
	set  map[string]float64
	ws   loss.Workspace
	dz   [2][]float32 // nil unless wanted

	terms ordered
	more  []safetensors.Tensor // besides dz1 and dz2
}

// parseSettings reads key=value pairs.
func parseSettings(method string, known []constant, given []string) (map[string]float64, error) {
	set := map[string]float64{}
	var names []string
	for _, c := range known {
		set[c.name] = c.value
		names = append(names, c.name)
	}
	for _, s := range given {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usagef("--set %q is not of the form name=value", s)
		}
		key = strings.TrimSuffix(strings.TrimSpace(key), "_")
		at := slices.Index(names, key)
		if at < 0 {
			return nil, usagef("the loss of %s has no constant %q to --set; it has %s", method, key, strings.Join(names, ", "))
		}
		c := known[at]
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
			return nil, usagef("--set %s: %q is not a number", key, text)
		case c.whole && (v != math.Trunc(v) || v > 1<<53):
			return nil, usagef("--set %s=%s is not a whole number", key, text)
		case v < c.above || v == c.above && !c.equal:
			limit := "above"
			if c.equal {
				limit = "at least"
			}
			return nil, usagef("--set %s=%s: it must be %s %v", key, text, limit, c.above)
		case c.most > 0 && v > c.most:
			return nil, usagef("--set %s=%s: it must be at most %v", key, text, c.most)
		}
		set[key] = v
	}
	return set, nil
}

// rivalLoss computes the loss of a rival for what files hold, writes its gradients to
// grad unless that is empty, and prints the rest.
func rivalLoss(method string, files []string, grad string, settings []string) error {
	r := rivals[method]
	set, err := parseSettings(method, r.constants, settings)
	if err != nil {
		return err
	}
	f, path, err := openTensors(files)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := readPair(f, path, method, grad != "")
	if err != nil {
		return err
	}
	in := &inputs{pair: *p, file: f, set: set}
	if grad != "" {
		in.dz = [2][]float32{make([]float32, in.n*in.d), make([]float32, in.n*in.d)}
	}
	if err := r.eval(in); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, t := range in.terms {
		if v, ok := t.value.(float64); ok && (math.IsNaN(v) || math.IsInf(v, 0)) {
			return fmt.Errorf("%s: %s is not finite: the embeddings are too large for float32, or the constants too small", path, t.name)
		}
	}
	if err := in.finiteGradients(in.dz); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, t := range in.more {
		if notFinite(t.Data.([]float32)) >= 0 {
			return fmt.Errorf("%s: %s is not finite: the scores are too large for epsilon", path, t.Name)
		}
	}
	var branches [2]branchFigures
	for i := range branches {
		if r.scores {
			break
		}
		if branches[i], err = in.figures(i); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if grad != "" {
		shape := []int{in.n, in.d}
		out := append([]safetensors.Tensor{{Name: "dz1", Shape: shape, Data: in.dz[0]}, {Name: "dz2", Shape: shape, Data: in.dz[1]}}, in.more...)
		if err := safetensors.WriteFile(grad, out, nil); err != nil {
			return err
		}
	}
	wide := "d"
	if r.scores {
		wide = "k"
	}
	out := ordered{{"method", method}, {"n", in.n}, {wide, in.d}}
	out = append(out, in.terms...)
	if !r.scores {
		for i, name := range []string{"branch1", "branch2"} {
			out = append(out, field{name, branches[i]})
		}
	}
	return printJSON(out)
}

// target returns the gradient of the second embedding, which a stop-gradient leaves 0.
func (in *inputs) target() []float32 {
	if in.set["stop-gradient"] != 0 {
		return nil
	}
	return in.dz[1]
}

func (in *inputs) contrast(t loss.ContrastTerms) {
	in.terms = ordered{{"accuracy", t.Accuracy}, {"positive", t.Positive}, {"total", t.Total}}
}

func (in *inputs) cosine(t loss.CosineTerms) {
	in.terms = ordered{{"cosine", t.Cosine}, {"total", t.Total}}
}

func (in *inputs) simclr() error {
	in.contrast(loss.SimCLR{Temperature: in.set["temperature"]}.Eval(&in.ws, in.z[0], in.z[1], in.n, in.d, in.dz[0], in.dz[1]))
	return nil
}

func (in *inputs) mocoV2() error {
	shape, err := in.matrix("queue", "the keys that queries are held against, d × K")
	if err != nil {
		return err
	}
	if shape[0] != in.d || shape[1] < 1 {
		return fmt.Errorf("queue is %d × %d, but must be d × K, a key in each column, with d = %d as in z1", shape[0], shape[1], in.d)
	}
	columns, err := in.values("queue")
	if err != nil {
		return err
	}
	keys := make([]float32, len(columns)) // K × d
	for i, v := range columns {
		keys[i%shape[1]*in.d+i/shape[1]] = v
	}
	in.contrast(loss.MoCo{Temperature: in.set["temperature"]}.Pair(&in.ws, in.z[0], in.z[1], keys, in.n, in.d, in.dz[0], in.target()))
	return nil
}

func (in *inputs) mocoV3() error {
	in.contrast(loss.MoCoV3{Temperature: in.set["temperature"]}.Pair(&in.ws, in.z[0], in.z[1], in.n, in.d, in.dz[0], in.target()))
	return nil
}

func (in *inputs) byol() error {
	in.cosine(loss.BYOL{}.Pair(&in.ws, in.z[0], in.z[1], in.n, in.d, in.dz[0], in.target()))
	return nil
}

func (in *inputs) simsiam() error {
	in.cosine(loss.SimSiam{}.Pair(&in.ws, in.z[0], in.z[1], in.n, in.d, in.dz[0], in.target()))
	return nil
}

func (in *inputs) barlowTwins() error {
	b := loss.BarlowTwins{Lambda: in.set["lambda"], Scale: in.set["scale"], Eps: in.set["eps"]}
	t := b.Eval(&in.ws, in.z[0], in.z[1], in.n, in.d, in.dz[0], in.dz[1])
	in.terms = ordered{{"invariance", t.Invariance}, {"redundancy", t.Redundancy}, {"total", t.Total}}
	return nil
}

func (in *inputs) wmse() error {
	w := loss.WMSE{Size: int(in.set["size"]), Iterations: int(in.set["iterations"]), Eps: in.set["eps"]}
	if err := w.Check(in.n, in.d); err != nil {
		return err
	}
	var r *rand.Rand
	if w.Size != 0 {
		r = rng.New(uint64(in.set["seed"]), rng.Method)
	}
	dz := in.dz[:]
	if in.dz[0] == nil {
		dz = nil
	}
	t, err := w.Eval(&in.ws, r, in.z[:], in.n, in.d, dz)
	in.terms = ordered{{"cosine", t.Cosine}, {"total", t.Total}}
	return err
}

func (in *inputs) swav() error {
	s := loss.SwAV{Temperature: in.set["temperature"], Epsilon: in.set["epsilon"], Iterations: int(in.set["iterations"])}
	if err := s.Check(in.d, 0, in.n); err != nil {
		return err
	}
	dz := in.dz[:]
	if in.dz[0] == nil {
		dz = nil
	}
	_, has1 := in.file.Info("q1")
	_, has2 := in.file.Info("q2")
	var t loss.SwAVTerms
	from := "sinkhorn"
	switch {
	case has1 != has2:
		return fmt.Errorf("it has one of q1 and q2; give both assignments, or neither to have them computed")
	case has1:
		from = "file"
		var q [2][]float32
		for i, name := range []string{"q1", "q2"} {
			shape, err := in.matrix(name, "assignments, n × K")
			if err != nil {
				return err
			}
			if shape[0] != in.n || shape[1] != in.d {
				return fmt.Errorf("%s is %d × %d, but assignments must be %d × %d, as z1 and z2", name, shape[0], shape[1], in.n, in.d)
			}
			if q[i], err = in.values(name); err != nil {
				return err
			}
			for row := range in.n {
				sum := 0.0
				for _, v := range q[i][row*in.d:][:in.d] {
					sum += float64(v)
				}
				if math.Abs(sum-1) > 1e-3 {
					return fmt.Errorf("row %d of %s (from 0) adds up to %.4g, but an assignment must add up to 1", row, name, sum)
				}
			}
		}
		t = s.EvalAssigned(&in.ws, in.z[:], q, in.n, in.d, dz)
	default:
		t = s.Eval(&in.ws, in.z[:], [2][]float32{}, in.n, in.d, dz)
		for i, name := range []string{"q1", "q2"} {
			q := make([]float32, in.n*in.d)
			s.Assign(&in.ws, q, in.pair.z[i], nil, in.n, in.d)
			in.more = append(in.more, safetensors.Tensor{Name: name, Shape: []int{in.n, in.d}, Data: q})
		}
	}
	in.terms = ordered{{"assignments", from}, {"agreement", t.Agreement}, {"total", t.Total}}
	return nil
}

func (in *inputs) deepcluster() error {
	info, ok := in.file.Info("assignment")
	if !ok {
		return fmt.Errorf("it has no tensor assignment; deepcluster reads z1 and z2, scores n × K, and assignment, the prototype of each image, n")
	}
	if len(info.Shape) != 1 || info.Shape[0] != in.n {
		return fmt.Errorf("assignment has shape %v, but must hold one label for each of the %d rows of z1", info.Shape, in.n)
	}
	wide, err := in.file.Int64("assignment")
	if err != nil {
		return err
	}
	labels := make([]int32, in.n)
	for i, l := range wide {
		if l >= int64(in.d) {
			return fmt.Errorf("assignment holds %d in place %d (from 0), but there are %d prototypes, 0 to %d", l, i, in.d, in.d-1)
		}
		labels[i] = int32(max(l, -1)) // below 0: none
	}
	head := loss.Head{K: in.d, Scores: in.z[:], Labels: labels}
	if in.dz[0] != nil {
		head.DScores = in.dz[:]
	}
	t := loss.DeepCluster{Temperature: in.set["temperature"]}.Eval(&in.ws, []loss.Head{head}, in.n)
	in.terms = ordered{{"accuracy", t.Accuracy}, {"total", t.Total}}
	return nil
}

// matrix returns the shape of a tensor that must be a matrix.
func (in *inputs) matrix(name, what string) ([]int, error) {
	info, ok := in.file.Info(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("it has no tensor %s: %s", name, what)
	case len(info.Shape) != 2:
		return nil, fmt.Errorf("%s has shape %v, but must be a matrix: %s", name, info.Shape, what)
	}
	return info.Shape, nil
}

// values returns a tensor, which must be finite.
func (in *inputs) values(name string) ([]float32, error) {
	x, err := in.file.Float32(name)
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		if v != v || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%s holds %v in place %d (from 0), but must be finite", name, v, i)
		}
	}
	return x, nil
}

// ordered is a JSON object whose fields keep their order.
type ordered []field

type field struct {
	name  string
	value any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, f := range o {
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, "%q:%s", f.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
