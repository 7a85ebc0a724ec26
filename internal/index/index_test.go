package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/parallel"
)

var meta = Meta{
	Model: Model{Path: "runs/a/model.safetensors", Sum: "12345678", Method: "vicreg", Arch: "resnet18", Size: 32,
		Channels: 3, Mean: []float64{0.5, 0.4, 0.3}, Std: []float64{0.2, 0.2, 0.1}, Precision: "float32"},
	Dataset: "photos", Source: "/photos", Root: "/photos", Classes: []string{"cat", "dog"},
}

// made returns items and features in as many clusters as there are images to a hundred.
func made(n, d int) ([]Item, []float32) {
	r := rand.New(rand.NewPCG(7, 0))
	items, x := make([]Item, n), make([]float32, n*d)
	centres := make([]float32, (n/100+1)*d)
	for i := range centres {
		centres[i] = float32(r.NormFloat64())
	}
	for i := range items {
		items[i] = Item{Name: fmt.Sprintf("%05d.jpg", i), Label: i%3 - 1}
		c := r.IntN(len(centres) / d)
		for j := range d {
			x[i*d+j] = centres[c*d+j] + 0.7*float32(r.NormFloat64())
		}
	}
	return items, x
}

// written is a file of such images.
func written(t testing.TB, n, d, lists int) (*File, []float32) {
	t.Helper()
	items, x := made(n, d)
	path := filepath.Join(t.TempDir(), "x.index")
	w, err := Create(path, meta, n, d, lists)
	if err != nil {
		t.Fatal(err)
	}
	y := slices.Clone(x)
	for part := range slices.Chunk(y, 100*d) {
		if err := w.Add(part); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.Close(t.Context(), items, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, x
}

// What was written is read again, with lists and without.
func TestRoundTrip(t *testing.T) {
	for _, lists := range []int{0, 7} {
		f, x := written(t, 1000, 20, lists)
		items, _ := made(1000, 20)
		m := f.Meta
		if fmt.Sprint(m) != fmt.Sprint(meta) || f.D != 20 || f.Lists != lists || !slices.Equal(f.Items, items) {
			t.Errorf("%d lists: %+v, %d values, %d lists, %d items", lists, m, f.D, f.Lists, len(f.Items))
		}
		if !Is(f.Path) || Is(filepath.Dir(f.Path)) {
			t.Error("an index is not known as one")
		}
		if f.Class(0) != "" || f.Class(1) != "cat" || f.Class(2) != "dog" {
			t.Errorf("classes %q %q %q", f.Class(0), f.Class(1), f.Class(2))
		}
		unit(x, 20)
		for _, i := range []int{0, 1, 127, 128, 500, 999} {
			v, err := f.Vector(i)
			if err != nil || !slices.Equal(v, x[i*20:][:20]) {
				t.Fatalf("%d lists: image %d: %v, %v", lists, i, v, err)
			}
		}
	}
}

// slow finds the nearest by the definition.
func slow(x []float32, d int, q []float32, k int) []int {
	cosine := func(i int) float64 {
		var ab, aa, bb float64
		for j, v := range x[i*d:][:d] {
			ab, aa, bb = ab+float64(v)*float64(q[j]), aa+float64(v)*float64(v), bb+float64(q[j])*float64(q[j])
		}
		return ab / math.Sqrt(aa*bb)
	}
	all := spread(len(x)/d, len(x)/d)
	slices.SortStableFunc(all, func(a, b int) int {
		switch ca, cb := cosine(a), cosine(b); {
		case ca > cb:
			return -1
		case ca < cb:
			return 1
		}
		return 0
	})
	return all[:k]
}

func TestExactSearch(t *testing.T) {
	defer parallel.SetWorkers(0)
	const n, d, k = 3000, 33, 12
	flat, x := written(t, n, d, 0)
	lists, _ := written(t, n, d, 11)
	items, y := made(n, d)
	memory := Of(meta, items, y, d)
	queries := make([]float32, 300*d) // more than one pass
	r := rand.New(rand.NewPCG(3, 3))
	for i := range queries {
		queries[i] = x[i] + float32(r.NormFloat64())/2
	}
	want, err := flat.Search(t.Context(), queries, Options{K: k})
	if err != nil {
		t.Fatal(err)
	}
	for q := range 300 {
		for at, i := range slow(x, d, queries[q*d:][:d], k) {
			if want[q][at].Item != i {
				t.Fatalf("query %d: neighbour %d is %d, want %d", q, at, want[q][at].Item, i)
			}
		}
	}
	for what, f := range map[string]*File{"lists": lists, "memory": memory, "file": flat} {
		for _, workers := range []int{1, 3} {
			parallel.SetWorkers(workers)
			got, err := f.Search(t.Context(), queries, Options{K: k, Probe: 11})
			if err != nil {
				t.Fatal(err)
			}
			for q := range got {
				if !slices.Equal(got[q], want[q]) {
					t.Fatalf("%s with %d workers: query %d: %v, want %v", what, workers, q, got[q], want[q])
				}
			}
			alone, err := f.Search(t.Context(), queries[7*d:8*d], Options{K: k, Probe: 11})
			if err != nil || !slices.Equal(alone[0], want[7]) {
				t.Fatalf("%s: a query alone: %v, %v, want %v", what, alone, err, want[7])
			}
		}
	}
}

// Many queries at once find in some of the groups what each finds alone.
func TestManyQueries(t *testing.T) {
	const n, d = 2000, 16
	f, x := written(t, n, d, 30)
	for _, probe := range []int{1, 3, 29} {
		all, err := f.Search(t.Context(), x[:300*d], Options{K: 9, Probe: probe})
		if err != nil {
			t.Fatal(err)
		}
		exact, err := f.Search(t.Context(), x[:300*d], Options{K: 9, Probe: 30})
		if err != nil {
			t.Fatal(err)
		}
		missed := 0
		for q := range all {
			alone, err := f.Search(t.Context(), x[q*d:][:d], Options{K: 9, Probe: probe})
			if err != nil || !slices.Equal(alone[0], all[q]) {
				t.Fatalf("query %d in %d groups: %v alone, %v among others, %v", q, probe, alone, all[q], err)
			}
			if !slices.Equal(all[q], exact[q]) {
				missed++
			}
		}
		if probe == 1 && missed == 0 {
			t.Error("one group has all the nearest")
		}
	}
}

// Of equal cosines the earlier image comes first, wherever it lies in the file.
func TestTies(t *testing.T) {
	const n, d = 700, 8
	x := make([]float32, n*d)
	for i := range n {
		x[i*d+i%2] = float32(i + 1)
	}
	q := make([]float32, d)
	q[1] = 5
	for _, lists := range []int{0, 4} {
		w, err := Create(filepath.Join(t.TempDir(), "x.index"), meta, n, d, lists)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Add(slices.Clone(x)); err != nil {
			t.Fatal(err)
		}
		f, err := w.Close(t.Context(), make([]Item, n), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := f.Search(t.Context(), q, Options{K: 400, Probe: 4})
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range got[0] {
			want := Match{2*i + 1, 1}
			if i >= n/2 {
				want = Match{2 * (i - n/2), 0}
			}
			if m != want {
				t.Fatalf("%d lists: match %d is %+v, want %+v", lists, i, m, want)
			}
		}
		// Zeros are as far from everything.
		got, err = f.Search(t.Context(), make([]float32, d), Options{K: 3, Probe: 4})
		if err != nil || !slices.Equal(got[0], []Match{{0, 0}, {1, 0}, {2, 0}}) {
			t.Errorf("of zeros: %v, %v", got, err)
		}
	}
}

// The groups that a search reads without being told find at least 95% of the ten
// nearest, of images that the file has never seen.
func TestRecall(t *testing.T) {
	const n, d, lists = 20_000, 24, 100
	f, x := written(t, n, d, lists)
	if f.Recall < aim || f.Probe < 1 || f.Probe > lists/2 {
		t.Errorf("%d of %d lists with a recall of %v", f.Probe, lists, f.Recall)
	}
	r := rand.New(rand.NewPCG(5, 5))
	queries := make([]float32, 200*d)
	for q := range 200 {
		from := x[r.IntN(n)*d:]
		for j := range d {
			queries[q*d+j] = from[j] + 0.5*float32(r.NormFloat64())
		}
	}
	exact, err := f.Search(t.Context(), queries, Options{K: 10, Probe: lists})
	if err != nil {
		t.Fatal(err)
	}
	fast, err := f.Search(t.Context(), queries, Options{K: 10})
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for q := range exact {
		for _, m := range fast[q] {
			if slices.Contains(exact[q], m) {
				found++
			}
		}
	}
	if recall := float64(found) / 2000; recall < 0.95 {
		t.Errorf("recall %v with %d of %d lists; the file says %v", recall, f.Probe, lists, f.Recall)
	}
}

func TestTooManyLists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.index")
	if _, err := Create(path, meta, 10, 4, 3); err == nil ||
		err.Error() != "3 lists are too many for 10 images: take at most a quarter of them, or none" {
		t.Error(err)
	}
	w, err := Create(path, meta, 20, 4, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(make([]float32, 19*4)); err != nil { // one was bad
		t.Fatal(err)
	}
	if _, err := w.Close(t.Context(), make([]Item, 19), func(string) {}); err == nil {
		t.Error("5 lists of 19 images")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// No byte changes unseen.
func TestEveryByteCounts(t *testing.T) {
	f, x := written(t, 40, 3, 4)
	good, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(b []byte) error {
		f, err := newFile(bytes.NewReader(b), int64(len(b)), "x.index")
		if err != nil {
			return err
		}
		_, err = f.Search(t.Context(), x, Options{K: 3, Probe: 4})
		return err
	}
	if err := try(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if try(b) == nil {
			t.Fatalf("byte %d of %d changed unseen", i, len(good))
		}
		if err := try(good[:i]); err == nil || !strings.Contains(err.Error(), "vicreg index") {
			t.Fatalf("cut to %d of %d bytes: %v", i, len(good), err)
		}
	}
	if err := try(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte more")
	}
}

func TestSearchEnds(t *testing.T) {
	f, x := written(t, 300, 4, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Search(ctx, x, Options{K: 1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := os.Truncate(f.Path, 200); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Search(t.Context(), x, Options{K: 1}); err == nil || !strings.Contains(err.Error(), "cut short while it was in use") {
		t.Error(err)
	}
}

func TestDiffers(t *testing.T) {
	for want, change := range map[string]func(*Model){
		"":                                    func(m *Model) { m.Path = "moved" },
		"the checksum 1, not 12345678":        func(m *Model) { m.Sum = "1" },
		"its encoder is resnet50":             func(m *Model) { m.Arch = "resnet50" },
		"its inputs have another size":        func(m *Model) { m.Size = 64 },
		"its inputs are normalised otherwise": func(m *Model) { m.Mean = []float64{0, 0, 0} },
	} {
		m := meta.Model
		change(&m)
		if got := m.Differs(&meta.Model); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
