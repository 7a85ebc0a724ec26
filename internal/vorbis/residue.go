package vorbis

// residue is the fine structure of the spectrum: vectors added in passes, each of
// them from a codebook that a partition's class names (section 8).
type residue struct {
	kind       int
	begin, end int
	size       int // of a partition
	class      int // codebook of classes, several to a codeword
	books      [][8]int
}

func readResidue(b *reader, books []codebook) (residue, error) {
	r := residue{kind: b.int(16), begin: b.int(24), end: b.int(24), size: b.int(24) + 1}
	classes := b.int(6) + 1
	r.class = b.int(8)
	if b.over || r.kind > 2 || r.class >= len(books) {
		return r, errSetup
	}
	passes := make([]int, classes)
	for i := range passes {
		passes[i] = b.int(3)
		if b.flag() {
			passes[i] |= b.int(5) << 3
		}
	}
	r.books = make([][8]int, classes)
	for i := range r.books {
		for j := range 8 {
			if r.books[i][j] = -1; passes[i]>>j&1 == 0 {
				continue
			}
			book := b.int(8)
			if book >= len(books) || books[book].values == nil {
				return r, errSetup
			}
			r.books[i][j] = book
		}
	}
	// Every word must be one of classes, as many as its codebook has dimensions.
	words := 1
	for range books[r.class].dims {
		if words *= classes; words > books[r.class].entries {
			return r, errSetup
		}
	}
	if b.over || books[r.class].dims == 0 {
		return r, errSetup
	}
	return r, nil
}

// read adds the residue to the spectra out, but for those of silent channels. If
// the packet ends first, it is what has been read. classes has room for a class of
// each of their values.
func (r *residue) read(b *reader, books []codebook, out [][]float32, silent []bool, classes []uint8) {
	if len(out) == 0 {
		return
	}
	channels, n := len(out), len(out[0])
	if r.kind == 2 { // all channels in turn, as one
		all := true
		for _, s := range silent {
			all = all && s
		}
		if all {
			return
		}
		n *= channels
		channels, silent = 1, []bool{false}
	}
	begin, end := min(r.begin, n), min(r.end, n)
	if begin >= end {
		return
	}
	parts := (end - begin) / r.size
	class := &books[r.class]
	for pass := range 8 {
		for p := 0; p < parts; {
			if pass == 0 {
				for c := range channels {
					if silent[c] {
						continue
					}
					word := class.entry(b)
					if word < 0 {
						return
					}
					for i := class.dims - 1; i >= 0; i-- {
						if p+i < parts {
							classes[c*n+p+i] = uint8(word % len(r.books))
						}
						word /= len(r.books)
					}
				}
			}
			for range min(class.dims, parts-p) {
				for c := range channels {
					if silent[c] {
						continue
					}
					book := r.books[classes[c*n+p]][pass]
					if book >= 0 && !r.part(b, &books[book], out, c, begin+p*r.size) {
						return
					}
				}
				p++
			}
		}
	}
}

// part adds a partition from at on; false if the packet ends first.
func (r *residue) part(b *reader, book *codebook, out [][]float32, c, at int) bool {
	switch r.kind {
	case 0:
		x := out[c][at : at+r.size]
		step := r.size / book.dims
		for i := range step {
			v := book.vector(b)
			if v == nil {
				return false
			}
			for k, v := range v {
				x[i+k*step] += v
			}
		}
	case 1:
		for x := out[c][at : at+r.size]; len(x) > 0; {
			v := book.vector(b)
			if v == nil {
				return false
			}
			n := min(len(v), len(x))
			for k, v := range v[:n] {
				x[k] += v
			}
			x = x[n:]
		}
	case 2:
		channels := len(out)
		i, c := at/channels, at%channels
		for left := r.size; left > 0; {
			v := book.vector(b)
			if v == nil {
				return false
			}
			for _, v := range v[:min(len(v), left)] {
				out[c][i] += v
				if c++; c == channels {
					c = 0
					i++
				}
			}
			left -= len(v)
		}
	}
	return true
}
