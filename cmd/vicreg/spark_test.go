package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

func TestSparkline(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   string
	}{
		{[]float64{0, 1}, "▁█"},
		{[]float64{8, 7, 6, 5, 4, 3, 2, 1, 0}, "█▇▆▅▅▄▃▂▁"},
		{[]float64{3, 3, 3}, "▄▄▄"},
		{[]float64{-1e300, 1e300}, "▁█"},
		{[]float64{-1.7e308, 1.7e308}, "▄▄"},
	} {
		if got := sparkline(tt.values); got != tt.want {
			t.Errorf("%v is %s, want %s", tt.values, got, tt.want)
		}
	}
	var h history
	for i := range 20 {
		h.add(runlog.Epoch{Loss: float64(20 - i), Views: &runlog.Sight{R1: float64(i)}})
		h.add(runlog.Epoch{Loss: math.NaN()})
	}
	if got, want := h.String(), "loss █▇▆▆▅▄▄▃▂▂▁▁  views ▁▁▂▃▃▄▅▅▆▇▇█"; len([]rune(got)) != len([]rune(want)) {
		t.Errorf("the last epochs are %s, want as many as %s", got, want)
	}
	if got := new(history).String(); got != "" {
		t.Errorf("no epoch is %q", got)
	}
}

// The live line has sparklines where there are colours and room for them, and is otherwise as
// it was.
func TestSparklineOnTheLiveLine(t *testing.T) {
	for _, tt := range []struct {
		name   string
		colour bool
		lang   string
		width  int
		want   bool
	}{
		{"terminal", true, "en_GB.UTF-8", 140, true},
		{"no locale", true, "", 140, true},
		{"no colour", false, "en_GB.UTF-8", 140, false},
		{"latin 1", true, "de_DE.ISO-8859-1", 140, false},
		{"narrow", true, "en_GB.UTF-8", 50, false},
	} {
		t.Setenv("LC_ALL", tt.lang)
		t.Setenv("LC_CTYPE", "")
		t.Setenv("LANG", "")
		var b bytes.Buffer
		at := time.Unix(0, 0)
		p := &printer{out: &b, width: func() int { return tt.width }, colour: func() bool { return tt.colour }}
		c := &console{out: p, live: true, now: func() time.Time { at = at.Add(time.Second); return at }}
		c.Start(train.Plan{Epochs: 9, Steps: 90, Kind: "images"})
		knn := 0.5
		for e := range 3 {
			knn += 0.1
			c.Epoch(runlog.Epoch{Epoch: e + 1, Loss: 20 - float64(e), KNN: &knn})
		}
		b.Reset()
		c.Step(runlog.Step{Epoch: 4, Step: 31, Loss: 17, Images: 100, Terms: runlog.Terms{{Name: "invariance", Value: 1}}})
		if got := strings.Contains(b.String(), "kNN ▁▅█"); got != tt.want {
			t.Errorf("%s: %q", tt.name, b.String())
		}
		if !strings.Contains(b.String(), "epoch 4/9") {
			t.Errorf("%s: the line is lost: %q", tt.name, b.String())
		}
	}
}
