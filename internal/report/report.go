// Package report writes what runs went through and came to as one HTML file each, which
// needs nothing beside it: no script, no request, pictures as inline SVG.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"vicreg/internal/atlas"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Mark is in every page of this package.
const Mark = `<meta name="generator" content="vicreg report">`

// Facts are what the configuration of a run, or a model without one, says of it.
type Facts struct {
	Method  string
	Title   string  // of the method
	Network string  // such as "resnet18, 0.70 million parameters"
	Data    string  // where it comes from
	Epochs  int     // planned
	K       int     // neighbours of kNN
	Target  float64 // standard deviation that the method aims at; 0: none
	Pairs   bool
	Tuned   bool   // it was taught classes
	From    string // file of the weights that it began with; empty: random ones
	Every   int    // of how many steps the log has one
}

// Run is what a report tells.
type Run struct {
	Name    string
	Folder  string
	Model   []Setting // of a model without a run: what it says of itself
	Facts   Facts
	State   string // of a run that has not ended: what is to be said of that
	Config  []byte // its file; nil of a model without a run
	Recipe  string // the built-in recipe that the configuration grew from, and
	Plain   []byte // its file for the method; nil: none is known
	Metrics runlog.Metrics
	Summary *runlog.Summary // nil: it has not ended
	Strange []string        // what in the folder is not this run's, a sentence each
	Made    string          // by which version, when

	Map      template.HTML // the map of the embedding as SVG, empty: there is none
	About    string        // what it shows
	Stale    string        // that it is of other weights than the run has now; empty: it is of those
	Walls    template.HTML // of neighbours
	Clusters template.HTML // with images
	Notes    []string      // on the map
}

//go:embed style.css
var style string

//go:embed run.html
var runText string

var runPage = template.Must(template.New("run").Funcs(functions).Parse(runText))

var functions = template.FuncMap{
	"style": func() template.CSS { return template.CSS(style) },
	"parts": func() template.CSS { return atlas.Style },
	"mark":  func() template.HTML { return Mark },
	"line":  show.Line,
}

// Panel is a chart with what it is and what a good one looks like.
type Panel struct {
	Title, About string
	SVG          template.HTML
}

// most is how many lines of warnings or notes a page holds.
const most = 100

// page is what the template shows.
type page struct {
	*Run
	Story     []string
	Verdict   string // what is: learned, needs longer, …, running
	Is        string
	Rests     string
	Spread    string
	Next      string
	Scores    []Score
	Figures   []Measure
	Panels    []Panel
	Layers    []layer
	Settings  []Setting
	Changes   []Change
	Machine   []Setting
	Sums      []Setting
	Warnings  []runlog.Warning
	Left      int // warnings that are not shown
	Bad       []string
	BadLeft   int
	Subtitle  string
	Collapsed bool
}

// layer is a layer's measures without labels.
type layer struct {
	Name     string
	Measures []Measure
}

// Write writes the report of a run.
func Write(w io.Writer, r *Run) error {
	p := page{Run: r}
	m := &r.Metrics
	if n := len(m.Epochs); n > 0 {
		last := m.Epochs[n-1]
		p.Collapsed = last.Collapsed
		if !r.Facts.Tuned {
			p.Figures = r.figures(last.EmbeddingStd, last.Correlation, last.Rank)
		}
	}
	if r.Config != nil {
		p.Story = r.story()
		p.Settings = Settings(r.Config)
		if r.Plain != nil {
			p.Changes = Differences(p.Settings, Settings(r.Plain))
			for i, c := range p.Changes {
				if _, is := open[c.Key]; is && open[c.Key] == c.Before {
					p.Changes[i].Before = "left open"
				}
			}
		}
	}
	p.Scores = r.scores()
	p.judge()
	p.Panels = r.panels()
	if s := r.Summary; s != nil {
		if u := s.Unlabelled; u != nil {
			p.Layers = append(p.Layers, layer{"Representation, which is kept and used", measures("representation", &u.Trained.Representation, &u.Untrained.Representation)})
			if u.Trained.Embedding != nil {
				p.Layers = append(p.Layers, layer{"Embedding, which the loss sees", measures("embedding", u.Trained.Embedding, u.Untrained.Embedding)})
			}
		}
		p.machine(s)
		p.Bad = s.Bad[:min(len(s.Bad), most)]
		p.BadLeft = s.BadImages - len(p.Bad)
	}
	p.Warnings = distinct(m.Standing())
	if n := len(p.Warnings) - most; n > 0 {
		p.Left, p.Warnings = n, p.Warnings[:most]
	}
	p.Subtitle = r.subtitle()
	var b bytes.Buffer
	if err := runPage.Execute(&b, p); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// open are the values of settings that a recipe leaves to be chosen.
var open = map[string]string{"size": "0", "channels": "0", "batch": "0", "epochs": "0", "warmup": "-1",
	"eval.every": "-1", "encoder.stem": ""}

// distinct drops warnings that repeat the words of an earlier one.
func distinct(all []runlog.Warning) (some []runlog.Warning) {
	seen := map[string]bool{}
	for _, w := range all {
		if !seen[w.Message] {
			seen[w.Message] = true
			some = append(some, w)
		}
	}
	return some
}

// judge fills in the verdict, or what there is in its place.
func (p *page) judge() {
	s := p.Summary
	switch {
	case p.Config == nil:
		p.Verdict, p.Is, p.Rests = "running", "A model without a run.", "There are weights and what they say of themselves, below, and nothing of how they were trained here: no curves and no scores."
		p.Next = "vicreg eval and vicreg map look at what it sees in images of yours."
	case s == nil && p.Collapsed:
		p.Verdict, p.Is, p.Rests = "collapsed", "It has collapsed.", p.State
	case s == nil:
		p.Verdict, p.Is, p.Rests = "running", "It has not ended.", p.State
	case s.Verdict != nil:
		is, figures, _ := strings.Cut(s.Verdict.Text, ":")
		p.Verdict, p.Is, p.Rests = strings.ReplaceAll(s.Verdict.Is, " ", "-"), is+".", sentence(strings.TrimSpace(figures))
		p.Spread = s.Verdict.Spread
		p.Next = sentence(strings.TrimPrefix(s.Verdict.Advice(p.Folder), "Next: "))
	case s.Classifier != nil:
		c := s.Classifier
		p.Verdict, p.Is = taught(c)
		p.Rests = fmt.Sprintf("Of %s that it was not trained on, in %s. Naming always the commonest class would be right for %s of them.",
			show.Count(c.Scored, "image"), show.Plural(len(c.Classes), "class", "classes"), percent(c.Commonest()))
	case s.Collapsed:
		p.Verdict, p.Is = "collapsed", "It collapsed."
	default:
		p.Verdict, p.Is = "running", "It has ended."
		p.Rests = "There is no verdict on it: it was trained by an older version, or there was nothing to judge it by."
	}
}

// taught judges a classifier: it has learned if it is right more often than naming always the
// commonest class would be, by more than two standard errors of both shares.
func taught(c *runlog.Classifier) (verdict, is string) {
	right, blind := percent(c.Top1), c.Commonest()
	switch said(c.Top1, blind, c.Scored) {
	case "within the noise":
		return "learned-little", fmt.Sprintf("It names the class of %s of the images, which is what chance gives.", right)
	case "worse than untrained":
		return "learned-little", fmt.Sprintf("It names the class of %s of the images, fewer than chance gives.", right)
	}
	return "learned", fmt.Sprintf("It names the class of %s of the images.", right)
}

// subtitle is what stands under the name.
func (r *Run) subtitle() string {
	parts := []string{r.Folder}
	if s := r.Summary; s != nil {
		parts = append(parts, s.Method, show.Count(s.Epochs, "epoch"), took(s.Seconds), s.Finished.Format("2 January 2006"))
	} else if r.Config != nil {
		parts = append(parts, r.Facts.Method, fmt.Sprintf("%d of %s", r.done(), show.Count(r.Facts.Epochs, "epoch")))
	}
	return show.Line(strings.Join(parts, " · "))
}

// machine fills in what the run was computed on and what it left.
func (p *page) machine(s *runlog.Summary) {
	add := func(key, value string) { p.Machine = append(p.Machine, Setting{key, value}) }
	device := s.Device
	if device == "" {
		device = "processor"
	}
	add("computed on", device)
	if len(s.Variants) > 0 {
		add("kernels", strings.Join(s.Variants, ", then "))
	}
	add("images a second", thousands(int(math.Round(s.ImagesPerSecond))))
	add("waiting for data", percent(s.WaitShare))
	add("peak memory", fmt.Sprintf("%s MiB", thousands(int(s.PeakRSSMiB))))
	add("parameters of the encoder", thousands(s.Parameters))
	add("vicreg", s.Version)
	add("started", s.Started.Format("2006-01-02 15:04 MST"))
	add("finished", s.Finished.Format("2006-01-02 15:04 MST"))
	for _, name := range append([]string{}, runlog.Files...) {
		if sum, ok := s.Files[name]; ok {
			p.Sums = append(p.Sums, Setting{name, "crc32c " + sum})
		}
	}
}
