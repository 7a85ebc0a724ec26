package eval

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"testing"
	"time"

	"vicreg/internal/parallel"
)

// marked returns n images of d features and k classes, as testdata/multilabel.py makes them.
func marked(n, d, k int, seed uint64) Marked {
	s := Marked{X: make([]float32, n*d), D: d, Marks: make([]int8, n*k)}
	draw := func() float64 {
		seed = seed*6364136223846793005 + 1442695040888963407
		return float64(seed>>40) / (1 << 24)
	}
	for i := range n {
		marks := s.Marks[i*k : (i+1)*k]
		for c := range marks {
			switch u := draw(); {
			case u < 0.1+0.08*float64(c):
				marks[c] = Present
			case u > 0.97:
				marks[c] = Difficult
			case u > 0.95:
				marks[c] = Unknown
			}
		}
		for j := range d {
			v := draw()
			if marks[j%k] == Present {
				v += 0.25
			}
			s.X[i*d+j] = float32(v)
		}
	}
	return s
}

// Chosen costs, decision values and average precisions of scikit-learn 1.2.1, see
// testdata/multilabel.py.
func TestMachinesMatchScikitLearn(t *testing.T) {
	raw, err := os.ReadFile("testdata/multilabel.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []struct {
		Cost, Cross, AP, AP11 float64
		Decision              []float64
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	got, err := Fit(t.Context(), marked(240, 24, 5, 1), marked(160, 24, 5, 2), 5, Options{})
	if err != nil || len(got.Classes) != 5 {
		t.Fatal(got, err)
	}
	mean := 0.0
	for i, w := range want {
		g := got.Classes[i]
		mean += w.AP / 5
		if g.Cost != w.Cost || math.Abs(g.Chosen-w.Cross) > 1e-6 || math.Abs(g.AP-w.AP) > 1e-9 ||
			math.Abs(g.AP11-w.AP11) > 1e-9 || !g.Settled {
			t.Errorf("class %d: cost %v, cross-validation %v, AP %v, %v, settled %v; want %v, %v, %v, %v", i,
				g.Cost, g.Chosen, g.AP, g.AP11, g.Settled, w.Cost, w.Cross, w.AP, w.AP11)
		}
		for j, v := range w.Decision {
			if math.Abs(g.decision[j]-v) > 2e-5 {
				t.Errorf("class %d: decision value %d is %v, want %v", i, j, g.decision[j], v)
				break
			}
		}
	}
	if math.Abs(got.MAP-mean) > 1e-9 {
		t.Errorf("mAP %v, want %v", got.MAP, mean)
	}
}

func TestMachinesDoNotDependOnWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	var want Machines
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		got, err := Fit(t.Context(), marked(200, 80, 4, 1), marked(90, 80, 4, 2), 4, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if workers == 1 {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: %+v, one: %+v", workers, got, want)
		}
	}
}

// Classes that cannot be fitted or scored are named, those of few images have cost 1.
func TestMachinesOfFewImages(t *testing.T) {
	train, test := marked(60, 12, 5, 1), marked(40, 12, 5, 2)
	for i := range 60 {
		train.Marks[i*5] = Absent
		train.Marks[i*5+1] = Present
		train.Marks[i*5+3] = Absent
	}
	train.Marks[7*5+3] = Present
	for i := range 40 {
		test.Marks[i*5+2] = Difficult
	}
	got, err := Fit(t.Context(), train, test, 5, Options{})
	if err != nil {
		t.Fatal(err)
	}
	left := []UnscoredClass{{0, "", "no image to train on has it"}, {1, "", "every image to train on has it"},
		{2, "", "no image to score on has it"}}
	if !reflect.DeepEqual(got.Left, left) || len(got.Classes) != 2 {
		t.Errorf("left out %v, %d scored", got.Left, len(got.Classes))
	}
	if c := got.Classes[0]; c.Class != 3 || c.Cost != 1 || c.Chosen != 0 || c.Train != 1 {
		t.Errorf("a class of one image: %+v", c)
	}
	for i := range 60 * 5 {
		train.Marks[i] = Unknown
	}
	if _, err := Fit(t.Context(), train, test, 5, Options{}); err == nil {
		t.Error("nothing is known, and it is scored")
	}
}

func TestMachinesStop(t *testing.T) {
	train, test := marked(3000, 300, 8, 1), marked(500, 300, 8, 2)
	for at := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		var stopped time.Time
		_, err := Fit(ctx, train, test, 8, Options{Progress: func(string, int, int) {
			if calls++; calls == at+1 {
				stopped = time.Now()
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || time.Since(stopped) > time.Second {
			t.Errorf("%v after %v", err, time.Since(stopped))
		}
		cancel()
	}
}

func TestAveragePrecision(t *testing.T) {
	for _, c := range []struct {
		scores             []float64
		relevant           []bool
		step, area, eleven float64
	}{
		{[]float64{0.1, 0.4, 0.35, 0.8}, []bool{false, false, true, true}, 5.0 / 6, 5.0 / 6, (6 + 5*2.0/3) / 11},
		{[]float64{1, 1, 0}, []bool{true, false, true}, 0.5*0.5 + 0.5*2/3, 0.5*1 + 0.5*2/3, (6 + 5*2.0/3) / 11},
		{[]float64{3, 2, 1}, []bool{false, false, false}, 0, 0, 0},
		{[]float64{3, 2, 1}, []bool{false, true, true}, 0.5*0.5 + 0.5*2/3, 2.0 / 3, 2.0 / 3},
	} {
		area, eleven := interpolated(c.scores, c.relevant)
		step := averagePrecision(c.scores, c.relevant)
		if math.Abs(step-c.step) > 1e-12 || math.Abs(area-c.area) > 1e-12 || math.Abs(eleven-c.eleven) > 1e-12 {
			t.Errorf("%v %v: %v, %v, %v; want %v, %v, %v", c.scores, c.relevant, step, area, eleven, c.step, c.area, c.eleven)
		}
	}
}
