package ptx

import "strings"

// special returns the row of a register that the launch fills.
func (c *compiler) special(name string) int32 {
	if at, ok := c.spec[name]; ok {
		return at
	}
	var probe row
	w := warp{b: &block{l: &Launch{Grid: [3]int{1, 1, 1}, Threads: [3]int{1, 1, 1}, k: c.k}}}
	if !w.set(&probe, name) {
		c.refuse("unknown register %s", name)
	}
	at := c.newRow()
	c.spec[name] = at
	c.k.specials = append(c.k.specials, special{at, name, !strings.HasPrefix(name, "%tid") && !strings.HasPrefix(name, "%lane")})
	return at
}

// set fills a special register. It says false when there is none of that name.
func (w *warp) set(r *row, name string) bool {
	l := w.b.l
	axis, three := 0, false
	if i := len(name) - 2; i > 0 && name[i] == '.' {
		axis = strings.IndexByte("xyz", name[i+1])
		three = axis >= 0
		if !three {
			return false
		}
		name = name[:i]
	}
	v := uint64(0)
	switch name {
	case "%tid":
		for i := range r {
			r[i] = uint64(w.thread(i)[axis])
		}
		return three
	case "%ntid":
		v = uint64(l.Threads[axis])
	case "%ctaid", "%clusterid":
		v = uint64(w.b.at[axis])
	case "%nctaid", "%nclusterid":
		v = uint64(l.Grid[axis])
	case "%cluster_nctaid":
		v = 1
	case "%cluster_ctaid":
	default:
		if three {
			return false
		}
		switch name {
		case "%laneid":
			for i := range r {
				r[i] = uint64(i)
			}
			return true
		case "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge":
			for i := range r {
				eq, lt := uint32(1)<<i, uint32(1)<<i-1
				r[i] = uint64(map[string]uint32{"eq": eq, "lt": lt, "le": lt | eq, "gt": ^(lt | eq), "ge": ^lt}[name[10:]])
			}
			return true
		case "%warpid":
			v = uint64(w.index)
		case "%nwarpid":
			v = 64
		case "%nsmid", "%cluster_nctarank":
			v = 1
		case "%smid", "%gridid", "%cluster_ctarank", "%is_explicit_cluster":
		case "%dynamic_smem_size":
			v = uint64(l.Shared)
		case "%total_smem_size":
			v = uint64(up(l.k.Shared, l.k.align) + l.Shared)
		case "%aggr_smem_size":
			v = uint64(up(l.k.Shared, l.k.align) + l.Shared + sharedStart)
		default:
			return false
		}
		fill(r, v)
		return true
	}
	fill(r, v)
	return three
}

// clocks are registers that go on by themselves.
var clocks = map[string]bool{"%clock": true, "%clock64": true, "%clock_hi": true, "%globaltimer": true,
	"%globaltimer_lo": true, "%globaltimer_hi": true}
