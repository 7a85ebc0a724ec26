package ptx

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Profile counts what the instructions of a kernel did, over any number of launches.
type Profile struct {
	Kernel *Kernel
	Blocks int64
	Lines  []Line // by instruction
}

// Line is what one instruction did.
type Line struct {
	Number int    // in the file
	Text   string // the operation
	Warps  int64  // how often a warp did it
	Lanes  int64  // threads, of 32 a warp

	// Of shared memory, passes over the banks, and how few there could be; of global
	// memory, sectors of 32 bytes, and how few could hold the same bytes.
	Passes, LeastPasses   int64
	Sectors, LeastSectors int64
}

// NewProfile returns one for launches of a kernel.
func NewProfile(k *Kernel) *Profile {
	p := &Profile{Kernel: k, Lines: make([]Line, len(k.code))}
	for i := range p.Lines {
		p.Lines[i].Number, p.Lines[i].Text = int(k.code[i].line), k.code[i].text
	}
	return p
}

// excess is how much more than needed an access took.
func (l *Line) excess() int64 { return l.Passes - l.LeastPasses + l.Sectors - l.LeastSectors }

// Of says that the profile is of a kernel.
func (p *Profile) Of(k *Kernel) bool { return p.Kernel.Name == k.Name && len(p.Lines) == len(k.code) }

// access counts an access of a warp to memory.
func (p *Profile) access(w *warp, m uint32, base *row, off uint64, space string, size int) {
	var at [32]uint64
	n := 0
	for i, v := range base {
		if m>>i&1 == 1 {
			at[n] = v + off
			n++
		}
	}
	if space == "" {
		space = map[uint64]string{sharedWindow: "shared", localWindow: "local"}[at[0]&windows]
	}
	l := &p.Lines[w.pc]
	switch space {
	case "shared":
		group := 32 * 4 / max(size, 4) // threads that are served at once
		words := make([]uint64, 0, 32)
		all := 0
		for i := 0; i < n; i += group {
			words = words[:0]
			for _, a := range at[i:min(i+group, n)] {
				for b := uint64(0); b < uint64(size); b += 4 {
					words = append(words, (a+b)/4)
				}
			}
			slices.Sort(words)
			words = slices.Compact(words)
			var banks [32]int64
			most := int64(0)
			for _, v := range words {
				banks[v%32]++
				most = max(most, banks[v%32])
			}
			l.Passes += most
			all += (len(words) + 31) / 32
		}
		l.LeastPasses += int64(all)
	case "", "global":
		sectors := make([]uint64, 0, 64)
		distinct := slices.Clone(at[:n])
		slices.Sort(distinct)
		distinct = slices.Compact(distinct)
		for _, a := range distinct {
			for b := a / 32; b <= (a+uint64(size)-1)/32; b++ {
				sectors = append(sectors, b)
			}
		}
		slices.Sort(sectors)
		l.Sectors += int64(len(slices.Compact(sectors)))
		l.LeastSectors += int64((len(distinct)*size + 31) / 32)
	}
}

// String lists what took most: kinds of instructions, and the accesses to memory that
// take more than they need.
func (p *Profile) String() string {
	var s strings.Builder
	warps, lanes := int64(0), int64(0)
	kinds := map[string]int64{}
	for _, l := range p.Lines {
		warps += l.Warps
		lanes += l.Lanes
		kinds[l.Text] += l.Warps
	}
	fmt.Fprintf(&s, "%s: %d blocks, %d instructions of warps, %.1f threads in each\n", p.Kernel.Name, p.Blocks, warps,
		float64(lanes)/float64(max(warps, 1)))
	names := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(kinds[b], kinds[a]), cmp.Compare(a, b))
	})
	for _, name := range names[:min(len(names), 24)] {
		if kinds[name] > 0 {
			fmt.Fprintf(&s, "  %5.1f%%  %s\n", 100*float64(kinds[name])/float64(warps), name)
		}
	}
	total := Line{}
	lines := slices.Clone(p.Lines)
	for _, l := range lines {
		total.Passes += l.Passes
		total.LeastPasses += l.LeastPasses
		total.Sectors += l.Sectors
		total.LeastSectors += l.LeastSectors
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return cmp.Compare(b.excess(), a.excess()) })
	for _, l := range lines[:min(len(lines), 12)] {
		switch each := float64(max(l.Warps, 1)); {
		case l.Passes > l.LeastPasses:
			fmt.Fprintf(&s, "  line %d, %d times, %s: %.2f passes over the banks, %.2f would do\n", l.Number, l.Warps, l.Text,
				float64(l.Passes)/each, float64(l.LeastPasses)/each)
		case l.excess() > 0:
			fmt.Fprintf(&s, "  line %d, %d times, %s: %.2f sectors, %.2f would do\n", l.Number, l.Warps, l.Text,
				float64(l.Sectors)/each, float64(l.LeastSectors)/each)
		}
	}
	fmt.Fprintf(&s, "  in all %d passes over the banks of shared memory, %d would do; %d sectors, %d would do\n",
		total.Passes, total.LeastPasses, total.Sectors, total.LeastSectors)
	return s.String()
}
