package main

import (
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	step := workloads[0]
	tb := table{date: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), card: "a card", versions: []string{"PyTorch 2"},
		rows: []row{
			{workload: step, us: &timing{Median: 0.07, Device: 14000}, theirs: map[string]*timing{
				step50 + "eager":   {Median: 0.14, Peak: 20000},
				step50 + "compile": {Median: 0.105},
				step50 + "xla":     {Median: 0.08},
			}},
			{workload: workloads[1]},
		}}
	got := tb.String()
	for _, want := range []string{
		"2026-11-27", "on one a card; PyTorch 2.",
		"| vicreg | 70.00 | 3657 | | | 14000 (0.70 of PyTorch's) |",
		"| PyTorch, eager | 140.00 | 1829 | 2.00× |  | 20000 |",
		"| PyTorch, compile | 105.00 | 2438 | 1.50× | ≥ 1.4× met |",
		"| JAX | 80.00 | 3200 | 1.14× | ≥ 1.25× **missed** |",
		"| " + workloads[1].name + " | vicreg | failed |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// Every goal belongs to a peer that runs.
func TestGoals(t *testing.T) {
	for _, w := range workloads {
		for to := range w.goals {
			found := false
			for _, p := range w.peers {
				found = found || way(p) == to
			}
			if !found {
				t.Errorf("%s: a goal against %s, which does not run", w.name, to)
			}
		}
	}
}
