package atlas

import (
	"cmp"
	"image"
	"math"
	"slices"

	"golang.org/x/image/draw"
)

// alikeCosine is the cosine from which on two images may be duplicates.
const alikeCosine = 0.95

// signSide is the side of a signature in pixels.
const signSide = 24

// signature is a small copy of a whole image, drawn out to a square, in three colours.
type signature [3 * signSide * signSide]uint8

// sign returns the signature of an image.
func sign(m image.Image) (s signature) {
	to := image.NewRGBA(image.Rect(0, 0, signSide, signSide))
	draw.CatmullRom.Scale(to, to.Rect, m, m.Bounds(), draw.Src, nil)
	for p := range signSide * signSide {
		copy(s[3*p:3*p+3], to.Pix[4*p:])
	}
	return s
}

// alike reports whether two signatures are those of one picture, stored twice in other sizes
// or qualities, say: their difference is at most 2 of 255 and a tenth of the contrast, both as
// the root of the mean square.
func (s *signature) alike(o *signature) bool {
	var diff, sum, square float64
	for i, v := range s {
		a, b := float64(v), float64(o[i])
		diff += (a - b) * (a - b)
		sum += a + b
		square += a*a + b*b
	}
	n := float64(len(s))
	contrast := math.Sqrt(max(0, square/(2*n)-sum/(2*n)*sum/(2*n)))
	return math.Sqrt(diff/n) <= 2+0.1*contrast
}

// duplicates returns groups of images that show the same: those whose pixels are equal, and
// neighbours of a high cosine whose signatures are alike. The largest group comes first, of
// equal ones that of the earliest image.
func duplicates(m *near, g *Gallery) [][]int {
	n := len(g.signs)
	group := make([]int, n) // the first of those that are alike, as far as known
	for i := range group {
		group[i] = i
	}
	first := func(i int) int {
		for group[i] != i {
			group[i] = group[group[i]]
			i = group[i]
		}
		return i
	}
	join := func(i, j int) {
		if i, j = first(i), first(j); i != j {
			group[max(i, j)] = min(i, j)
		}
	}
	seen := map[uint64]int{}
	for i, p := range g.pixels {
		if j, ok := seen[p]; ok && g.signs[i] == g.signs[j] {
			join(i, j)
		} else if !ok {
			seen[p] = i
		}
	}
	for i := range n {
		for a, j := range m.of(i) {
			if m.cosine[i*m.k+a] >= alikeCosine && first(i) != first(int(j)) && g.signs[i].alike(&g.signs[j]) {
				join(i, int(j))
			}
		}
	}
	members := make([][]int, n)
	for i := range n {
		members[first(i)] = append(members[first(i)], i)
	}
	members = slices.DeleteFunc(members, func(m []int) bool { return len(m) < 2 })
	slices.SortStableFunc(members, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	return members
}
