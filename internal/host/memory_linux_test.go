package host

import (
	"math"
	"testing"
	"testing/fstest"
)

// What containers of either version look like from within, and from the host.
func TestContainersLimitMemory(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  float64
	}{
		{"none", map[string]string{}, math.Inf(1)},
		{"version 2, a namespace of its own", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"proc/self/mountinfo":      "30 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n",
			"sys/fs/cgroup/memory.max": "6442450944\n",
		}, 6 * gib},
		{"version 2, a limit above", map[string]string{
			"proc/self/cgroup":                                "0::/user.slice/job.scope\n",
			"proc/self/mountinfo":                             "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/user.slice/job.scope/memory.max":   "max\n",
			"sys/fs/cgroup/user.slice/memory.max":             "4294967296\n",
			"sys/fs/cgroup/user.slice/job.scope/memory.high":  "max\n",
			"sys/fs/cgroup/other.slice/job.scope/memory.max":  "1024\n",
			"sys/fs/cgroup/user.slice/job.scope/a/memory.max": "1024\n",
		}, 4 * gib},
		{"version 2, slowed down from there", map[string]string{
			"proc/self/cgroup":           "0::/a\n",
			"proc/self/mountinfo":        "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/a/memory.max": "max\n", "sys/fs/cgroup/a/memory.high": "3221225472\n",
		}, 3 * gib},
		{"version 1, without a namespace", map[string]string{
			"proc/self/cgroup":                           "9:name=systemd:/docker/ab\n4:cpu,memory:/docker/ab\n0::/docker/ab\n",
			"proc/self/mountinfo":                        "35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
		}, 2 * gib},
		{"version 1, no limit", map[string]string{
			"proc/self/cgroup":                              "4:memory:/x\n",
			"proc/self/mountinfo":                           "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes":  "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":    "9223372036854771712\n",
			"sys/fs/cgroup/cpuset/x/memory.limit_in_bytes":  "1\n",
			"sys/fs/cgroup/memory/xy/memory.limit_in_bytes": "1\n",
		}, 9223372036854771712},
		{"broken", map[string]string{
			"proc/self/cgroup":         "\n::\n0::/../../x\n",
			"proc/self/mountinfo":      "x\n - cgroup2\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory.max": "many\n",
		}, math.Inf(1)},
	} {
		root := fstest.MapFS{}
		for name, text := range tt.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		m := Memory{Bytes: math.Inf(1)}
		containerLimit(&m, root)
		if m.Bytes != tt.want || m.Bytes < 1<<40 && m.Limit != "this container may use" {
			t.Errorf("%s: %v, want %v", tt.name, m, tt.want)
		}
	}
}

func TestMachinesLimitMemory(t *testing.T) {
	info := "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:    4000000 kB\nSwapFree:        1000000 kB\nHugePages_Total:       0\n"
	m := Memory{Bytes: math.Inf(1)}
	machineLimit(&m, fstest.MapFS{"proc/meminfo": {Data: []byte(info)}}, 512<<10)
	if want := 5000512.0 * 1024; m.Bytes != want || m.Limit != "this machine has free" {
		t.Errorf("%v, want %v", m, want)
	}
	if real := memoryLimit(); !(real.Bytes > 1<<26 && real.Bytes < 1<<50) {
		t.Errorf("this machine: %v", real)
	}
}
