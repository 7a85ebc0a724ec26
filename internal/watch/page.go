package watch

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

//go:embed pages/*.html
var pages embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"bundle":       func(file string) string { return path.Join("/bundle", bundleName, file) },
	"figureColumn": func(i int) int { return i + 6 }, // after those that name the run
}).ParseFS(pages, "pages/*.html"))

// parts are the templates of a run's page that change while it goes on, and the ids of the
// elements that hold them.
var parts = []string{"head", "figures", "warnings", "settings", "tail"}

// cell is a figure with the value that a table is sorted by.
type cell struct {
	Text string
	Sort string
	Wide bool // left out on narrow screens
}

// row is a run in the table.
type row struct {
	ID, Name     string
	State        State
	Live         bool
	Problem      string
	Method, Data string
	Epoch, Of    string
	Done         float64 // of the run, from 0 to 1
	Cells        []cell  // in the order of columns
	Written      int64   // in seconds since 1970; 0: never
	Text         string  // that filters look in
	Warnings     int
	HasMap       bool
}

// column is a column of figures.
type column struct {
	Name, About string
	Wide        bool // left out on narrow screens
}

// figureColumns are the columns of figures, in the order of row.Cells.
var figureColumns = []column{
	{"loss", "mean over the last epoch", true},
	{"views", "share of the views that find the other one of their image first; needs no labels", false},
	{"kNN", "share of the scoring set that its neighbours name right", false},
	{"linear", "accuracy of a linear probe", false},
	{"top 1", "share of the images that the classifier of a fine-tuned run names right", false},
	{"recall", "R@1 of pairs, mean of both ways", true},
	{"rank", "effective rank of the embeddings", false},
	{"std", "of the embeddings, mean over dimensions", true},
	{"images/s", "over the last steps", true},
	{"left", "until the last epoch is done", true},
}

// number is a cell of a number, empty unless there is one.
func number(v *float64, text func(float64) string) cell {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return cell{}
	}
	return cell{Text: text(*v), Sort: strconv.FormatFloat(*v, 'g', 8, 64)}
}

// row describes a run for the table.
func (w *Watcher) row(r *run) row {
	x := row{ID: r.id, Name: r.name(), State: r.state, Live: r.live, Problem: r.trouble(), Method: value(r.params, "method"),
		Data: r.data(), Warnings: r.warned, HasMap: !r.mapAt.IsZero()}
	if !r.written.IsZero() {
		x.Written = r.written.Unix()
	}
	done, of := r.done(), r.epochs()
	x.Epoch = strconv.FormatFloat(math.Floor(done*10)/10, 'g', -1, 64)
	if of > 0 {
		x.Of, x.Done = strconv.Itoa(of), min(1, done/float64(of))
	}
	var loss, rank, std, rate, linear, recall *float64
	knn, top, views := r.knn, r.top, r.views
	if r.step != nil {
		loss, rate = &r.step.Loss, &r.step.Images
	}
	if r.epoch != nil {
		loss = &r.epoch.Loss
		if r.epoch.Embedded() {
			rank, std = &r.epoch.Rank, &r.epoch.EmbeddingStd
		}
		if rate == nil {
			rate = &r.epoch.Images
		}
	}
	if s := r.summary; s != nil {
		if s.KNN != nil {
			knn = s.KNN
		}
		loss, linear, rate = &s.Loss, s.Linear, &s.ImagesPerSecond
		if s.Embedded() {
			rank, std = &s.Rank, &s.EmbeddingStd
		}
		if s.Retrieval != nil {
			mean := (s.Retrieval.AToB.R1 + s.Retrieval.BToA.R1) / 2
			recall = &mean
		}
		if s.Classifier != nil {
			top = &s.Classifier.Top1
		}
		if s.Verdict != nil {
			views = &s.Verdict.Trained.R1
		}
	}
	var left cell
	if l := r.left(); l > 0 {
		left = cell{Text: duration(l), Sort: strconv.Itoa(int(l.Seconds()))}
	}
	x.Cells = []cell{number(loss, figure), number(views, share), number(knn, share), number(linear, share),
		number(top, share), number(recall, share), number(rank, figure), number(std, figure),
		number(rate, figure), left}
	for i := range x.Cells {
		x.Cells[i].Wide = figureColumns[i].Wide
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %s %s", x.Name, x.State, x.Method, x.Data)
	for _, s := range r.params {
		fmt.Fprintf(&text, " %s=%s", s.Key, s.Value)
	}
	const most = 4000
	x.Text = strings.ToLower(text.String())
	x.Text = x.Text[:min(len(x.Text), most)]
	return x
}

// trouble is what of a run's files cannot be read, a sentence.
func (r *run) trouble() string {
	switch {
	case r.problem != "":
		return show.Text(r.problem)
	case r.end.Damaged > 0:
		return show.Text(fmt.Sprintf("%s is damaged: %s, %s", runlog.MetricsFile, show.Count(r.end.Damaged, "line"), r.end.First))
	}
	return ""
}

// about is what the page of the table says beside it.
type about struct {
	Folder string
	Runs   int
	Notes  []string
}

func (w *Watcher) about() about { return about{w.Folder(), len(w.runs), w.notes} }

// table answers with the page of all runs.
func (s *server) table(w http.ResponseWriter, _ *http.Request) error {
	s.look(time.Now())
	s.mu.Lock()
	var rows []row
	for _, r := range s.listed() {
		rows = append(rows, s.row(r))
	}
	data := struct {
		Columns []column
		Rows    []row
		About   about
	}{figureColumns, rows, s.about()}
	s.mu.Unlock()
	return render(w, "table", data)
}

// runPage is what the page of a run shows.
type runPage struct {
	row
	Summary  *runlog.Summary
	Left     string
	Settings []Setting
	Measures []measured
	Scores   []measured
	Lines    []string
	Marks    []drawnMark
	More     int
	Folder   string
	Others   []row
	Trouble  string
}

// measured is a figure of the encoder and of the same one untrained.
type measured struct {
	Name, About, Value, Untrained string
}

// page describes a run for its page.
func (w *Watcher) page(r *run) runPage {
	p := runPage{row: w.row(r), Summary: r.summary, Settings: r.params, Folder: r.dir}
	if l := r.left(); l > 0 {
		p.Left = duration(l)
	}
	for _, line := range r.lines {
		p.Lines = append(p.Lines, show.Text(line))
	}
	if r.full != nil {
		for i := len(r.full.marks) - 1; i >= 0; i-- {
			m := r.full.marks[i]
			p.Marks = append(p.Marks, drawnMark{m.step, show.Text(m.text)})
		}
		p.More = r.full.more
	}
	s := r.summary
	if s == nil {
		return p
	}
	score := func(name, about string, v, before *float64) {
		if v != nil {
			m := measured{Name: name, About: about, Value: share(*v)}
			if before != nil {
				m.Untrained = share(*before)
			}
			p.Scores = append(p.Scores, m)
		}
	}
	score("kNN", "share of the scoring set that its neighbours name right", s.KNN, s.RandomInitKNN)
	score("linear probe", "share that a linear classifier names right", s.Linear, s.RandomInitLinear)
	if b := s.BranchB; b != nil {
		score("kNN, branch b", "of the second branch", b.KNN, b.RandomInitKNN)
		score("linear probe, branch b", "of the second branch", b.Linear, b.RandomInitLinear)
	}
	if c := s.Classifier; c != nil {
		about := fmt.Sprintf("share of the images that the classifier names right; naming always the commonest class %s", share(c.Commonest()))
		score("top 1", about, &c.Top1, nil)
	}
	if t := s.Retrieval; t != nil {
		score("R@1, a to b", "share whose partner is the nearest of the other side", &t.AToB.R1, &t.AToB.Chance1)
		score("R@1, b to a", "likewise, the other way", &t.BToA.R1, &t.BToA.Chance1)
	}
	if v := s.Verdict; v != nil {
		var before *float64
		if v.Untrained != nil {
			before = &v.Untrained.R1
		}
		score("views found", "share of the views that find the other one of their image first", &v.Trained.R1, before)
	}
	if u := s.Unlabelled; u != nil {
		t, b := u.Trained.Representation, u.Untrained.Representation
		add := func(name, about string, v, before float64) {
			p.Measures = append(p.Measures, measured{name, about, figure(v), figure(before)})
		}
		add("RankMe", "effective rank of the representation, not centred; higher is better", t.RankMe, b.RankMe)
		add("LiDAR", "effective rank of what in the representation tells images apart; higher is better", t.LiDAR, b.LiDAR)
		if t.AlphaReQ != nil && b.AlphaReQ != nil {
			add("α-ReQ", "decay of the eigenvalues; near 1 is good", *t.AlphaReQ, *b.AlphaReQ)
		}
		add("alignment", "of views of an image; lower is better", t.Alignment, b.Alignment)
		add("uniformity", "of images on the sphere; lower is better", t.Uniformity, b.Uniformity)
		add("std", "of the representation, mean over dimensions", t.Std, b.Std)
		add("correlation", "of two dimensions of the representation, mean absolute", t.Correlation, b.Correlation)
	}
	return p
}

// run answers with the page of a run.
func (s *server) run(w http.ResponseWriter, req *http.Request) error {
	s.look(time.Now())
	id := req.URL.Query().Get("id")
	if _, ok, err := s.history(id, 16, 0, 0); !ok {
		return fault{http.StatusNotFound, "there is no such run; it may have been moved or removed"}
	} else if err != nil {
		return err
	}
	s.mu.Lock()
	r := s.runs[id]
	if r == nil {
		s.mu.Unlock()
		return fault{http.StatusNotFound, "there is no such run any more"}
	}
	p := s.page(r)
	for _, o := range s.listed() {
		if o != r {
			p.Others = append(p.Others, row{ID: o.id, Name: o.name()})
		}
	}
	s.mu.Unlock()
	return render(w, "run", p)
}

// render answers with a page.
func render(w http.ResponseWriter, name string, data any) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := io.WriteString(w, fragment(name, data))
	return err
}

// figure is a number to three or four digits.
func figure(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return fmt.Sprint(v)
	case a != 0 && (a < 0.001 || a >= 1e6):
		return strconv.FormatFloat(v, 'e', 2, 64)
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// share is a share from 0 to 1 in per cent.
func share(v float64) string { return strconv.FormatFloat(100*v, 'f', 1, 64) + "%" }

// duration is a time in its two largest units.
func duration(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", (s+30)/60)
	case s < 86400:
		return fmt.Sprintf("%d h %02d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s%86400/3600)
}
