package cuda

import (
	"fmt"
	"math"

	"vicreg/internal/device"
)

// attentionParams is Attention of attention.h.
type attentionParams struct {
	qkv, o, dout, dqkv arr
	lse, dots          uint64
	starts             uint64
	c, heads           uint32
	factor             float32
	_                  uint32
}

var (
	attentionAny  = declare[attentionParams]("attention", "attention", 0)
	attentionDots = declare[attentionParams]("attention", "attention_dots", 0)
	attentionDQ   = declare[attentionParams]("attention", "attention_dq", 0)
	attentionDKV  = declare[attentionParams]("attention", "attention_dkv", 0)
)

// flash are the kernels in bfloat16 for a width of heads.
type flash struct{ forward, dq, dkv kernel[attentionParams] }

var (
	flash32 = declareFlash("32")
	flash64 = declareFlash("64")
)

func declareFlash(width string) flash {
	return flash{
		forward: declare[attentionParams]("flash", "flash_"+width, 0),
		dq:      declare[attentionParams]("flash", "flash_dq_"+width, 0),
		dkv:     declare[attentionParams]("flash", "flash_dkv_"+width, 0),
	}
}

// flashFor returns the kernels in bfloat16, if there are some for all of these arrays.
func flashFor(s device.Attention, arrays ...device.Array) (flash, bool) {
	for _, a := range arrays {
		if a.Type() != device.BFloat16 || a.Addr()%16 != 0 {
			return flash{}, false
		}
	}
	switch s.C / s.Heads {
	case 32:
		return flash32, true
	case 64:
		return flash64, true
	}
	return flash{}, false
}

// attention is one that a kernel gets, and its grid: the sequences, the heads, and blocks
// of the longest one's rows.
type attention struct {
	p       attentionParams
	n       int // sequences
	heads   int
	longest int
}

func (d *Device) attention(s device.Attention, qkv, o, lse device.Array) attention {
	n := len(s.Starts) - 1
	rows := int(s.Starts[n])
	if s.C%s.Heads != 0 || qkv.Len() != 3*rows*s.C || o.Len() != rows*s.C || lse.Len() != rows*s.Heads {
		panic(fmt.Sprintf("cuda: attention of %d rows of %d and %d heads meets %d, %d, %d elements in qkv, o, lse",
			rows, s.C, s.Heads, qkv.Len(), o.Len(), lse.Len()))
	}
	a := attention{n: n, heads: s.Heads}
	for i, from := range s.Starts[:n] {
		a.longest = max(a.longest, int(s.Starts[i+1]-from))
	}
	if rows > 0 {
		a.p = attentionParams{qkv: d.arr(qkv), o: d.arr(o), lse: d.f32(lse), starts: d.i32(s.At), c: uint32(s.C),
			heads: uint32(s.Heads), factor: float32(1 / math.Sqrt(float64(s.C/s.Heads)))}
	}
	return a
}

// any launches a kernel for any type: 64 rows a block.
func (a *attention) any(d *Device, k kernel[attentionParams]) {
	k.launch(d, [3]int{a.n, a.heads, (a.longest + 63) / 64}, 256, 0, a.p)
}

// warps launches one in bfloat16: 16 rows a warp, at most so many warps a block, and
// blocks as alike as can be.
func (a *attention) warps(d *Device, k kernel[attentionParams], most int) {
	tiles := (a.longest + 15) / 16
	blocks := (tiles + most - 1) / most
	warps := (tiles + blocks - 1) / blocks
	k.launch(d, [3]int{a.n, a.heads, blocks}, 32*warps, 0, a.p)
}

func (d *Device) AttentionForward(o, lse device.Array, s device.Attention, qkv device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.attention(s, qkv, o, lse)
	if a.longest == 0 {
		return
	}
	if f, ok := flashFor(s, qkv, o); ok {
		a.warps(d, f.forward, 8)
	} else {
		a.any(d, attentionAny)
	}
}

func (d *Device) AttentionGrad(dqkv device.Array, s device.Attention, qkv, o, do, lse device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.attention(s, qkv, o, lse)
	if dqkv.Len() != qkv.Len() || do.Len() != o.Len() {
		panic(fmt.Sprintf("cuda: gradients of attention of %d and %d elements, want %d and %d", dqkv.Len(), do.Len(),
			qkv.Len(), o.Len()))
	}
	if a.longest == 0 {
		return
	}
	a.p.dqkv, a.p.dout, a.p.dots = d.arr(dqkv), d.arr(do), uint64(d.room(forPartials, 4*lse.Len()))
	if f, ok := flashFor(s, qkv, o, do, dqkv); ok {
		a.warps(d, f.dq, 8)
		a.warps(d, f.dkv, 4)
	} else {
		attentionDots.launch(d, [3]int{a.n, a.heads, 1}, 256, 0, a.p)
		a.any(d, attentionDQ)
		a.any(d, attentionDKV)
	}
}
