package train

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"vicreg/internal/runlog"
)

// A run ends with a verdict whether it has labels or not, and with the same one
// wherever it was stopped and with any number of workers.
func TestVerdict(t *testing.T) {
	for _, labels := range []string{"auto", "none"} {
		c := config(t)
		c.Data.Labels = labels
		whole, err := pretrain(c, &breaker{})
		if err != nil {
			t.Fatal(err)
		}
		v := whole.Verdict
		if v == nil {
			t.Fatalf("labels %s: no verdict", labels)
		}
		held := 30
		if labels == "none" {
			held = 42
		}
		if v.HeldOut != (labels == "auto") || v.Items != held || math.Abs(v.Chance*float64(held)-1) > 1e-9 {
			t.Errorf("labels %s: judged by %d items, held out %v, chance %v", labels, v.Items, v.HeldOut, v.Chance)
		}
		if v.Untrained == nil || v.Untrained.R1 <= v.Chance || v.Trained == *v.Untrained {
			t.Errorf("labels %s: trained %v, untrained %v", labels, v.Trained, v.Untrained)
		}
		if n := len(v.Trend); n != 2 || v.Trend[n-1].Sight != v.Trained || v.Trend[n-1].Step != whole.Steps ||
			v.Trend[0].Epoch != 1 {
			t.Errorf("labels %s: trend %v of %v", labels, v.Trend, v.Trained)
		}
		u := whole.Unlabelled
		views := 2 * ((127 + held) / held) // of few images more are drawn
		if u == nil || u.Images != held || u.Views != views || u.HeldOut != v.HeldOut || u.Trained.Embedding == nil ||
			u.Untrained.Embedding == nil || u.Trained.Representation.LiDAR == u.Untrained.Representation.LiDAR {
			t.Errorf("labels %s: measured %+v", labels, u)
		}
		if v.Is == "" || v.Text == "" || v.Next == "" {
			t.Errorf("labels %s: %+v", labels, v)
		}
		read, err := runlog.ReadSummary(c.Out)
		if err != nil || !reflect.DeepEqual(read.Verdict, v) {
			t.Errorf("labels %s: the summary has %+v, %v", labels, read.Verdict, err)
		}
		for _, at := range []breaker{{step: 7}, {phase: "looking at views"}, {phase: "looking at views", times: 1}, {phase: "looking at views", times: 2}} {
			c.Out = t.TempDir()
			_, err := pretrain(c, &at)
			if !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			if strings.Contains(err.Error(), fmt.Sprintf("in epoch %d", c.Epochs+1)) {
				t.Errorf("labels %s, stopped in %s: a run of %d epochs was %v", labels, at.phase, c.Epochs, err)
			}
			s, err := Resume(t.Context(), c.Out, Options{Threads: 1, Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(s.Unlabelled, u) {
				t.Errorf("labels %s, stopped at step %d, %s: measured %+v, want %+v", labels, at.step, at.phase, s.Unlabelled, u)
			}
			if !reflect.DeepEqual(s.Verdict, v) {
				t.Errorf("labels %s, stopped at step %d, %s: verdict %+v, want %+v", labels, at.step, at.phase, s.Verdict, v)
			}
		}
	}
}

// What is too few to be told apart is not judged.
func TestNoVerdict(t *testing.T) {
	c := config(t)
	c.Data.Labels, c.Data.Limit, c.Batch = "none", 8, 8
	for _, tt := range []struct {
		limit int
		want  bool
	}{{8, true}, {40, true}} {
		c.Data.Limit, c.Out = tt.limit, t.TempDir()
		s, err := pretrain(c, &breaker{})
		if err != nil {
			t.Fatal(err)
		}
		if (s.Verdict != nil) != tt.want {
			t.Errorf("%d images: verdict %+v", tt.limit, s.Verdict)
		}
	}
}

// The untrained encoder is looked at as the trained one is: with numbers of the run's precision.
func TestUntrainedPrecision(t *testing.T) {
	var rank [2]float64
	for i, precision := range []string{"float32", "bf16"} {
		c := tiny(t, precision)
		c.Epochs = 1
		s, err := pretrain(c, &breaker{})
		if err != nil {
			t.Fatal(err)
		}
		rank[i] = s.Verdict.Untrained.Rank
	}
	if off := math.Abs(rank[1]/rank[0] - 1); off == 0 || off > 0.05 {
		t.Errorf("effective ranks %v", rank)
	}
}
