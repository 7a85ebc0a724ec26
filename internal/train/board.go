package train

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"strconv"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/eval"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
	"vicreg/internal/tensorboard"
)

// board tells TensorBoard of a run. The run does not depend on it: where its file cannot be
// written it falls silent, after a warning.
type board struct {
	w       *tensorboard.Writer // nil: it is silent
	scalars []tensorboard.Scalar
	tags    []string // of the terms of steps
	flushed time.Time
}

// boardPause is the least time between two writes to the file while an epoch goes on.
const boardPause = 5 * time.Second

// openBoard begins an event file if that is wanted, or if the run had one before.
func (r *run) openBoard() error {
	folder := r.file(tensorboard.Folder)
	if _, err := os.Stat(folder); err != nil && !r.tensorboard {
		return nil
	}
	var err error
	r.board.w, err = tensorboard.Open(folder, r.at.Steps+1)
	return r.boardFailed(err)
}

// boardFailed warns of an error of the board, which falls silent.
func (r *run) boardFailed(err error) error {
	if err == nil {
		return nil
	}
	r.closeBoard()
	return r.warn("TensorBoard is told no more of this run: %s", err)
}

// closeBoard ends the event file. What it could not hold is told where it is written.
func (r *run) closeBoard() {
	if r.board.w != nil {
		r.board.w.Close()
		r.board.w = nil
	}
}

// flushBoard has all that TensorBoard was told stand in its file.
func (r *run) flushBoard() error {
	if r.board.w == nil {
		return nil
	}
	r.board.flushed = time.Now()
	return r.boardFailed(r.board.w.Flush())
}

// boardStep tells TensorBoard of a step.
func (r *run) boardStep(s runlog.Step) error {
	b := &r.board
	if b.w == nil {
		return nil
	}
	b.scalars = append(b.scalars[:0], tensorboard.Scalar{Tag: "step/loss", Value: s.Loss})
	for i, t := range s.Terms {
		b.scalars = append(b.scalars, tensorboard.Scalar{Tag: b.tag(i, t.Name), Value: t.Value})
	}
	b.scalars = append(b.scalars, tensorboard.Scalar{Tag: "step/learning rate", Value: s.LR},
		tensorboard.Scalar{Tag: "step/gradient norm", Value: s.GradNorm},
		tensorboard.Scalar{Tag: "step/images per second", Value: s.Images},
		tensorboard.Scalar{Tag: "step/share of time waited", Value: s.WaitShare})
	b.w.Scalars(s.Step, b.scalars)
	if time.Since(b.flushed) < boardPause {
		return nil
	}
	return r.flushBoard()
}

// tag is the name of a term of a step, which is made once.
func (b *board) tag(i int, name string) string {
	if i == len(b.tags) {
		b.tags = append(b.tags, "step/"+name)
	}
	return b.tags[i]
}

// boardEpoch tells TensorBoard of an epoch.
func (r *run) boardEpoch(e runlog.Epoch) error {
	b := &r.board
	if b.w == nil {
		return nil
	}
	var all []tensorboard.Scalar
	add := func(tag string, v float64) { all = append(all, tensorboard.Scalar{Tag: "epoch/" + tag, Value: v}) }
	add("loss", e.Loss)
	for _, t := range e.Terms {
		add(t.Name, t.Value)
	}
	add("learning rate", e.LR)
	add("images per second", e.Images)
	add("share of time waited", e.WaitShare)
	if len(r.recent) > 0 {
		add("standard deviation", e.EmbeddingStd)
		add("correlation", e.Correlation)
		add("effective rank", e.Rank)
	}
	if e.KNN != nil {
		add("kNN", *e.KNN)
	}
	if e.Views != nil {
		add("views that find each other", e.Views.R1)
		add("effective rank of features", e.Views.Rank)
	}
	if e.Classified != nil {
		add("top-1", e.Classified.Top1)
	}
	b.w.Scalars(e.Step, all)
	for i := range r.recent {
		tag := "embedding/standard deviations"
		if len(r.recent) > 1 {
			tag += ", branch " + branchNames[i]
		}
		b.w.Histogram(e.Step, tag, eval.Deviations(r.recent[i].read(), r.recent[i].rows, r.recent[i].d))
	}
	return r.flushBoard()
}

// shownViews is of how many images TensorBoard is shown the views.
const shownViews = 8

// boardViews shows TensorBoard the views of the first images of a run: a row an image.
func (r *run) boardViews(b *batch.Batch) error {
	if r.board.w == nil || r.at.Steps > 0 {
		return nil
	}
	for i, v := range b.Views {
		sheet := picture(v, r.config.Normalize)
		if sheet == nil {
			continue
		}
		var file bytes.Buffer
		if err := png.Encode(&file, sheet); err != nil {
			return r.boardFailed(err)
		}
		r.board.w.Image(0, viewTag(i), sheet.Rect.Dx(), sheet.Rect.Dy(), file.Bytes())
	}
	return r.flushBoard()
}

func viewTag(i int) string { return "views/" + strconv.Itoa(i+1) }

// picture puts the first images of a view side by side, as they were before they were
// normalised; nil if they are no images.
func picture(v *tensor.Tensor, norm recipe.Normalize) (sheet *image.RGBA) {
	if len(v.Shape) != 4 || v.Shape[3] != 1 && v.Shape[3] != 3 || len(norm.Mean) != v.Shape[3] ||
		len(norm.Std) != v.Shape[3] {
		return nil
	}
	n, h, w, c := min(shownViews, v.Shape[0]), v.Shape[1], v.Shape[2], v.Shape[3]
	sheet = image.NewRGBA(image.Rect(0, 0, n*(w+2)-2, h))
	for i := range n {
		for y := range h {
			for x := range w {
				var p [3]uint8
				for k := range p {
					from := min(k, c-1)
					at := float64(v.Data[((i*h+y)*w+x)*c+from])*norm.Std[from] + norm.Mean[from]
					p[k] = uint8(255*min(max(at, 0), 1) + 0.5)
				}
				sheet.SetRGBA(i*(w+2)+x, y, color.RGBA{p[0], p[1], p[2], 255})
			}
		}
	}
	return sheet
}
