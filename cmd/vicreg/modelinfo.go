package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// modelInfo is what a model says of itself that lies in no run's folder.
type modelInfo struct {
	Model  string             `json:"model"` // its file
	Source *pretrained.Source `json:"source,omitempty"`
	Method string             `json:"method"`
	branchInfo
	Size  int       `json:"size"`
	Mean  []float64 `json:"mean"`
	Std   []float64 `json:"std"`
	Raw   bool      `json:"raw,omitempty"`   // of values of files, not of pixels from 0 to 1
	Bands []int     `json:"bands,omitempty"` // of the channels of files
	Notes []string  `json:"notes"`

	meta pretrained.Meta
}

// weights are endings of files of weights, of vicreg's own and of others.
var weights = []string{".safetensors", ".pth", ".pt", ".bin", ".tar", ".ckpt"}

// alone reports whether a path leads to a model without a run: a file, or a folder that
// has one and nothing else of a run.
func alone(path string) bool {
	st, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !st.IsDir() {
		return st.Mode().IsRegular() && slices.Contains(weights, strings.ToLower(filepath.Ext(path)))
	}
	for _, name := range []string{runlog.ConfigFile, runlog.CheckpointFile, runlog.SummaryFile} {
		if _, err := os.Lstat(filepath.Join(path, name)); !errors.Is(err, fs.ErrNotExist) {
			return false // a run, or what is left of one
		}
	}
	_, err = os.Stat(filepath.Join(path, runlog.ModelFile))
	return err == nil
}

func readModel(path string) (*modelInfo, error) {
	m, err := pretrained.Open(path, 0)
	if err != nil {
		return nil, err
	}
	r := &modelInfo{Model: m.Path, Source: m.Source, Method: m.Method, Size: m.Size, Mean: m.Mean, Std: m.Std,
		Raw: m.Raw, Bands: m.Bands,
		Notes: append([]string{}, m.Notes...), meta: m.Meta}
	r.branchInfo = infoOf(m.Meta, m.Encoder, m.Expander)
	return r, nil
}

// infoOf describes a model's networks; the expander may be nil.
func infoOf(meta pretrained.Meta, encoder model.Encoder, expander *model.Expander) branchInfo {
	in := meta.Encoder.Input.Shape
	b := branchInfo{
		Encoder: meta.Encoder.Arch, Input: in, EncoderParameters: model.Count(encoder.Params()),
		Expander: meta.Expander.Widths, Features: encoder.Dim(),
		ForwardFlops: encoder.Flops(append([]int{1}, in...)...),
	}
	if expander != nil {
		b.ExpanderParameters = model.Count(expander.Params())
	}
	return b
}

// list writes numbers with commas between.
func list(v []float64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ", "), "[]")
}

func (r *modelInfo) print() error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s\n", show.Name(r.Model))
	switch m := r.meta; {
	case r.Source != nil:
		fmt.Fprintf(w, "weights of\t%s\n", show.Line(r.Source.String()))
	case m.Steps > 0:
		fmt.Fprintf(w, "trained\t%s on %s, %d images, step %d of %d\n", m.Method, show.Line(m.Dataset), m.Images, m.Step, m.Steps)
	default:
		fmt.Fprintf(w, "trained\t%s on %s, %d images\n", m.Method, show.Line(m.Dataset), m.Images)
	}
	if r.meta.Side != nil {
		fmt.Fprintf(w, "side\t%s\n", r.meta.Side)
	}
	r.network(w, r.meta.Encoder, shapeOf(r.Input))
	if len(r.Mean) > 0 {
		what := "pixels"
		if r.Raw {
			what = "values"
		}
		fmt.Fprintf(w, "%s\tmean %s, std %s\n", what, list(r.Mean), list(r.Std))
		if len(r.Bands) > 0 {
			fmt.Fprintf(w, "bands\t%v of the channels of files\n", r.Bands)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	writeNotes(stdout, r.Notes)
	return nil
}
