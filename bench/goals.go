package main

import (
	"runtime"
	"slices"
	"strings"
)

// processor is what decides which goals count.
type processor struct {
	intel     bool
	bf16, amx bool // AVX512_BF16, and tiles that multiply bfloat16
}

// thisProcessor looks at the machine's own, as far as the system tells.
func thisProcessor() processor {
	return readProcessor(field("/proc/cpuinfo", "vendor_id"), field("/proc/cpuinfo", "flags"))
}

func readProcessor(vendor, flags string) processor {
	has := func(name string) bool { return slices.Contains(strings.Fields(flags), name) }
	return processor{intel: vendor == "GenuineIntel", bf16: has("avx512_bf16"), amx: has("amx_bf16") && has("amx_tile")}
}

// String names what decides.
func (p processor) String() string {
	name := "AMD or another"
	if p.intel {
		name = "Intel"
	}
	if runtime.GOARCH != "amd64" {
		name = runtime.GOARCH
	}
	switch {
	case p.amx:
		name += " with AMX"
	case p.bf16:
		name += " with AVX512_BF16"
	}
	return name
}

// goals are ratios to reach by a workload: on few threads, where a processor may have one of
// its own, and on many; 0: none.
type goals struct{ few, intel, amx, many float64 }

// manyThreads is from how many on the goals are those of many.
const manyThreads = 8

// of returns the goal that counts.
func (g goals) of(p processor, threads int) float64 {
	switch {
	case threads >= manyThreads:
		return g.many
	case p.amx && g.amx > 0:
		return g.amx
	case p.intel && g.intel > 0:
		return g.intel
	}
	return g.few
}

// memoryGoal is the share of PyTorch's memory that a step may take.
const memoryGoal = 0.6

// Of how many threads the step is compared with that of two. It is to gain leastGain where
// the ceiling gains ceilingGain, and in proportion where that gains less.
const (
	leastGain   = 5.0
	ceilingGain = 5.8
)
