package model

import (
	"fmt"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/loss"
	"vicreg/internal/optim"
)

// TestTenSteps replays ten training steps of PyTorch: forward of both views, loss,
// backward, LARS, and the running statistics on the way.
func TestTenSteps(t *testing.T) { eachConvolution(t, testTenSteps) }

func testTenSteps(t *testing.T, winograd bool) {
	tol := gradTol
	if winograd {
		tol = winogradTol
	}
	g := check.Golden(t, "testdata/ten_steps.safetensors")
	b := newBranch(t, tiny, g.Meta["expander"], 1)
	j := NewJoint(device.Local, b, b)
	load(t, g, "init.", j.Params(), j.Buffers())
	o := optim.NewLARS(j.Params(), optim.LARS{
		Momentum: g.Float("momentum"), WeightDecay: g.Float("weight_decay"), Eta: g.Float("eta"),
	})
	n, d := g.Shape("x0")[0], b.Expander.Dim()
	v, ws := loss.NewVICReg(), new(loss.Workspace)
	dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
	for step, want := range g.F64("loss") {
		j.ZeroGrad()
		a, b := forward(j, image(g, fmt.Sprintf("x%d", step)), image(g, fmt.Sprintf("y%d", step)))
		terms := v.Eval(ws, a.Z.X.Host(), b.Z.X.Host(), n, d, dz1, dz2)
		check.Scalar(t, fmt.Sprintf("the loss of step %d", step), terms.Total, want, tol)
		backward(j, dz1, dz2)
		o.Step(0.3 * float64(step+1) / 10)
	}
	for _, p := range j.Params() {
		check.Close(t, p.Name, p.Torch(), g.F32("final."+p.Name), tol)
	}
	for _, p := range j.Buffers() {
		want := []float32{20} // two views of ten batches
		if !strings.HasSuffix(p.Name, "num_batches_tracked") {
			want = g.F32("final." + p.Name)
		}
		check.Close(t, p.Name, p.Value.Host(), want, tol)
	}
}
