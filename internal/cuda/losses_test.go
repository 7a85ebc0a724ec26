package cuda_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/loss"
)

// splits are ways to make the products of a loss: as they are, and split.
var splits = map[string]int64{"whole": 1 << 62, "split": 1}

// evaluated is a loss and its gradients on a device.
func evaluated(d *cuda.Device, v loss.VICReg, t device.Type, z1, z2 []float32, n, dim int) (loss.Terms, [2][]float32) {
	up := func(x []float32) device.Array {
		a := d.Alloc(t, len(x))
		d.Up(a, x)
		return a
	}
	a, b, dz1, dz2 := up(z1), up(z2), d.Alloc(device.Float32, n*dim), d.Alloc(device.Float32, n*dim)
	defer func() {
		for _, x := range []device.Array{a, b, dz1, dz2} {
			d.Free(x)
		}
	}()
	alone := v.Queue(d, a, b, n, dim, device.Array{}, device.Array{})
	without := alone.Terms()
	q := v.Queue(d, a, b, n, dim, dz1, dz2)
	terms := q.Terms()
	if without != terms {
		panic("the loss without gradients differs from that with them")
	}
	return terms, [2][]float32{lowered(d, dz1), lowered(d, dz2)}
}

func closeTerms(t *testing.T, what string, got, want loss.Terms, tol float64) {
	t.Helper()
	check.Scalar(t, what+" total", got.Total, want.Total, tol)
	check.Scalar(t, what+" invariance", got.Invariance, want.Invariance, tol)
	for i, b := range got.Branch {
		check.Scalar(t, what+" variance", b.Variance, want.Branch[i].Variance, tol)
		check.Scalar(t, what+" covariance", b.Covariance, want.Branch[i].Covariance, tol)
		check.Scalar(t, what+" std", b.Std, want.Branch[i].Std, tol)
	}
}

// The golden values of the loss hold on the card.
func TestLossGolden(t *testing.T) {
	files, err := filepath.Glob("../loss/testdata/vicreg/*.safetensors")
	if err != nil || len(files) < 13 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	d := open(t)
	for name, from := range splits {
		d.SplitFrom(from)
		for _, file := range files {
			g := check.Golden(t, file)
			n, dim := g.Shape("z1")[0], g.Shape("z1")[1]
			v := loss.VICReg{Lambda: g.Float("lambda_"), Mu: g.Float("mu"), Nu: g.Float("nu"), Gamma: g.Float("gamma"),
				Eps: g.Float("eps")}
			for _, v.Convention = range []loss.Convention{loss.Released, loss.Formula, loss.Pseudocode} {
				what := fmt.Sprintf("%s %s %v", name, filepath.Base(file), v.Convention)
				key := v.Convention.String() + "_"
				got, dz := evaluated(d, v, device.Float32, g.F32("z1"), g.F32("z2"), n, dim)
				check.Scalar(t, what+" total", got.Total, g.Float(key+"total"), 1e-5)
				if v.Convention == loss.Pseudocode { // the file notes its total alone
					continue
				}
				check.Scalar(t, what+" invariance", got.Invariance, g.Float(key+"invariance"), 1e-5)
				check.Scalar(t, what+" variance", got.Variance, g.Float(key+"variance"), 1e-5)
				check.Scalar(t, what+" covariance", got.Covariance, g.Float(key+"covariance"), 1e-5)
				check.Close(t, what+" dz1", dz[0], g.F32(key+"dz1"), 1e-5)
				check.Close(t, what+" dz2", dz[1], g.F32(key+"dz2"), 1e-5)
			}
		}
	}
}

// The loss on the card is that of the CPU: few rows and many, odd shapes, parts of
// products, coefficients by branch, embeddings of bfloat16, and embeddings of which few
// dimensions vary, where n × n loses its digits.
func TestLossAgrees(t *testing.T) {
	var ws loss.Workspace
	for i, c := range []struct {
		n, d   int
		t      device.Type
		apart  float64 // of the third column from 0, times that of others; 0: as much
		offset float32
	}{
		{n: 2, d: 1}, {n: 3, d: 5}, {n: 37, d: 70}, {n: 70, d: 37}, {n: 64, d: 512}, {n: 300, d: 64},
		{n: 40, d: 256, t: device.BFloat16}, {n: 16, d: 96, offset: 300}, {n: 24, d: 96, apart: 1000},
		{n: 96, d: 40, apart: 1000}, {n: 9, d: 130, apart: 300},
	} {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		z1, z2 := check.Normal(r, c.n*c.d), check.Normal(r, c.n*c.d)
		for j := range z1 {
			if c.apart > 0 && j%c.d == 2 {
				z1[j] *= float32(c.apart)
			}
			z1[j], z2[j] = z1[j]*0.7+c.offset, 0.5*z1[j]+0.8*z2[j]-c.offset
			if c.t == device.BFloat16 {
				z1[j], z2[j] = bf16(z1[j]), bf16(z2[j])
			}
		}
		v := loss.NewVICReg()
		v.B = &loss.Coefficients{Mu: 3, Nu: 7}
		dz1, dz2 := make([]float32, len(z1)), make([]float32, len(z1))
		want := v.Eval(&ws, z1, z2, c.n, c.d, dz1, dz2)
		for name, from := range splits {
			driver := newDriver(t)
			counts, host := driver.(*sim.Driver)
			if host {
				counts = sim.New(sim.Options{Seed: uint64(i), Races: true, Card: cuda.Card{Multiprocessors: 8}})
				driver = counts
			}
			d, err := cuda.New(driver)
			if err != nil {
				t.Fatal(err)
			}
			d.SplitFrom(from)
			got, dz := evaluated(d, v, c.t, z1, z2, c.n, c.d)
			what := fmt.Sprintf("%s %+v", name, c)
			if host {
				again := counts.Kernel("loss_again").Wrote > 0
				if again != (c.apart > 0 && c.n <= c.d) {
					t.Errorf("%s: the covariance goes through d × d as well: %v", what, again)
				}
			}
			closeTerms(t, what, got, want, 1e-5)
			check.Close(t, what+" dz1", dz[0], dz1, 1e-5)
			check.Close(t, what+" dz2", dz[1], dz2, 1e-5)
			d.Close()
		}
	}
}

// Where there are many rows and columns, products of the card's round as they will: the
// loss is still that of the CPU.
func TestLargeLossOnACard(t *testing.T) {
	d, host := counted(t)
	if host != nil {
		t.Skip("the host would take too long")
	}
	var ws loss.Workspace
	v := loss.NewVICReg()
	for _, shape := range [][2]int{{256, 8192}, {1024, 2048}, {2048, 1024}, {2048, 8192}} {
		n, dim := shape[0], shape[1]
		r := rand.New(rand.NewPCG(11, 12))
		z1, z2 := check.Normal(r, n*dim), check.Normal(r, n*dim)
		dz1, dz2 := make([]float32, n*dim), make([]float32, n*dim)
		want := v.Eval(&ws, z1, z2, n, dim, dz1, dz2)
		for name, from := range splits {
			d.SplitFrom(from)
			got, dz := evaluated(d, v, device.Float32, z1, z2, n, dim)
			what := fmt.Sprintf("%s %d × %d", name, n, dim)
			closeTerms(t, what, got, want, 1e-5)
			check.Close(t, what+" dz1", dz[0], dz1, 1e-5)
			check.Close(t, what+" dz2", dz[1], dz2, 1e-5)
		}
	}
}

// BenchmarkLoss is for a card.
func BenchmarkLoss(b *testing.B) {
	d, host := counted(b)
	if host != nil {
		b.Skip("the host would take too long")
	}
	for _, shape := range [][2]int{{256, 2048}, {256, 8192}, {1024, 2048}, {2048, 8192}} {
		for name, from := range splits {
			n, dim := shape[0], shape[1]
			b.Run(fmt.Sprintf("%s-%dx%d", name, n, dim), func(b *testing.B) {
				r := rand.New(rand.NewPCG(11, 12))
				x := check.Normal(r, n*dim)
				z1, z2 := lifted(d, x), lifted(d, check.Normal(r, n*dim))
				dz1, dz2 := lifted(d, x), lifted(d, x)
				v := loss.NewVICReg()
				d.SplitFrom(from)
				for b.Loop() {
					q := v.Queue(d, z1, z2, n, dim, dz1, dz2)
					q.Terms()
				}
				for _, a := range []device.Array{z1, z2, dz1, dz2} {
					d.Free(a)
				}
			})
		}
	}
}

// BenchmarkUpdate has the parameters of ResNet-50 with an expander of 8192, about.
func BenchmarkUpdate(b *testing.B) {
	d, host := counted(b)
	if host != nil {
		b.Skip("the host would take too long")
	}
	var members []device.Member
	add := func(n int, decay bool) {
		members = append(members, device.Member{W: d.Alloc(device.Float32, n), G: d.Alloc(device.Float32, n),
			M: d.Alloc(device.Float32, n), V: d.Alloc(device.Float32, n), Decay: decay})
		d.Fill(members[len(members)-1].W, 0.1)
		d.Fill(members[len(members)-1].G, 0.01)
	}
	for range 53 {
		add(443_000, true)
		add(500, false)
		add(500, false)
	}
	add(2048*8192, true)
	add(8192*8192, true)
	add(8192*8192, true)
	for name, rule := range map[string]device.Rule{"lars": device.ByLARS, "sgd": device.ByMomentum, "adam": device.ByAdam} {
		u := &device.Update{Rule: rule, LR: 1e-3, Eta: 1e-3, Momentum: 0.9, Betas: [2]float64{0.9, 0.99}, Number: 1}
		u.Members = members
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				norm := d.Norm(u)
				d.Update(u)
				norm.Read()
			}
			d.Wait()
		})
	}
}

// quiet is a driver that does nothing once it is told to.
type quiet struct {
	cuda.Driver
	still bool
	waits int
}

func (q *quiet) WaitEvent(e cuda.Event) error {
	q.waits++
	return q.Driver.WaitEvent(e)
}

func (q *quiet) Launch(s cuda.Stream, f cuda.Function, grid [3]int, threads, shared int, args []byte) error {
	if q.still {
		return nil
	}
	return q.Driver.Launch(s, f, grid, threads, shared, args)
}

func (q *quiet) Matmul(m *cuda.Matmul) error {
	if q.still {
		return nil
	}
	return q.Driver.Matmul(m)
}

func (q *quiet) DownloadLater(s cuda.Stream, to []byte, from uintptr) error {
	if q.still {
		return nil
	}
	return q.Driver.DownloadLater(s, to, from)
}

func (q *quiet) Record(e cuda.Event, s cuda.Stream) error {
	if q.still {
		return nil
	}
	return q.Driver.Record(e, s)
}

// Loss and update of a step in steady state allocate nothing, here or on the card, and the
// host waits once.
func TestStepAllocatesNothing(t *testing.T) {
	q := &quiet{Driver: sim.New(sim.Options{})}
	d, err := cuda.New(q)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := rand.New(rand.NewPCG(9, 10))
	const n, dim = 8, 12
	z1, z2 := lifted(d, check.Normal(r, n*dim)), lifted(d, check.Normal(r, n*dim))
	dz1, dz2 := d.Alloc(device.Float32, n*dim), d.Alloc(device.Float32, n*dim)
	v := loss.NewVICReg()
	u := &device.Update{Rule: device.ByLARS, LR: 0.1, Eta: 0.01}
	u.Members = members([]device.Device{d}, r)[0]
	step := func() {
		d.Clear(&u.Group)
		l := v.Queue(d, z1, z2, n, dim, dz1, dz2)
		norm := d.Norm(u)
		d.Update(u)
		d.Blend(&u.Group, 0.5, 0.5)
		l.Terms()
		norm.Read()
	}
	for range 12 { // room is made, and stretches are known
		step()
	}
	q.waits = 0
	step()
	if q.waits != 1 {
		t.Errorf("the host waits %d times in a step", q.waits)
	}
	now, peak, held := d.Used()
	q.still = true
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if a, b, c := d.Used(); a != now || b != peak || c != held {
		t.Errorf("the card's memory went from %d, %d, %d to %d, %d, %d bytes", now, peak, held, a, b, c)
	}
}
