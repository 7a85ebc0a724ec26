package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/nn"
)

// listed compares arrays with those of a network, whatever their order.
func listed(t *testing.T, got []Array, params []*nn.Param) {
	t.Helper()
	var g, w []string
	for _, a := range got {
		g = append(g, fmt.Sprint(a.Name, a.Shape, a.Len()))
	}
	for _, p := range params {
		w = append(w, fmt.Sprint(p.Name, p.Shape, len(p.Value.Host())))
	}
	slices.Sort(g)
	slices.Sort(w)
	if !slices.Equal(g, w) {
		t.Errorf("listed\n%s\nbuilt\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// variants are encoders that are not quite those of their names.
var variants = []Config{
	{Arch: "vit", Dim: 24, Blocks: 2, Heads: 3, Input: ImageInput(32, 3)},
	{Arch: "vit", Dim: 16, Blocks: 1, Heads: 4, Pool: "mean", Patch: 8, Input: ImageInput(32, 1)},
	{Arch: "vit", Dim: 16, Blocks: 2, Heads: 1, Positions: "sincos", Patch: 16, Input: ImageInput(32, 3)},
	{Arch: "vit-tiny", Blocks: 1, Heads: 6, Patch: 16, Input: ImageInput(32, 3)},
	{Arch: "resnet10", Width: 4, Stem: "padded", Input: ImageInput(15, 3)},
	{Arch: "resnet10", Width: 4, Stem: "linear", Input: ImageInput(15, 3)},
}

// What is listed is what is built.
func TestArrays(t *testing.T) {
	for kind, shape := range items {
		for _, arch := range ArchsFor(kind) {
			for i, stem := range []string{"small", "imagenet", "large"} {
				c := Config{Arch: arch, Stem: stem, Input: Input{kind, shape}}
				if kind == Images || kind == Sequences || i == 1 {
					c.Width = 2 + i
				}
				if kind == Images && i == 1 {
					c.Patch = 8
				}
				e, err := New(c, nil)
				got, dim, gotErr := Arrays(c)
				if fmt.Sprint(err) != fmt.Sprint(gotErr) {
					t.Fatalf("%+v: built: %v, listed: %v", c, err, gotErr)
				}
				if err != nil {
					continue
				}
				if dim != e.Dim() {
					t.Errorf("%s: listed %d wide, built %d", arch, dim, e.Dim())
				}
				listed(t, got, slices.Concat(e.Params(), e.Buffers()))
			}
		}
	}
	for _, c := range variants {
		e, err := New(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, dim, err := Arrays(c)
		if err != nil || dim != e.Dim() {
			t.Fatalf("%+v: %d wide, %v", c, dim, err)
		}
		listed(t, got, slices.Concat(e.Params(), e.Buffers()))
	}
	for _, last := range append(Lasts(), "") {
		for _, norm := range []bool{false, true} {
			for _, widths := range []string{"5", "4-3", "4-6-3"} {
				h := Head{Widths: widths, NoNorm: !norm, Last: last}
				e, err := NewHead(7, h, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := h.Arrays(7)
				if err != nil {
					t.Fatal(err)
				}
				listed(t, got, slices.Concat(e.Params(), e.Buffers()))
			}
		}
	}
}

// A configuration of any numbers is refused, or lists arrays whose values can
// be counted.
func TestBounds(t *testing.T) {
	odd := []int{math.MinInt, -1, 0, 1, 3, 1 << 16, 1<<16 + 1, 1 << 20, 1 << 30, math.MaxInt / 3, math.MaxInt}
	use := func(what string, all []Array, err error) {
		for _, a := range all {
			n := 1.0
			for _, s := range a.Shape {
				n *= float64(s)
			}
			if err == nil && (n < 1 || n > 1<<62 || float64(a.Len()) != n) {
				t.Fatalf("%s: %+v is of %d values", what, a, a.Len())
			}
		}
	}
	check.Bounded(t, 512, 10*time.Second, func() {
		for _, arch := range append(Archs(), "nosuch") {
			for _, kind := range []Kind{Images, Sequences, Numbers, Texts, "", "smells"} {
				for _, a := range odd {
					for _, b := range odd {
						for _, shape := range [][]int{nil, {a}, {a, b}, {a, b, 3}, {32, 32, a}, {a, a, b},
							{a, b, a, b}} {
							c := Config{Arch: arch, Width: b, Patch: a, Stem: "small", Input: Input{kind, shape}}
							all, _, err := Arrays(c)
							use(fmt.Sprintf("%+v", c), all, err)
							if err != nil {
								if _, err := New(c, nil); err == nil {
									t.Errorf("%+v was built", c)
								}
							}
						}
					}
				}
			}
		}
		for _, a := range odd {
			for _, b := range odd {
				h := Head{Widths: fmt.Sprintf("%d-%d", a, b)}
				all, err := h.Arrays(64)
				use(h.Widths, all, err)
				if err != nil {
					if _, err := NewHead(64, h, nil); err == nil {
						t.Errorf("%+v was built", h)
					}
				}
			}
		}
	})
}
