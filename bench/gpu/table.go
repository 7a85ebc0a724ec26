package main

import (
	"fmt"
	"strings"
	"time"
)

// workload is what all sides do.
type workload struct {
	name   string
	ours   string   // arguments of vicreg bench
	images int      // of a step; 0: none
	peers  []string // of peer.py and peer_jax.py
	goals  map[string]float64
	memory float64 // of the first peer's memory, not to be exceeded; 0: no goal
}

const (
	step50    = "step:resnet50:224:256:8192-8192-8192:bf16:"
	step18    = "step:resnet18:32:256:2048-2048-2048:bf16:"
	step18big = "step:resnet18:32:1024:2048-2048-2048:bf16:"
)

var workloads = []workload{
	{name: "step, ResNet-50, 224 px, batch 256, expander 8192³, bf16, LARS", images: 256, memory: 0.7,
		ours: "step --encoder resnet50 --stem imagenet --size 224 --batch 256 --expander 8192-8192-8192 --precision bf16" +
			" --steps 12 --warmup 5",
		peers: []string{step50 + "eager", step50 + "compile", step50 + "xla"},
		goals: map[string]float64{"compile": 1.4, "xla": 1.25}},
	{name: "step, ResNet-18, 32 px, batch 256, expander 2048³, bf16, LARS", images: 256,
		ours: "step --encoder resnet18 --stem small --size 32 --batch 256 --expander 2048-2048-2048 --precision bf16" +
			" --steps 60 --warmup 30",
		peers: []string{step18 + "eager", step18 + "graphs"}, goals: map[string]float64{"graphs": 1.5}},
	{name: "the same, batch 1024", images: 1024,
		ours: "step --encoder resnet18 --stem small --size 32 --batch 1024 --expander 2048-2048-2048 --precision bf16" +
			" --steps 30 --warmup 20",
		peers: []string{step18big + "eager"}, goals: map[string]float64{"eager": 1.5}},
	{name: "inference, ResNet-50, 224 px, batch 256, bf16", images: 256,
		ours:  "embed --encoder resnet50 --stem imagenet --size 224 --batch 256 --precision bf16 --steps 20 --warmup 5",
		peers: []string{"embed:resnet50:224:256:bf16:eager", "embed:resnet50:224:256:bf16:compile"},
		goals: map[string]float64{"compile": 1}},
	{name: "loss and gradients, n=256, d=8192, float32",
		ours: "loss --n 256 --d 8192 --steps 50 --warmup 10", peers: []string{"loss:256:8192"}},
	{name: "loss and gradients, n=2048, d=8192, float32",
		ours: "loss --n 2048 --d 8192 --steps 20 --warmup 5", peers: []string{"loss:2048:8192"},
		goals: map[string]float64{"eager": 5}},
}

// timing is what a side prints, as far as it is read here.
type timing struct {
	Times  []float64 `json:"times_s"`
	Median float64   `json:"median_s"`
	Peak   float64   `json:"peak_mib"`        // PyTorch's and JAX's, of the card's memory
	Device float64   `json:"device_peak_mib"` // ours
	Error  string    `json:"error"`
}

// row is what came out of a workload.
type row struct {
	workload
	us     *timing
	theirs map[string]*timing // by peer
}

type table struct {
	date     time.Time
	card     string
	versions []string
	rows     []row
}

// way is how a peer does it.
func way(peer string) string {
	if strings.HasPrefix(peer, "loss:") {
		return "eager"
	}
	return peer[strings.LastIndex(peer, ":")+1:]
}

func milliseconds(t *timing) string {
	return fmt.Sprintf("%.2f ms, %.0f MiB", 1e3*t.Median, max(t.Peak, t.Device))
}

// String returns the table as Markdown.
func (t *table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s by `go run -tags native ./bench/gpu` on one %s; %s. Medians.\n\n",
		t.date.Format(time.DateOnly), t.card, strings.Join(t.versions, ", "))
	b.WriteString("| workload | side | ms | images/s | vicreg is | goal | MiB |\n|---|---|---|---|---|---|---|\n")
	for _, r := range t.rows {
		if r.us == nil {
			fmt.Fprintf(&b, "| %s | vicreg | failed | | | | |\n", r.name)
			continue
		}
		memory := fmt.Sprintf("%.0f", r.us.Device)
		for _, p := range r.peers[:1] {
			if q := r.theirs[p]; q != nil && q.Peak > 0 && r.us.Device > 0 {
				memory += fmt.Sprintf(" (%.2f of PyTorch's)", r.us.Device/q.Peak)
			}
		}
		fmt.Fprintf(&b, "| %s | vicreg | %.2f | %s | | | %s |\n", r.name, 1e3*r.us.Median, r.rate(r.us), memory)
		for _, p := range r.peers {
			q := r.theirs[p]
			if q == nil {
				continue
			}
			name := "PyTorch, " + way(p)
			if way(p) == "xla" {
				name = "JAX"
			}
			fmt.Fprintf(&b, "| | %s | %.2f | %s | %.2f× | %s | %.0f |\n", name, 1e3*q.Median, r.rate(q),
				q.Median/r.us.Median, goal(r.goals[way(p)], q.Median/r.us.Median), q.Peak)
		}
	}
	return b.String()
}

func (r *row) rate(t *timing) string {
	if r.images == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", float64(r.images)/t.Median)
}

// goal says what was to be reached, and whether got does.
func goal(want, got float64) string {
	switch {
	case want == 0:
		return ""
	case got >= want:
		return fmt.Sprintf("≥ %g× met", want)
	}
	return fmt.Sprintf("≥ %g× **missed**", want)
}
