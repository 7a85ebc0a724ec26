package onnx

import (
	"bytes"
	"context"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// ramp is an array of 0, 1, 2 …
func ramp(shape ...int) Array {
	a := newArray(shape...)
	for i := range a.Floats {
		a.Floats[i] = float32(i)
	}
	return a
}

func floats(v ...float32) Array { return Array{Shape: []int{len(v)}, Floats: v} }
func ints(v ...int64) Array     { return Array{Shape: []int{len(v)}, Ints: v} }

// What the operators give that have rules about shapes, as worked out by hand.
func TestOperators(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		op    string
		attrs []Attr
		in    []Array
		want  []Array
	}{
		{"Sub", nil, []Array{{Shape: []int{1, 2, 2}, Floats: []float32{1, 2, 3, 4}},
			{Shape: []int{1, 2, 1}, Floats: []float32{1, 3}}},
			[]Array{{Shape: []int{1, 2, 2}, Floats: []float32{0, 1, 0, 1}}}},
		{"Div", nil, []Array{ramp(2, 2), floats(2)}, []Array{{Shape: []int{2, 2}, Floats: []float32{0, 0.5, 1, 1.5}}}},
		{"Max", nil, []Array{floats(-1, 2), floats(0)}, []Array{floats(0, 2)}},
		{"Gelu", nil, []Array{floats(-40, 0, 1, 40)}, []Array{floats(0, 0, 0.84134475, 40)}},
		{"Softmax", []Attr{Int("axis", -1)}, []Array{{Shape: []int{2, 2}, Floats: []float32{0, float32(math.Log(3)), 5, -1e9}}},
			[]Array{{Shape: []int{2, 2}, Floats: []float32{0.25, 0.75, 1, 0}}}},
		{"LayerNormalization", []Attr{Int("axis", -1), Real("epsilon", 3)},
			[]Array{{Shape: []int{1, 2}, Floats: []float32{-1, 1}}, floats(2, 4), floats(10, 20)},
			[]Array{{Shape: []int{1, 2}, Floats: []float32{9, 22}}}},
		{"Conv", []Attr{Ints("strides", 2), Ints("pads", 1, 1)},
			[]Array{{Shape: []int{1, 1, 4}, Floats: []float32{1, 2, 3, 4}},
				{Shape: []int{1, 1, 3}, Floats: []float32{1, 10, 100}}, floats(0.5)},
			[]Array{{Shape: []int{1, 1, 2}, Floats: []float32{210.5, 432.5}}}},
		{"Conv", []Attr{Ints("strides", 1, 1), Ints("pads", 0, 0, 0, 0)},
			[]Array{ramp(1, 2, 2, 2), {Shape: []int{1, 2, 1, 2}, Floats: []float32{1, 10, 100, 1000}}},
			[]Array{{Shape: []int{1, 1, 2, 1}, Floats: []float32{5410, 7632}}}},
		{"MaxPool", []Attr{Ints("kernel_shape", 3, 3), Ints("strides", 2, 2), Ints("pads", 1, 1, 1, 1)},
			[]Array{{Shape: []int{1, 1, 3, 3}, Floats: []float32{-9, -8, -7, -6, -5, -4, -3, -2, -1}}},
			[]Array{{Shape: []int{1, 1, 2, 2}, Floats: []float32{-5, -4, -2, -1}}}},
		{"MaxPool", []Attr{Ints("kernel_shape", 2), Ints("strides", 2), Ints("pads", 0, 0)},
			[]Array{ramp(1, 1, 5)}, []Array{{Shape: []int{1, 1, 2}, Floats: []float32{1, 3}}}},
		{"GlobalAveragePool", nil, []Array{ramp(1, 2, 2, 2)}, []Array{{Shape: []int{1, 2, 1, 1}, Floats: []float32{1.5, 5.5}}}},
		{"MatMul", nil, []Array{ramp(2, 1, 2), ramp(2, 2, 1)}, []Array{{Shape: []int{2, 1, 1}, Floats: []float32{1, 13}}}},
		{"Gemm", nil, []Array{ramp(1, 2), ramp(2, 2), floats(10, 20)},
			[]Array{{Shape: []int{1, 2}, Floats: []float32{12, 23}}}},
		{"ReduceMean", []Attr{Int("keepdims", 0)}, []Array{ramp(1, 2, 2), ints(1)},
			[]Array{{Shape: []int{1, 2}, Floats: []float32{1, 2}}}},
		{"ReduceSum", nil, []Array{ramp(1, 2, 2), ints(-1)}, []Array{{Shape: []int{1, 2, 1}, Floats: []float32{1, 5}}}},
		{"Reshape", nil, []Array{ramp(2, 6), ints(0, -1, 2)}, []Array{ramp(2, 3, 2)}},
		{"Transpose", []Attr{Ints("perm", 0, 2, 1)}, []Array{ramp(1, 2, 3)},
			[]Array{{Shape: []int{1, 3, 2}, Floats: []float32{0, 3, 1, 4, 2, 5}}}},
		{"Pad", nil, []Array{ramp(1, 2, 1), ints(0, 1, 0, 0, 0, 1)},
			[]Array{{Shape: []int{1, 3, 2}, Floats: []float32{0, 0, 0, 0, 1, 0}}}},
		{"Gather", []Attr{Int("axis", 1)}, []Array{ramp(2, 3), ints(2, -3)},
			[]Array{{Shape: []int{2, 2}, Floats: []float32{2, 0, 5, 3}}}},
		{"Concat", []Attr{Int("axis", 1)}, []Array{ramp(2, 1), ramp(2, 2)},
			[]Array{{Shape: []int{2, 3}, Floats: []float32{0, 0, 1, 1, 2, 3}}}},
		{"Split", []Attr{Int("axis", 1), Int("num_outputs", 2)}, []Array{ramp(2, 2)},
			[]Array{{Shape: []int{2, 1}, Floats: []float32{0, 2}}, {Shape: []int{2, 1}, Floats: []float32{1, 3}}}},
		{"Equal", nil, []Array{ints(0, 5), ints(0)}, []Array{ints(1, 0)}},
		{"IsNaN", nil, []Array{floats(nan, 1)}, []Array{ints(1, 0)}},
		{"Where", nil, []Array{ints(1, 0), floats(7), floats(nan, 2)}, []Array{floats(7, 2)}},
	} {
		got := operators[c.op](&Node{Op: c.op, Attrs: c.attrs}, c.in)
		for i := range got {
			for j := range got[i].Floats {
				if d := got[i].Floats[j] - c.want[i].Floats[j]; d*d > 1e-10 {
					t.Errorf("%s: got %v, want %v", c.op, got, c.want)
				}
				got[i].Floats[j] = c.want[i].Floats[j]
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.op, got, c.want)
		}
	}
}

// small is y = relu(x·w) as a model.
func small() *Model {
	return &Model{Producer: "somebody", Version: "1.2", Metadata: map[string]string{"b": "2", "a": "1"}, Graph: Graph{
		Name: "small", Inputs: []Value{{"x", Float, Dims("n", 2)}}, Outputs: []Value{{"y", Float, Dims("n", 3)}},
		Constants: []Tensor{Floats("w", []float32{1, -1, 0, 0, 0, 2}, 2, 3),
			{Name: "axes", Type: Int64, Shape: []int{2}, Ints: []int64{-1, 1}}},
		Nodes: []Node{
			{Op: "MatMul", Name: "product", In: []string{"x", "w"}, Out: []string{"p"}},
			{Op: "Relu", Name: "relu", In: []string{"p"}, Out: []string{"y"},
				Attrs: []Attr{Int("one", -3), Ints("none"), Ints("some", 1, -2), Real("real", 0.5)}},
		},
	}}
}

func written(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is written is read again, and is the same when it is written again.
func TestReadBack(t *testing.T) {
	want := small()
	first := written(t, want)
	got, err := Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written(t, got), first) {
		t.Error("the bytes differ")
	}
	if v := got.Graph.Constants[1].Values(); !reflect.DeepEqual(v, ints(-1, 1)) {
		t.Errorf("whole numbers are %v", v)
	}
	if v := got.Graph.Constants[0].Values(); !reflect.DeepEqual(v.Floats, []float32{1, -1, 0, 0, 0, 2}) {
		t.Errorf("numbers are %v", v)
	}
	want.Graph.Constants, got.Graph.Constants = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What readers would refuse is not written.
func TestTooLarge(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("nothing so large has a place here")
	}
	m := small()
	m.Graph.Constants = append(m.Graph.Constants, Tensor{Name: "large", Type: Float, Shape: []int{1 << 14, 1 << 15}})
	err := m.Write(new(bytes.Buffer))
	if want := "the graph takes 2048 MiB, and an ONNX file holds less than 2048"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

// A graph that does not fit together is an error that says where.
func TestRun(t *testing.T) {
	x := map[string]Array{"x": {Shape: []int{2, 2}, Floats: []float32{1, 2, 3, -4}}}
	out, err := (&small().Graph).Run(context.Background(), x, nil)
	if want := []float32{1, 0, 4, 3, 0, 0}; err != nil || !reflect.DeepEqual(out["y"].Floats, want) {
		t.Errorf("got %v, %v, want %v", out, err, want)
	}
	for want, spoil := range map[string]func(g *Graph){
		`operator "Erf" is not one`:                       func(g *Graph) { g.Nodes[1].Op = "Erf" },
		`Relu relu reads "q", which nothing before it`:    func(g *Graph) { g.Nodes[1].In[0] = "q" },
		`nothing makes the output "y"`:                    func(g *Graph) { g.Nodes = g.Nodes[:1] },
		`the output "y" has shape [2 3], not [n 4]`:       func(g *Graph) { g.Outputs[0].Shape = Dims("n", 4) },
		`the input "x" is [2 2], not [n 3]`:               func(g *Graph) { g.Inputs[0].Shape = Dims("n", 3) },
		`MatMul product cannot be computed: [2 2] by [3 `: func(g *Graph) { g.Constants[0].Shape = []int{3, 2} },
		`Relu relu makes 1 values, but 2 are named`:       func(g *Graph) { g.Nodes[1].Out = []string{"y", "z"} },
	} {
		g := small().Graph
		spoil(&g)
		if _, err := g.Run(context.Background(), x, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (&small().Graph).Run(ctx, x, nil); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// A file cannot make the reader take more memory than it has bytes.
func FuzzParse(f *testing.F) {
	f.Add(written(f, small()))
	huge := small()
	raw := written(f, huge)
	f.Add(bytes.Replace(raw, []byte{8, 2, 8, 3}, []byte{8, 0, 8, 3}, 1))
	f.Add(raw[:len(raw)/2])
	f.Fuzz(func(t *testing.T, raw []byte) {
		check.Bounded(t, 1+len(raw)*200>>20, 10*time.Second, func() {
			m, err := Parse(raw)
			if err != nil {
				return
			}
			for i := range m.Graph.Constants {
				c := &m.Graph.Constants[i]
				if v := c.Values(); len(v.Floats)+len(v.Ints) != c.Len() && c.Type != Bool {
					t.Errorf("%d values for shape %v", len(v.Floats)+len(v.Ints), c.Shape)
				}
			}
		})
	})
}
