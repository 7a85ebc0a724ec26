package eval

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"vicreg/internal/rng"
	"vicreg/internal/runlog"
)

func TestSpread(t *testing.T) {
	const n, d = 4000, 16
	r := rng.New(1)
	all, one := make([]float32, n*d), make([]float32, n*d)
	for i := range all {
		all[i] = float32(r.NormFloat64())
		one[i] = 3
		if i%d == 0 {
			one[i] = 3 + float32(r.NormFloat64())/100
		}
	}
	if rank, std := Spread(all, d); math.Abs(rank-d) > 0.1 || math.Abs(std-1) > 0.02 {
		t.Errorf("in all directions: rank %v, std %v", rank, std)
	}
	if rank, std := Spread(one, d); rank > 1.1 || std > 0.01 {
		t.Errorf("alike: rank %v, std %v", rank, std)
	}
}

func TestLooks(t *testing.T) {
	for _, tt := range []struct{ epochs, images, items, want int }{
		{1, 5000, 256, 1},
		{2, 5000, 256, 2},
		{300, 270, 270, 10},
		{30, 5000, 256, 10},
		{10, 50, 150, 2},
		{8, 5000, 256, 8},
		{100000, 10000000, 256, 10},
	} {
		if got := Looks(tt.epochs, tt.images, tt.items); got != tt.want {
			t.Errorf("%d epochs of %d images, judged by %d: %d looks, want %d", tt.epochs, tt.images, tt.items, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	sight := func(r1, rank, std float64) runlog.Sight { return runlog.Sight{R1: r1, Rank: rank, Std: std} }
	trend := func(r1 ...float64) (all []runlog.Seen) {
		for i, x := range r1 {
			all = append(all, runlog.Seen{Epoch: i + 1, Step: 100 * (i + 1), Sight: runlog.Sight{R1: x}})
		}
		return all
	}
	untrained := sight(0.16, 25, 0.09)
	run := Training{Method: "vicreg", Images: 5000, Batch: 128, Steps: 2000, BaseRate: 0.3}
	short := Training{Method: "vicreg", Images: 270, Batch: 128, Steps: 20, BaseRate: 0.3}
	down := run
	down.Collapsed = true
	scores := func(knn, linear float64) *[2]Scores {
		return &[2]Scores{{KNN: knn, Linear: linear}, {KNN: 0.5, Linear: 0.5}}
	}
	for _, tt := range []struct {
		name   string
		j      Judgement
		is     string
		rising bool
		next   string
	}{
		{"learned", Judgement{Training: run, Mu: 25, Trained: sight(0.6, 110, 0.5),
			Trend: trend(0.3, 0.5, 0.55, 0.58, 0.59, 0.6)}, runlog.Learned, false, "longer gives little"},
		{"learned of few images", Judgement{Training: Training{Images: 270, Batch: 32, Steps: 2000},
			Trained: sight(0.6, 110, 0.5), Trend: trend(0.6, 0.6)}, runlog.Learned, false, "more than 270 images"},
		{"still rising", Judgement{Training: run, Mu: 25, Trained: sight(0.6, 110, 0.5),
			Trend: trend(0.2, 0.3, 0.35, 0.4, 0.5, 0.6)}, runlog.Learned, true, "--resume RUN --epochs 20"},
		{"too short", Judgement{Training: short, Mu: 25, Trained: sight(0.11, 120, 0.3), Trend: trend(0.1, 0.11)},
			runlog.Longer, false, "smaller --batch than 128"},
		{"clear after few steps", Judgement{Training: short, Mu: 25, Trained: sight(0.3, 120, 0.3),
			Trend: trend(0.3, 0.3), Scores: scores(0.6, 0.6)}, runlog.Learned, false, "20 steps are few"},
		{"scores hardly above after few steps", Judgement{Training: short, Mu: 25, Trained: sight(0.14, 120, 0.3),
			Trend: trend(0.14), Scores: scores(0.51, 0.51)}, runlog.Longer, false, "--epochs 500"},
		{"below, but rising", Judgement{Training: run, Mu: 25, Trained: sight(0.17, 120, 0.3),
			Trend: trend(0.05, 0.07, 0.17)}, runlog.Longer, true, "--epochs 20"},
		{"little", Judgement{Training: run, Mu: 25, Trained: sight(0.17, 120, 0.3), Trend: trend(0.17, 0.17, 0.17)},
			runlog.Little, false, "--base-lr"},
		{"alike", Judgement{Training: run, Mu: 25, Trained: sight(0, 0, 0)}, runlog.Collapsed, false, "learning rate"},
		{"no variance", Judgement{Training: down, Mu: 0, Trained: sight(0.1, 35, 0.5)}, runlog.Collapsed, false, "--mu"},
		{"a few directions", Judgement{Training: run, Mu: 25, Trained: sight(0.1, 5, 0.5)}, runlog.Collapsed, false, "learning rate"},
		{"embeddings collapsed, representations did not", Judgement{Training: down, Mu: 25, Trained: sight(0.5, 110, 0.5)}, runlog.Learned, false, ""},
		{"better by scores alone", Judgement{Training: run, Mu: 25, Trained: sight(0.15, 110, 0.5),
			Scores: scores(0.6, 0.5)}, runlog.Learned, false, ""},
		{"worse by scores alone", Judgement{Training: run, Mu: 25, Trained: sight(0.6, 110, 0.5),
			Scores: scores(0.6, 0.4)}, runlog.Little, false, ""},
	} {
		tt.j.Untrained, tt.j.Chance, tt.j.Items, tt.j.Epochs = &untrained, 0.004, 256, 10
		v := Judge(tt.j)
		if v.Is != tt.is || v.Rising != tt.rising || !strings.Contains(v.Next, tt.next) {
			t.Errorf("%s: %s, rising %v, %s", tt.name, v.Is, v.Rising, v.Next)
		}
		spread, ok := map[string]string{"alike": "The features are all but alike: effective rank of the features 0, untrained 25.",
			"no variance":      "The embedding has collapsed: effective rank of the features 35, untrained 25.",
			"a few directions": "The features lie in few directions: effective rank of the features 5, untrained 25.",
			"embeddings collapsed, representations did not": "The embedding has collapsed, the features have not: effective rank of the features 110, untrained 25.",
		}[tt.name]
		if !ok {
			spread = fmt.Sprintf("Nothing has collapsed: effective rank of the features %.0f, untrained 25.", v.Trained.Rank)
		}
		if v.Spread != spread {
			t.Errorf("%s: %s, want %s", tt.name, v.Spread, spread)
		}
		if strings.Contains(v.Text+v.Next, "%!") || v.Trained != tt.j.Trained || *v.Untrained != untrained {
			t.Errorf("%s: %+v", tt.name, v)
		}
	}
	pairs := Judge(Judgement{Training: run, Trained: sight(0.3, 40, 0.6), Chance: 0.01, Items: 100})
	if want := "Nothing has collapsed: effective rank of the features 40."; pairs.Spread != want {
		t.Errorf("pairs: %s, want %s", pairs.Spread, want)
	}
	if pairs.Is != runlog.Learned || pairs.Untrained != nil || !strings.Contains(pairs.Text, "sides of pairs") {
		t.Errorf("pairs: %+v", pairs)
	}
	for items, want := range map[int]string{3: runlog.Longer, 100: runlog.Collapsed} { // 3 have a rank of 2 at most
		got := Judge(Judgement{Training: short, Mu: 25, Trained: sight(0.3, 1.5, 0.6), Chance: 0.3, Items: items})
		if got.Is != want {
			t.Errorf("rank 1.5 of %d: %s, want %s", items, got.Is, want)
		}
	}
}
