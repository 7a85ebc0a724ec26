package eval

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"testing"

	"vicreg/internal/rng"
)

// tallyOracle ranks by sorting.
func tallyOracle(scores []float32, k int, labels []int) (items, right, right5 int, cells map[[2]int]int) {
	cells = map[[2]int]int{}
	for i, label := range labels {
		if label == None {
			continue
		}
		order := make([]int, k)
		for j := range order {
			order[j] = j
		}
		z := scores[i*k : (i+1)*k]
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(z[b], z[a]) })
		items++
		cells[[2]int{label, order[0]}]++
		if order[0] == label {
			right++
		}
		if slices.Contains(order[:min(5, k)], label) {
			right5++
		}
	}
	return items, right, right5, cells
}

func TestTally(t *testing.T) {
	const n, k = 500, 9
	r := rng.New(4)
	scores, labels := make([]float32, n*k), make([]int, n)
	for i := range scores {
		scores[i] = float32(int(r.NormFloat64() * 2)) // many are equal
	}
	for i := range labels {
		labels[i] = i%(k+4) - 2 // Outside, None, classes, and two that were not fitted
	}
	tally := NewTally(k)
	for at := 0; at < n; at += 37 {
		to := min(at+37, n)
		tally.Add(scores[at*k:to*k], labels[at:to])
	}
	o := tally.Outcome()
	items, right, right5, cells := tallyOracle(scores, k, labels)
	if o.Items != items || o.Top1 != float64(right)/float64(items) || *o.Top5 != float64(right5)/float64(items) {
		t.Errorf("%d items, top-1 %v, top-5 %v; want %d, %d, %d", o.Items, o.Top1, *o.Top5, items, right, right5)
	}
	if o.Outside == 0 || len(o.Classes) != k+2 || o.Classes[k].Fitted || o.Classes[k].Right5 != 0 ||
		!o.Classes[k-1].Fitted {
		t.Errorf("%d outside, classes %+v", o.Outside, o.Classes)
	}
	got, diagonal := map[[2]int]int{}, 0
	for _, c := range o.Confusion {
		got[[2]int{c.Class, c.Predicted}] = c.Items
		if c.Class == c.Predicted {
			diagonal += c.Items
		}
	}
	if !reflect.DeepEqual(got, cells) || diagonal != right {
		t.Errorf("confusion %v, want %v", got, cells)
	}
	if five := NewTally(5).Outcome(); five.Top5 != nil {
		t.Errorf("top-5 of five classes: %v", *five.Top5)
	}
}

// A class that no neighbour is of has no place among the first five.
func TestVotesOfNoNeighbour(t *testing.T) {
	train, test := made(70, 12, 7, 1), made(70, 12, 7, 2)
	o := Options{K: 1, Others: []int{70}}
	votes, err := Neighbours(t.Context(), train, test, o)
	if err != nil {
		t.Fatal(err)
	}
	if one := votes[0]; *one.Top5 != one.Top1 {
		t.Errorf("one neighbour: top-1 %v, top-5 %v", one.Top1, *one.Top5)
	}
	if all := votes[1]; !(*all.Top5 > all.Top1) {
		t.Errorf("all vote: top-1 %v, top-5 %v", all.Top1, *all.Top5)
	}
	for i, k := range []int{1, 70} { // each as if alone
		if alone, err := KNN(t.Context(), train, test, Options{K: k}); err != nil || alone != votes[i].Top1 {
			t.Errorf("k=%d: %v among others, %v alone, %v", k, votes[i].Top1, alone, err)
		}
	}
}

// Counts of scikit-learn 1.2.1 of 400 test images: KNeighborsClassifier(k, metric="cosine",
// weights=lambda d: exp((1-d)/0.07)), of whose classes those without a vote do not count, and
// LogisticRegression(C=1, tol=1e-10) after StandardScaler.
func TestCountsMatchScikitLearn(t *testing.T) {
	s, err := Evaluate(t.Context(), made(2500, 9, 7, 1), made(400, 9, 7, 2), Options{K: 1, Others: []int{20, 200}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][2]float64{{141, 141}, {176, 362}, {172, 386}, {199, 394}} {
		o := s.Probed
		if i < 3 {
			o = s.Votes[i]
		}
		if math.Abs(400*o.Top1-want[0]) > 1.01 || math.Abs(400**o.Top5-want[1]) > 1.01 {
			t.Errorf("%d: %.1f and %.1f are right, want %v", i, 400*o.Top1, 400**o.Top5, want)
		}
	}
	for i, want := range []int{29, 29, 25, 33, 30, 33, 20} {
		if got := s.Probed.Classes[i].Right; got < want-1 || got > want+1 {
			t.Errorf("class %d: %d right, want %d", i, got, want)
		}
	}
}
