package runlog

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
)

func TestSpectrumRanks(t *testing.T) {
	for n, want := range map[int][]int{0: nil, 1: {1}, 3: {1, 2, 3}} {
		if got := ranks(n); !slices.Equal(got, want) {
			t.Errorf("of %d: %v, want %v", n, got, want)
		}
	}
	for _, n := range []int{31, 32, 33, 64, 512, 1023, 8192} {
		got := ranks(n)
		if len(got) != min(n, mostRanks) || got[0] != 1 || got[len(got)-1] != n || !slices.IsSorted(got) ||
			len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("of %d: %v", n, got)
		}
	}
}

func TestSpectrumInTheLog(t *testing.T) {
	all := make([]float64, 100)
	for i := range all {
		all[i] = 1 / float64(3*(i+1))
	}
	e := Epoch{Event: "epoch", Epoch: 1, Spectrum: NewSpectrum(all)}
	if v := e.Spectrum.Values[0]; v != 0.3333 {
		t.Errorf("the first is %v", v)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var again Epoch
	if err := json.Unmarshal(raw, &again); err != nil || !reflect.DeepEqual(again, e) {
		t.Errorf("%s: %+v, %v", raw, again, err)
	}
	all[0] = math.NaN()
	if NewSpectrum(all) != nil || NewSpectrum(nil) != nil {
		t.Error("a spectrum of what is not finite, or of nothing")
	}
}
