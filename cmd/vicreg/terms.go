package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/loss"
	"vicreg/internal/npy"
	"vicreg/internal/safetensors"
)

// computeLoss computes the loss of a method for what files hold, writes its gradients
// to grad unless that is empty, and prints the rest: the method, how it was computed,
// the sizes, the terms and figures of both branches.
func computeLoss(method string, a loss.Alone, how []loss.Term, set map[string]float64, files []string,
	grad string) error {
	f, path, err := openTensors(files)
	if err != nil {
		return err
	}
	defer f.Close()
	g, err := readPair(f, path, method, &a, grad != "")
	if err != nil {
		return err
	}
	g.Set = set
	if grad != "" {
		g.DZ = [2][]float32{make([]float32, g.N*g.D), make([]float32, g.N*g.D)}
	}
	if err := a.Eval(g); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, t := range g.Terms {
		if v, ok := t.Value.(float64); ok && v-v != 0 {
			return fmt.Errorf("%s: %s is not finite: the embeddings or the constants are too large for float32, or a constant is too small", path, t.Name)
		}
	}
	if err := finiteGradients(g); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range g.More {
		if notFinite(m.Values) >= 0 {
			return fmt.Errorf("%s: %s is not finite: the scores are too large for epsilon", path, m.Name)
		}
	}
	out := ordered{{"method", method}}
	for _, t := range how {
		out = append(out, field{t.Name, t.Value})
	}
	wide := "d"
	if a.Scores {
		wide = "k"
	}
	out = append(out, field{"n", g.N}, field{wide, g.D})
	for _, t := range g.Terms {
		out = append(out, field{t.Name, t.Value})
	}
	for i := range g.Z {
		if a.Scores {
			break
		}
		figures, err := figuresOf(g, i)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, field{fmt.Sprintf("branch%d", i+1), figures})
	}
	if grad != "" {
		shape := []int{g.N, g.D}
		tensors := []safetensors.Tensor{{Name: "dz1", Shape: shape, Data: g.DZ[0]},
			{Name: "dz2", Shape: shape, Data: g.DZ[1]}}
		for _, m := range g.More {
			tensors = append(tensors, safetensors.Tensor{Name: m.Name, Shape: shape, Data: m.Values})
		}
		if err := safetensors.WriteFile(grad, tensors, nil); err != nil {
			return err
		}
	}
	return printJSON(out)
}

// others are tensors as a loss reads them.
type others struct{ tensors }

func (o others) Shape(name string) (shape []int, ok bool) {
	info, ok := o.Info(name)
	return info.Shape, ok
}

// readPair reads z1 and z2 from what is at path, and checks what the loss of a method,
// with gradients or without, needs of them.
func readPair(f tensors, path, method string, a *loss.Alone, grads bool) (*loss.Given, error) {
	var shape []int
	var err error
	names := []string{"z1", "z2"}
	for i, name := range names {
		info, ok := f.Info(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("%s has no tensor %s; the loss reads z1 and z2, n × d each", path, name)
		case len(info.Shape) != 2:
			return nil, fmt.Errorf("%s: %s has shape %v, but must be a matrix n × d", path, name, info.Shape)
		case i == 1 && !slices.Equal(info.Shape, shape):
			return nil, fmt.Errorf("%s: z1 is %d × %d and z2 is %d × %d, but they must be alike", path, shape[0], shape[1], info.Shape[0], info.Shape[1])
		case info.Shape[0] < 2 || info.Shape[1] < 1:
			return nil, fmt.Errorf("%s: %s is %d × %d, but at least 2 rows and 1 column are needed", path, name, info.Shape[0], info.Shape[1])
		}
		shape = info.Shape
	}
	g := &loss.Given{N: shape[0], D: shape[1], Others: others{f}}
	switch {
	case g.N > mostScored && a.Square == loss.Rows:
		return nil, fmt.Errorf("%s: the loss of %s holds all of %d rows against each other, which would take very long; give it %d at most", path, method, g.N, mostScored)
	case g.D > mostCovaried && a.Square == loss.Columns:
		return nil, fmt.Errorf("%s: the loss of %s holds all of %d columns against each other, which would take very long; give it %d at most", path, method, g.D, mostCovaried)
	}
	if need, has := lossMemory(a, g, grads), host.MemoryLimit(); need > has.Bytes {
		return nil, fmt.Errorf("%s: the loss of %s of %d × %d embeddings takes some %s, but %s; give it fewer rows", path, method, g.N, g.D, host.Bytes(need), has)
	}
	var rest [2][]float32
	for i, name := range names {
		if g.Z[i], rest[i], err = split(f, name); err != nil {
			return nil, err
		}
		if at := notFinite(g.Z[i]); at >= 0 {
			return nil, fmt.Errorf("%s: %s holds %v in row %d, column %d (from 0), but embeddings must be finite", path, name, g.Z[i][at], at/g.D, at%g.D)
		}
	}
	if err := narrow(g, rest, a); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// narrow sees to it that the loss of numbers that were written in more than 32 bits is
// right, or returns why it cannot be. rest is what 32 bits leave off of them. Columns whose
// values differ by less than these tell are moved, both by the same offset, where that
// leaves the loss as it is.
func narrow(g *loss.Given, rest [2][]float32, a *loss.Alone) error {
	if rest[0] == nil && rest[1] == nil {
		return nil
	}
	for i, r := range rest {
		if r == nil {
			rest[i] = make([]float32, g.N*g.D)
		}
	}
	if a.Scores {
		for i, r := range rest {
			if at := slices.IndexFunc(r, func(v float32) bool { return math.Abs(float64(v)) > 1e-3 }); at >= 0 {
				return fmt.Errorf("z%d holds the score %v in row %d, column %d (from 0), whose decimals are lost in the 32 bits that it is computed with; take the same off all scores of a row", i+1, g.Z[i][at], at/g.D, at%g.D)
			}
		}
	}
	if !a.Shift {
		return nil // what counts are directions
	}
	const fine, coarse = 1e-5, 1e-3
	for c := range g.D {
		of := func(i int) *npy.Spread {
			s := new(npy.Spread)
			for at := c; at < len(g.Z[i]); at += g.D {
				s.Add(g.Z[i][at], rest[i][at])
			}
			return s
		}
		first := of(0)
		if !first.Coarse(fine) && !of(1).Coarse(fine) {
			continue
		}
		offset := first.Mean()
		for i, z := range g.Z {
			for at := c; at < len(z); at += g.D {
				exact := float64(z[at]) - offset + float64(rest[i][at])
				z[at] = float32(exact)
				rest[i][at] = float32(exact - float64(z[at]))
			}
			if of(i).Coarse(coarse) {
				return fmt.Errorf("column %d (from 0) of z%d differs by less than the 32 bits that it is computed with tell, as it lies far from that of z1; move them closer together", c, i+1)
			}
		}
	}
	return nil
}

// A loss whose work grows with the square of its rows or columns takes no more of them
// than this; no batch has as many.
const (
	mostScored   = 1 << 16
	mostCovaried = 1 << 17
)

// lossMemory reckons the bytes that a loss takes of what is given, the figures of the
// embeddings' spectrum included.
func lossMemory(a *loss.Alone, g *loss.Given, grads bool) float64 {
	rows, width := float64(g.N), float64(g.D)
	of := rows * width // values of an embedding
	measured := min(rows, 8192)
	if min(rows, width) > 1024 {
		measured = 1024
	}
	values := 2*of + rows*min(width, 2048) + 4*measured*width + a.Scratch(g.N, g.D, g.Others)
	if grads {
		values += 2 * of
	}
	return 4 * values
}

// notFinite returns where the first value stands that is not finite, or −1.
func notFinite(x []float32) int {
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

// finiteGradients says where a gradient is not finite, if it is not.
func finiteGradients(g *loss.Given) error {
	for i, x := range g.DZ {
		if at := notFinite(x); at >= 0 {
			return fmt.Errorf("the gradient of z%d is %v in row %d, column %d (from 0): the embeddings or the constants are too large for float32; nothing was written", i+1, x[at], at/g.D, at%g.D)
		}
	}
	return nil
}

// figuresOf measures embedding i.
func figuresOf(g *loss.Given, i int) (branchFigures, error) {
	s := eval.NewSpectrum(g.Z[i], g.N, g.D)
	for _, v := range []float64{s.Std, s.Correlation, s.Rank} {
		if v-v != 0 {
			return branchFigures{}, fmt.Errorf("the figures of z%d are not finite: the embeddings are too large for float32", i+1)
		}
	}
	return branchFigures{s.Std, s.Correlation, s.Rank}, nil
}

// branchFigures show whether one branch has collapsed.
type branchFigures struct {
	Std         float64 `json:"std"`         // mean over dimensions
	Correlation float64 `json:"correlation"` // mean absolute, off the diagonal
	Rank        float64 `json:"rank"`        // effective rank
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
