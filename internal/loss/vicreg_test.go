package loss

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

var routes = []route{overRows, overColumns}

func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("testdata/vicreg/*.safetensors")
	if len(files) != 13 {
		t.Fatalf("%d golden files, want 13", len(files))
	}
	var ws Workspace
	for _, file := range files {
		g := check.Golden(t, file)
		z1, z2, shape := g.F32("z1"), g.F32("z2"), g.Shape("z1")
		n, d := shape[0], shape[1]
		dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
		v := VICReg{Lambda: g.Float("lambda_"), Mu: g.Float("mu"), Nu: g.Float("nu"), Gamma: g.Float("gamma"), Eps: g.Float("eps")}
		for _, v.Convention = range []Convention{Released, Formula, Pseudocode} {
			for _, by := range routes {
				what := fmt.Sprintf("%s, %v, route %d, ", strings.TrimSuffix(filepath.Base(file), ".safetensors"), v.Convention, by)
				key := v.Convention.String() + "_"
				terms := v.eval(&ws, z1, z2, n, d, dz1, dz2, by)
				check.Scalar(t, what+"total", terms.Total, g.Float(key+"total"), 1e-5)
				if v.Convention == Pseudocode { // the file notes its total alone
					g.Meta[key+"invariance"], g.Meta[key+"variance"], g.Meta[key+"covariance"] =
						g.Meta["released_invariance"], g.Meta["formula_variance"], g.Meta["formula_covariance"]
				}
				check.Scalar(t, what+"invariance", terms.Invariance, g.Float(key+"invariance"), 1e-5)
				check.Scalar(t, what+"variance", terms.Variance, g.Float(key+"variance"), 1e-5)
				check.Scalar(t, what+"covariance", terms.Covariance, g.Float(key+"covariance"), 1e-5)
				if v.Convention != Pseudocode {
					check.Close64(t, what+"dz1", widen(dz1), g.F64(key+"dz1"), 1e-5)
					check.Close64(t, what+"dz2", widen(dz2), g.F64(key+"dz2"), 1e-5)
				}
			}
		}
	}
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// reference is the loss in float64, as the equations stand.
func reference(v VICReg, z1, z2 []float64, n, d int) float64 {
	mean := func(z []float64, j int) (m float64) {
		for i := range n {
			m += z[i*d+j] / float64(n)
		}
		return m
	}
	cov := func(z []float64, j, k int) (c float64) {
		mj, mk := mean(z, j), mean(z, k)
		for i := range n {
			c += (z[i*d+j] - mj) * (z[i*d+k] - mk)
		}
		return c / float64(n-1)
	}
	var inv, variance, covariance float64
	for i := range z1 {
		inv += (z1[i] - z2[i]) * (z1[i] - z2[i]) / float64(n)
	}
	for _, z := range [][]float64{z1, z2} {
		for j := range d {
			variance += max(0, v.Gamma-math.Sqrt(cov(z, j, j)+v.Eps)) / float64(d)
			for k := range d {
				if j != k {
					c := cov(z, j, k)
					covariance += c * c / float64(d)
				}
			}
		}
	}
	if v.Convention != Formula {
		inv /= float64(d)
	}
	if v.Convention == Released {
		variance /= 2
	}
	return v.Lambda*inv + v.Mu*variance + v.Nu*covariance
}

// embeddings returns two n × d matrices; column j of the second is pulled to
// the first and has the standard deviation of spread(j).
func embeddings(n, d int, spread func(j int) float64) (z1, z2 []float32) {
	r := rng.New(uint64(n), uint64(d))
	for range n {
		for j := range d {
			s := spread(j)
			a := r.NormFloat64()
			z1 = append(z1, float32(s*a+0.3))
			z2 = append(z2, float32(s*(a+0.5*r.NormFloat64())-0.1))
		}
	}
	return z1, z2
}

func even(int) float64 { return 1 }

func TestFiniteDifferences(t *testing.T) {
	const n, d = 6, 5
	z1, z2 := embeddings(n, d, func(j int) float64 { return 0.3 + 0.4*float64(j) }) // on both sides of γ
	w1, w2 := widen(z1), widen(z2)
	dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
	var ws Workspace
	for _, v := range []VICReg{
		{25, 25, 1, 1, 1e-4, Released, nil}, {25, 25, 1, 1, 1e-4, Formula, nil}, {25, 25, 1, 1, 1e-4, Pseudocode, nil},
		{0, 1, 0, 1.3, 0.01, Released, nil}, {0, 0, 1, 1, 1e-4, Formula, nil}, {1, 0, 0, 1, 1e-4, Released, nil},
	} {
		for _, by := range routes {
			got := v.eval(&ws, z1, z2, n, d, dz1, dz2, by)
			check.Scalar(t, "total", got.Total, reference(v, w1, w2, n, d), 1e-6)
			for x, z := range [][]float64{w1, w2} {
				want := make([]float64, n*d)
				for i := range z {
					const h = 1e-6
					old := z[i]
					z[i] = old + h
					up := reference(v, w1, w2, n, d)
					z[i] = old - h
					want[i] = (up - reference(v, w1, w2, n, d)) / (2 * h)
					z[i] = old
				}
				check.Close64(t, fmt.Sprintf("%+v, route %d, dz%d", v, by, x+1), widen([][]float32{dz1, dz2}[x]), want, 1e-5)
			}
		}
	}
}

// Many shapes, among them ones that leave ragged tiles and blocks, and spreads
// for which the n × n route would cancel.
func TestRoutesAgree(t *testing.T) {
	spreads := map[string]func(j int) float64{
		"even": even,
		"one large column": func(j int) float64 {
			if j == 0 {
				return 100
			}
			return 0.1
		},
		"falling":       func(j int) float64 { return math.Pow(0.7, float64(j)) },
		"some constant": func(j int) float64 { return float64(j % 2) },
	}
	var ws Workspace
	for _, s := range [][2]int{{2, 1}, {2, 300}, {3, 4100}, {17, 65}, {64, 64}, {70, 130}, {300, 40}, {260, 300},
		{600, 9}, {1030, 20}} {
		n, d := s[0], s[1]
		for name, spread := range spreads {
			z1, z2 := embeddings(n, d, spread)
			var terms [2]Terms
			var dz [2][2][]float32
			v := VICReg{Lambda: 0.1, Mu: 1, Nu: 1, Gamma: 1, Eps: 1e-4}
			for i, by := range routes {
				dz[i] = [2][]float32{make([]float32, n*d), make([]float32, n*d)}
				terms[i] = v.eval(&ws, z1, z2, n, d, dz[i][0], dz[i][1], by)
			}
			what := fmt.Sprintf("%d × %d, %s: ", n, d, name)
			for b := range 2 {
				check.Close64(t, what+"c", []float64{terms[0].Branch[b].Covariance},
					[]float64{terms[1].Branch[b].Covariance}, 1e-5)
				check.Close(t, what+"dz", dz[0][b], dz[1][b], 1e-5)
			}
		}
	}
}

func TestSymmetries(t *testing.T) {
	const n, d = 24, 50
	z1, z2 := embeddings(n, d, func(j int) float64 { return 0.5 + 0.02*float64(j) })
	v := NewVICReg()
	var ws Workspace
	dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
	want := v.Eval(&ws, z1, z2, n, d, dz1, dz2)

	check.Scalar(t, "without gradients", v.Eval(&ws, z1, z2, n, d, nil, nil).Total, want.Total, 0)

	// The branches trade places.
	e1, e2 := make([]float32, n*d), make([]float32, n*d)
	check.Scalar(t, "swapped", v.Eval(&ws, z2, z1, n, d, e1, e2).Total, want.Total, 1e-12)
	if !slices.Equal(e1, dz2) || !slices.Equal(e2, dz1) {
		t.Error("swapping the branches does not swap the gradients")
	}

	// Rows and columns in another order, and an offset.
	order := func(x []float32) []float32 {
		y := make([]float32, len(x))
		for i := range n {
			for j := range d {
				y[i*d+j] = x[(i*5+3)%n*d+(j*7+2)%d]
			}
		}
		return y
	}
	check.Scalar(t, "permuted", v.Eval(&ws, order(z1), order(z2), n, d, e1, e2).Total, want.Total, 1e-6)
	check.Close(t, "permuted dz1", e1, order(dz1), 1e-5)

	// Gradients move no mean but by the invariance.
	v.Lambda = 0
	v.Eval(&ws, z1, z2, n, d, dz1, dz2)
	for j := range d {
		var sum, size float64
		for i := range n {
			sum += float64(dz1[i*d+j])
			size += math.Abs(float64(dz1[i*d+j]))
		}
		if math.Abs(sum) > 1e-5*size {
			t.Errorf("column %d of dz1 sums to %g", j, sum)
		}
	}
}

func TestSameBitsForAnyWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	for _, s := range [][2]int{{70, 1500}, {300, 90}, {9, 4100}} {
		n, d := s[0], s[1]
		z1, z2 := embeddings(n, d, even)
		var want Terms
		var want1, want2 []float32
		for workers := 1; workers <= 3; workers++ {
			parallel.SetWorkers(workers)
			dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
			got := NewVICReg().Eval(&Workspace{}, z1, z2, n, d, dz1, dz2)
			if workers == 1 {
				want, want1, want2 = got, dz1, dz2
				continue
			}
			if got != want || !slices.Equal(dz1, want1) || !slices.Equal(dz2, want2) {
				t.Errorf("%d × %d: %d workers give other bits than 1", n, d, workers)
			}
		}
	}
}

func TestCollapseIsFinite(t *testing.T) {
	const n, d = 5, 7
	z := make([]float32, n*d)
	for i := range z {
		z[i] = 0.1 * float32(i%d)
	}
	dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
	for _, eps := range []float64{1e-4, 0} {
		v := NewVICReg()
		v.Eps = eps
		got := v.Eval(&Workspace{}, z, z, n, d, dz1, dz2)
		check.Scalar(t, "total", got.Total, 25*(1-math.Sqrt(eps)), 1e-6)
		for i, g := range dz1 {
			if !(math.Abs(float64(g)) < 1e-6) {
				t.Fatalf("eps %g: dz1[%d] = %v at full collapse", eps, i, g)
			}
		}
	}
}

func TestNotFinitePropagates(t *testing.T) {
	z1, z2 := embeddings(8, 20, even)
	z1[37] = float32(math.NaN())
	got := NewVICReg().Eval(&Workspace{}, z1, z2, 8, 20, nil, nil)
	for name, x := range map[string]float64{"invariance": got.Invariance, "variance": got.Variance, "covariance": got.Covariance, "total": got.Total} {
		if !math.IsNaN(x) {
			t.Errorf("%s is %v with a NaN in the embeddings", name, x)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	parallel.SetWorkers(1)
	defer parallel.SetWorkers(0)
	var ws Workspace
	v := NewVICReg()
	for _, s := range [][2]int{{64, 200}, {70, 40}, {520, 530}} {
		n, d := s[0], s[1]
		z1, z2 := embeddings(n, d, even)
		dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
		if got := testing.AllocsPerRun(5, func() { v.Eval(&ws, z1, z2, n, d, dz1, dz2) }); got > 0 {
			t.Errorf("%d × %d: %v allocations per call", n, d, got)
		}
	}
}

func TestParseConvention(t *testing.T) {
	for _, c := range []Convention{Released, Formula, Pseudocode} {
		if got, err := ParseConvention(c.String()); got != c || err != nil {
			t.Errorf("%v came back as %v, %v", c, got, err)
		}
	}
	if _, err := ParseConvention("paper"); err == nil {
		t.Error(`"paper" was taken`)
	}
}

func TestPanics(t *testing.T) {
	z := make([]float32, 12)
	for name, f := range map[string]func(){
		"one row":        func() { NewVICReg().Eval(&Workspace{}, z, z, 1, 12, nil, nil) },
		"wrong length":   func() { NewVICReg().Eval(&Workspace{}, z, z, 3, 5, nil, nil) },
		"one gradient":   func() { NewVICReg().Eval(&Workspace{}, z, z, 3, 4, z, nil) },
		"short gradient": func() { NewVICReg().Eval(&Workspace{}, z, z, 3, 4, z, z[1:]) },
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.HasPrefix(r.(string), "loss: ") {
					t.Errorf("%s: recovered %v", name, r)
				}
			}()
			f()
		}()
	}
}

func BenchmarkVICReg(b *testing.B) {
	for _, s := range [][2]int{{256, 512}, {256, 8192}, {2048, 8192}, {2048, 512}} {
		n, d := s[0], s[1]
		b.Run(fmt.Sprintf("n=%d/d=%d", n, d), func(b *testing.B) {
			z1, z2 := embeddings(n, d, even)
			dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
			var ws Workspace
			v := NewVICReg()
			v.Eval(&ws, z1, z2, n, d, dz1, dz2)
			for b.Loop() {
				v.Eval(&ws, z1, z2, n, d, dz1, dz2)
			}
			// Useful work: two products of 2·n·d·min(n, d) in each branch.
			b.ReportMetric(8*float64(n)*float64(d)*float64(min(n, d))*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gflop/s")
		})
	}
}

// With coefficients of its own the second branch counts as if each branch's
// terms had been taken alone.
func TestBranchCoefficients(t *testing.T) {
	for _, shape := range [][2]int{{6, 20}, {40, 7}} {
		n, d := shape[0], shape[1]
		z1, z2 := check.Random(1, n*d), check.Random(2, n*d)
		eval := func(v VICReg) (Terms, []float32) {
			dz := make([]float32, 2*n*d)
			return v.Eval(new(Workspace), z1, z2, n, d, dz[:n*d], dz[n*d:]), dz
		}
		v := NewVICReg()
		v.B = &Coefficients{Mu: 3, Nu: 7}
		got, grad := eval(v)
		first, second := NewVICReg(), NewVICReg()
		second.Mu, second.Nu = 3, 7
		a, ga := eval(first)
		b, gb := eval(second)
		want := 25*a.Invariance + 25*a.Branch[0].Variance/2 + a.Branch[0].Covariance +
			3*b.Branch[1].Variance/2 + 7*b.Branch[1].Covariance
		check.Close(t, "gradients", grad, append(ga[:n*d:n*d], gb[n*d:]...), 1e-6)
		if math.Abs(got.Total-want) > 1e-9*want {
			t.Errorf("%d × %d: total %v, want %v", n, d, got.Total, want)
		}
	}
}
