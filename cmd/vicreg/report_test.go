package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

func share(x float64) *float64 { return &x }

var (
	aStep = runlog.Step{Event: "step", Epoch: 2, Step: 15, Loss: 12.5, Images: 260, WaitShare: 0.25,
		Terms: runlog.Terms{{Name: "invariance", Value: 0.125}, {Name: "variance", Value: 0.5}, {Name: "covariance", Value: 3.25}}}
	anEpoch = runlog.Epoch{Event: "epoch", Epoch: 2, Step: 20, Loss: 12.5, Terms: aStep.Terms, Images: 260,
		EmbeddingStd: 0.9, Correlation: 0.05, Rank: 31.5, KNN: share(0.755)}
	aSummary = runlog.Summary{Method: "vicreg", Images: 80, Epochs: 10, Loss: 12.5, Terms: aStep.Terms, Seconds: 62,
		ImagesPerSecond: 260,
		Scores: runlog.Scores{KNN: share(0.844), Linear: share(0.87), RandomInitKNN: share(0.755),
			RandomInitLinear: share(0.767)},
		BadImages: 25, Bad: strings.Split(strings.TrimSpace(strings.Repeat("a.jpg:_empty ", 25)), " ")}
)

// speak runs one scene before a console and returns what it wrote.
func speak(live bool, width int) string {
	var out strings.Builder
	clock := time.Unix(1000, 0)
	p := &printer{out: &out}
	if live {
		p.width = func() int { return width }
	}
	c := &console{out: p, live: live, now: func() time.Time { return clock }, spoken: clock}
	c.Phase("looking at the images")
	c.Start(train.Plan{Folder: "runs/a", About: "80 images", Epochs: 10, Steps: 100, Done: 5, Batch: 8})
	clock = clock.Add(time.Second)
	early := aStep
	early.Step = 6
	c.Step(early)
	clock = clock.Add(59 * time.Second) // a minute for ten steps
	c.Step(aStep)
	c.Epoch(anEpoch)
	c.Warning(runlog.Warning{Message: "looks like collapse"})
	c.Phase("linear probe")
	clock = clock.Add(time.Minute)
	c.Phase("linear probe: 5 of 6")
	c.Done(aSummary)
	return out.String()
}

func TestPlainConsole(t *testing.T) {
	got := speak(false, 0)
	for _, want := range []string{
		"\nepoch 2/10  step 15/100  260 images/s  8m30s left  25% waiting for data  invariance 0.125  variance 0.5  covariance 3.25\n",
		"\nepoch  2/10  loss 12.5  invariance 0.125  variance 0.5  covariance 3.25  std 0.900  corr 0.050  rank 31.5  kNN 75.50%  260 images/s\n",
		"\nwarning: looks like collapse\nlinear probe: 5 of 6\n",
		"\nSkipped 25 images that could not be read; runs/a/summary.json lists them\n",
		"            kNN      75.50%    84.40%\n",
		"   linear probe      76.70%    87.00%\n",
		"\nRun folder: runs/a\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if !strings.HasPrefix(got, "80 images\n") {
		t.Errorf("the plan is not the first line of\n%s", got)
	}
	if strings.Contains(got, "step 6/100") {
		t.Error("a plain line for a step one second into the run")
	}
	if strings.ContainsAny(got, "\r\033█") {
		t.Errorf("terminal codes in plain output:\n%q", got)
	}
}

func TestLiveConsole(t *testing.T) {
	wide, narrow := speak(true, 200), speak(true, 80)
	for _, want := range []string{" 15% ", "epoch 2/10  260 images/s  8m30s left", "linear probe", "█"} {
		if !strings.Contains(wide, want) {
			t.Errorf("no %q in %q", want, wide)
		}
	}
	if !strings.Contains(wide, "invariance 0.125  variance 0.5  covariance 3.25") {
		t.Errorf("terms missing in %q", wide)
	}
	if !strings.Contains(narrow, "inv 0.125  var 0.5  cov 3.25") {
		t.Errorf("short terms missing in %q", narrow)
	}
	if !strings.HasPrefix(wide, "\r  0% "+strings.Repeat("░", 24)+"  looking at the images\033[K\r\033[K80 images\n") {
		t.Errorf("the first phase is missing or stays: %q", wide)
	}
	if strings.Contains(narrow, "waiting") || !strings.Contains(speak(true, 110), "waiting") {
		t.Error("the time waited for data is left out where there is no room, and there alone")
	}
	if !strings.Contains(wide, " 15% █") || !strings.Contains(wide, "  linear probe") {
		t.Errorf("no bar in %q", wide)
	}
	// The bar shrinks to what room a terminal has; the text must leave it some.
	for width := 20; width <= 200; width += 10 {
		for line := range strings.SplitSeq(speak(true, width), "\r") {
			if at := strings.LastIndex(line, "░  epoch"); at >= 0 {
				text, _, _ := strings.Cut(line[at+len("░"):], "\033")
				if most := width - len("100%  "); len(text) > most {
					t.Errorf("%d columns of text in a terminal of %d: %q", len(text), width, text)
				}
			}
		}
	}
	// The line of the epoch stands alone, the live line cleared before it.
	if !strings.Contains(wide, "\r\033[Kepoch  2/10  loss") {
		t.Errorf("the epoch's line does not clear the live one: %q", wide)
	}
}

func TestBadImagesAreListed(t *testing.T) {
	var out strings.Builder
	writeBad(&out, false, aSummary.Bad)
	if got := out.String(); !strings.HasPrefix(got, "\nSkipped 25 images that could not be read:\n  a.jpg:_empty\n") ||
		!strings.HasSuffix(got, "\n  and 5 more\n") || strings.Count(got, "a.jpg") != 20 {
		t.Errorf("got %q", got)
	}
}

func TestNoScores(t *testing.T) {
	var out strings.Builder
	writeScores(&out, runlog.Summary{})
	if got := out.String(); !strings.HasPrefix(got, "No scores") || strings.Contains(got, "%") {
		t.Errorf("got %q", got)
	}
}

func TestJSONLines(t *testing.T) {
	var out strings.Builder
	j := &jsonLines{out: &out}
	j.Start(train.Plan{})
	j.Step(aStep)
	j.Epoch(anEpoch)
	j.Warning(runlog.Warning{Event: "warning", Message: "x"})
	j.Phase("linear probe")
	j.Done(aSummary)
	var events []string
	for line := range strings.Lines(out.String()) {
		var v struct {
			Event      string
			Invariance float64
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if v.Event != "warning" && v.Invariance != 0.125 {
			t.Errorf("%s has no terms: %s", v.Event, line)
		}
		events = append(events, v.Event)
	}
	if got := strings.Join(events, " "); got != "step epoch warning summary" {
		t.Errorf("events %s", got)
	}
}

func TestSilentWarns(t *testing.T) {
	var out strings.Builder
	s := &silent{out: &out}
	s.Epoch(anEpoch)
	s.Warning(runlog.Warning{Message: "x"})
	s.Warning(runlog.Warning{Message: "y", Note: true})
	s.Done(aSummary)
	if out.String() != "warning: x\nnote: y\n" {
		t.Errorf("got %q", out.String())
	}
}
