// Package scaling reckons what more processors would do for a computation, from what its
// loops take on one: how long so many workers would be busy with the pieces of each loop,
// and what they would lose to stretches that only one can do, to loops of too few or of
// unequal pieces, and to the starts and ends of loops. What a machine then falls short of
// the reckoning is due to what its processors share: memory, caches, and their clock.
package scaling

import (
	"cmp"
	"slices"
	"time"

	"vicreg/internal/kernel/vector"
	"vicreg/internal/pages"
	"vicreg/internal/parallel"
)

// Counts are the numbers of workers that a report reckons with.
var Counts = []int{2, 4, 8, 16, 32, 64}

// Typical is the number of workers of which a report shows where time is lost.
const Typical = 16

// Report is the outcome for one computation. Times are in milliseconds.
type Report struct {
	Threads   int       `json:"threads"`
	One       float64   `json:"one_ms"`      // on one worker
	Measured  float64   `json:"measured_ms"` // with the threads that there are
	Reckoned  []Count   `json:"reckoned"`
	Kinds     []Kind    `json:"loops"`      // the longest first
	Serial    []Stretch `json:"serial"`     // the longest first
	Traffic   []Traffic `json:"operations"` // the longest first
	ForCost   []Cost    `json:"for_cost"`
	Bandwidth []Rate    `json:"memory"`
}

// Count is what so many workers would take, and what of that is no use.
type Count struct {
	Workers  int     `json:"workers"`
	Total    float64 `json:"ms"`
	Speedup  float64 `json:"speedup"`
	Serial   float64 `json:"serial_ms"`   // one works, the others wait
	Uneven   float64 `json:"uneven_ms"`   // too few pieces, or unequal ones
	Barriers float64 `json:"barriers_ms"` // starts and ends of loops
}

// Kind is all loops of one operation with one body and as many pieces.
type Kind struct {
	Operation string  `json:"operation"`
	Body      string  `json:"body"`
	Loops     int     `json:"loops"`
	Pieces    int     `json:"pieces"` // of a loop
	One       float64 `json:"one_ms"`
	Reckoned  float64 `json:"reckoned_ms"`   // with Typical workers
	Uneven    float64 `json:"uneven_ms"`     // of these
	Barriers  float64 `json:"barriers_ms"`   // of these
	Here      float64 `json:"here_ms"`       // reckoned for the threads that there are
	Measured  float64 `json:"here_measured"` // and measured
}

// Stretch is what one worker does between the loops of two kinds.
type Stretch struct {
	After  string  `json:"after"`
	Before string  `json:"before"`
	Times  int     `json:"times"`
	Total  float64 `json:"ms"`
}

// Traffic is the least that an operation must move, its operands once each.
type Traffic struct {
	Operation string  `json:"operation"`
	Megabytes float64 `json:"megabytes"`
	One       float64 `json:"one_ms"`         // on one worker
	Measured  float64 `json:"measured_ms"`    // with the threads that there are
	Rate      float64 `json:"gb_per_s"`       // then
	Needs     float64 `json:"needs_gb_per_s"` // with Typical workers, if nothing but arithmetic took time
}

// Cost is what a For costs besides its pieces.
type Cost struct {
	Workers int     `json:"workers"`
	Micros  float64 `json:"us"`
	Assumed bool    `json:"assumed"` // grows with the workers from the last that was measured
}

// Rate is what memory gives to so many threads that add one long vector to another.
type Rate struct {
	Threads int     `json:"threads"`
	Rate    float64 `json:"gb_per_s"`
}

// Of records some calls of run and makes a report of them. It leaves as many workers as there
// were.
func Of(run func() error) (*Report, error) {
	threads := parallel.Workers()
	r := &Report{Threads: threads}
	const calls = 3
	var single, all *parallel.Recording
	parallel.SetWorkers(1)
	for range calls {
		next, err := parallel.Record(run)
		if err != nil {
			return nil, err
		}
		single = quickest(single, next)
	}
	r.Bandwidth = append(r.Bandwidth, Rate{1, bandwidth()})
	parallel.SetWorkers(threads)
	for range calls {
		next, err := parallel.Watch(run)
		if err != nil {
			return nil, err
		}
		all = quickest(all, next)
	}
	if threads > 1 {
		r.Bandwidth = append(r.Bandwidth, Rate{threads, bandwidth()})
	}
	r.costs(threads)
	parallel.SetWorkers(threads)
	r.reckon(single, all)
	return r, nil
}

// quickest returns the least of each time, of two recordings of the same loops: what
// others on the machine took away is in the difference.
func quickest(a, b *parallel.Recording) *parallel.Recording {
	if a == nil || len(a.Loops) != len(b.Loops) {
		return b
	}
	for i := range a.Loops {
		x, y := &a.Loops[i], &b.Loops[i]
		x.Before = min(x.Before, y.Before)
		x.Took = min(x.Took, y.Took)
		for p := range min(len(x.Pieces), len(y.Pieces)) {
			x.Pieces[p] = min(x.Pieces[p], y.Pieces[p])
		}
	}
	a.After = min(a.After, b.After)
	return a
}

// bandwidth returns what memory gives to the workers, in 10⁹ bytes a second.
func bandwidth() float64 {
	const n, times = 32 << 20, 5
	x, y := pages.Floats(n), pages.Floats(n)
	vector.Axpy(y, 1, x)
	best := time.Hour
	for range times {
		start := time.Now()
		vector.Axpy(y, 1, x)
		best = min(best, time.Since(start))
	}
	return 3 * 4 * n / best.Seconds() / 1e9
}

// costs measures what a For costs with as many workers as there are threads, and assumes
// that more make it dearer in proportion.
func (r *Report) costs(threads int) {
	last := Cost{Workers: 1}
	for _, n := range Counts {
		c := Cost{Workers: n}
		if n <= threads {
			parallel.SetWorkers(n)
			c.Micros = float64(parallel.Cost()) / 1e3
			last = c
		} else {
			c.Assumed = true
			if last.Workers > 1 {
				c.Micros = last.Micros * float64(n-1) / float64(last.Workers-1)
			}
		}
		r.ForCost = append(r.ForCost, c)
	}
}

// cost returns what a loop of n pieces costs so many workers.
func (r *Report) cost(workers, n int) float64 {
	if workers = min(workers, n); workers < 2 {
		return 0
	}
	for _, c := range r.ForCost {
		if c.Workers >= workers {
			return c.Micros / 1e3
		}
	}
	return r.ForCost[len(r.ForCost)-1].Micros / 1e3
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// reckon fills in the report from the loops on one worker and on all.
func (r *Report) reckon(single, all *parallel.Recording) {
	for _, n := range Counts {
		c := Count{Workers: n, Serial: ms(single.After)}
		c.Total = c.Serial
		for i := range single.Loops {
			l := &single.Loops[i]
			span, fair, cost := ms(parallel.Makespan(l.Pieces, n)), ms(l.Sum())/float64(n), r.cost(n, len(l.Pieces))
			c.Serial += ms(l.Before)
			c.Uneven += span - fair
			c.Barriers += cost
			c.Total += ms(l.Before) + span + cost
		}
		r.Reckoned = append(r.Reckoned, c)
	}
	r.One = ms(single.After)
	for i := range single.Loops {
		r.One += ms(single.Loops[i].Before) + ms(single.Loops[i].Sum())
	}
	for i := range r.Reckoned {
		r.Reckoned[i].Speedup = r.One / r.Reckoned[i].Total
	}
	r.Measured = ms(all.After)
	for i := range all.Loops {
		r.Measured += ms(all.Loops[i].Before) + ms(all.Loops[i].Took)
	}
	r.kinds(single, all)
	r.stretches(single)
	r.traffic(single, all)
}

func (r *Report) kinds(single, all *parallel.Recording) {
	type key struct {
		operation, body string
		pieces          int
	}
	at := map[key]*Kind{}
	same := len(single.Loops) == len(all.Loops)
	for i := range single.Loops {
		l := &single.Loops[i]
		n := len(l.Pieces)
		of := key{l.Operation, l.Body, n}
		k := at[of]
		if k == nil {
			k = &Kind{Operation: l.Operation, Body: l.Body, Pieces: n}
			at[of] = k
		}
		sum, span, cost := ms(l.Sum()), ms(parallel.Makespan(l.Pieces, Typical)), r.cost(Typical, n)
		k.Loops++
		k.One += sum
		k.Reckoned += span + cost
		k.Uneven += span - sum/Typical
		k.Barriers += cost
		k.Here += ms(parallel.Makespan(l.Pieces, r.Threads)) + r.cost(r.Threads, n)
		if same {
			k.Measured += ms(all.Loops[i].Took)
		}
	}
	for _, k := range at {
		r.Kinds = append(r.Kinds, *k)
	}
	slices.SortFunc(r.Kinds, func(a, b Kind) int {
		return cmp.Or(cmp.Compare(b.Reckoned, a.Reckoned), cmp.Compare(a.Operation+a.Body, b.Operation+b.Body),
			cmp.Compare(a.Pieces, b.Pieces))
	})
}

func (r *Report) stretches(single *parallel.Recording) {
	at := map[[2]string]*Stretch{}
	before := "the start"
	add := func(next string, took time.Duration) {
		key := [2]string{before, next}
		s := at[key]
		if s == nil {
			s = &Stretch{After: before, Before: next}
			at[key] = s
		}
		s.Times++
		s.Total += ms(took)
		before = next
	}
	for i := range single.Loops {
		l := &single.Loops[i]
		add(l.Operation+" "+l.Body, l.Before)
	}
	add("the end", single.After)
	for _, s := range at {
		r.Serial = append(r.Serial, *s)
	}
	slices.SortFunc(r.Serial, func(a, b Stretch) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.After+a.Before, b.After+b.Before))
	})
}

func (r *Report) traffic(single, all *parallel.Recording) {
	at := map[string]*Traffic{}
	same := len(single.Loops) == len(all.Loops)
	for i := range single.Loops {
		l := &single.Loops[i]
		t := at[l.Operation]
		if t == nil {
			t = &Traffic{Operation: l.Operation}
			at[l.Operation] = t
		}
		t.Megabytes += float64(l.Bytes) / 1e6
		t.One += ms(l.Sum())
		if same {
			t.Measured += ms(all.Loops[i].Took)
		}
	}
	for _, t := range at {
		if t.Measured > 0 {
			t.Rate = t.Megabytes / t.Measured
		}
		if t.One > 0 {
			t.Needs = t.Megabytes / (t.One / Typical)
		}
		r.Traffic = append(r.Traffic, *t)
	}
	slices.SortFunc(r.Traffic, func(a, b Traffic) int {
		return cmp.Or(cmp.Compare(b.One, a.One), cmp.Compare(a.Operation, b.Operation))
	})
}
