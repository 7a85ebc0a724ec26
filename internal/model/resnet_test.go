package model

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Sizes as torchvision's networks have them without the classifier, and as the
// released repository tells them (resnet50x2: 93 M).
func TestResNetSizes(t *testing.T) {
	for _, c := range []struct {
		arch                       string
		width, dim, tensors, count int
		gigaMACs                   float64
	}{
		{"resnet18", 64, 512, 60, 11_176_512, 1.814},
		{"resnet34", 64, 512, 108, 21_284_672, 3.664},
		{"resnet50", 64, 2048, 159, 23_508_032, 4.087},
		{"resnet101", 64, 2048, 312, 42_500_160, 7.799},
		{"resnet50x2", 64, 4096, 159, 93_907_072, 0},
		{"resnet200x2", 8, 512, 609, 0, 0},
	} {
		m, err := NewResNet(ResNetConfig{Arch: c.arch, Width: c.width, Stem: "imagenet", Channels: 3}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n := Count(m.Params()); n != c.count && c.count > 0 {
			t.Errorf("%s has %d parameters, want %d", c.arch, n, c.count)
		}
		if m.Dim() != c.dim || len(m.Params()) != c.tensors {
			t.Errorf("%s: dim %d, %d tensors; want %d, %d", c.arch, m.Dim(), len(m.Params()), c.dim, c.tensors)
		}
		if got := float64(m.Flops(1, 224, 224, 3)) / 2e9; c.gigaMACs > 0 && math.Abs(got-c.gigaMACs) > 0.01 {
			t.Errorf("%s: %.3f G multiply-adds, want %.3f", c.arch, got, c.gigaMACs)
		}
	}
}

func TestInit(t *testing.T) {
	config := ResNetConfig{Arch: "resnet50", Width: 16, Stem: "small", Channels: 3, ZeroInitResidual: true}
	m, err := NewResNet(config, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		mean, std := moments(p.Value.Host())
		switch {
		case len(p.Shape) == 4:
			want := math.Sqrt(2 / float64(p.Shape[0]*p.Shape[2]*p.Shape[3]))
			few := 5 / math.Sqrt(float64(len(p.Value.Host())))
			if math.Abs(std/want-1) > few || math.Abs(mean/want) > few {
				t.Errorf("%s: mean %.3g, std %.3g; want 0, %.3g", p.Name, mean, std, want)
			}
		case strings.HasSuffix(p.Name, "bn3.weight"), strings.HasSuffix(p.Name, "bias"):
			if mean != 0 || std != 0 {
				t.Errorf("%s is not zero", p.Name)
			}
		default:
			if mean != 1 || std != 0 {
				t.Errorf("%s is not one", p.Name)
			}
		}
	}
	e, err := NewExpander(64, "128-100", rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range e.Params() {
		if name := p.Name; name != "0.weight" && name != "0.bias" && name != "3.weight" {
			continue
		}
		bound := 1 / math.Sqrt(64)
		if p.Name == "3.weight" {
			bound = 1 / math.Sqrt(128)
		}
		mean, std := moments(p.Value.Host())
		if few := 5 / math.Sqrt(float64(len(p.Value.Host()))); math.Abs(std*math.Sqrt(3)/bound-1) > few ||
			math.Abs(mean)/bound > few {
			t.Errorf("%s: mean %.3g, std %.3g; want uniform up to %.3g", p.Name, mean, std, bound)
		}
	}
}

func moments(x []float32) (mean, std float64) {
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		std += (float64(v) - mean) * (float64(v) - mean)
	}
	return mean, math.Sqrt(std / float64(len(x)))
}
