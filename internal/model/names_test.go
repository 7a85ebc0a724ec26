package model

import "testing"

// A network is known by its blocks and its width, one that is twice as wide by its name.
func TestNameOfShape(t *testing.T) {
	for _, c := range []struct {
		blocks     [4]int
		bottleneck bool
		planes     int
		name       string
		width      int
	}{
		{[4]int{3, 4, 6, 3}, true, 64, "resnet50", 64},
		{[4]int{3, 4, 6, 3}, true, 128, "resnet50x2", 64},
		{[4]int{3, 4, 6, 3}, true, 256, "resnet50", 256},
		{[4]int{3, 4, 6, 3}, true, 4, "resnet50", 4},
		{[4]int{3, 4, 6, 3}, false, 64, "resnet34", 64},
		{[4]int{3, 24, 36, 3}, true, 128, "resnet200x2", 64},
		{[4]int{3, 8, 36, 3}, true, 64, "resnet152", 64},
		{[4]int{3, 24, 36, 3}, true, 3, "", 0},
		{[4]int{3, 4, 6, 2}, true, 64, "", 0},
	} {
		name, width, ok := ResNetOf(c.blocks, c.bottleneck, c.planes)
		if name != c.name || width != c.width || ok != (c.name != "") {
			t.Errorf("%+v: %s of width %d, %v", c, name, width, ok)
		}
	}
	for _, c := range []struct {
		dim, blocks, heads int
		name               string
		d, b, h            int
	}{
		{384, 12, 6, "vit-small", 0, 0, 0},
		{384, 12, 12, "vit-small", 0, 0, 12},
		{768, 12, 12, "vit-base", 0, 0, 0},
		{384, 11, 6, "vit", 384, 11, 6},
		{1024, 24, 16, "vit", 1024, 24, 16},
	} {
		if name, d, b, h := ViTOf(c.dim, c.blocks, c.heads); name != c.name || d != c.d || b != c.b || h != c.h {
			t.Errorf("%+v: %s, %d, %d, %d", c, name, d, b, h)
		}
	}
}
