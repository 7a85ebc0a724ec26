package host

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"strings"
	"syscall"
)

func memoryLimit() Memory {
	root := os.DirFS("/")
	m := Memory{math.Inf(1), "this machine has"}
	own := sizes(root, "proc/self/status")
	machineLimit(&m, root, own["VmRSS"])
	containerLimit(&m, root)
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &r) == nil && r.Cur < math.MaxInt64 {
		m.below(float64(r.Cur)-(own["VmSize"]-own["VmRSS"]), "this process may use (ulimit -v)")
	}
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &r) == nil && r.Cur < math.MaxInt64 {
		m.below(float64(r.Cur)-(own["VmData"]-own["RssAnon"]), "this process may use (ulimit -d)")
	}
	return m
}

// machineLimit lowers m to the memory of the machine, or to the part of it that is free
// for this process, which holds own now. Swap counts as free: it can be used, though it
// is slow.
func machineLimit(m *Memory, root fs.FS, own float64) {
	info := sizes(root, "proc/meminfo")
	total, ok := info["MemTotal"]
	if !ok {
		return
	}
	m.below(total, "this machine has")
	if free, ok := info["MemAvailable"]; ok {
		m.below(free+info["SwapFree"]+own, "this machine has free")
	}
}

// sizes reads the lines of a file of proc that give an amount in kB.
func sizes(root fs.FS, name string) map[string]float64 {
	raw, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(raw)) {
		key, rest, _ := strings.Cut(line, ":")
		var kib float64
		if n, _ := fmt.Sscanf(rest, "%g kB", &kib); n == 1 {
			all[key] = kib * 1024
		}
	}
	return all
}

// containerLimit lowers m to the limits of the control groups this process is in,
// of either version, up to the root of what it can see.
func containerLimit(m *Memory, root fs.FS) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return
	}
	mounts := groupMounts(root)
	for line := range strings.Lines(string(groups)) {
		// 4:memory:/path, or 0::/path of version 2
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		kind, files := "cgroup", []string{"memory.limit_in_bytes"}
		if part[1] == "" {
			kind, files = "cgroup2", []string{"memory.max", "memory.high"}
		} else if !contains(part[1], "memory") {
			continue
		}
		for _, mount := range mounts {
			if mount.kind != kind {
				continue
			}
			// A container may see its own group as the mount's root.
			within, ok := strings.CutPrefix(part[2], mount.root)
			if mount.root == "/" {
				within, ok = part[2], true
			}
			if !ok {
				within = "/"
			}
			for dir := path.Clean("/" + within); ; dir = path.Dir(dir) {
				for _, file := range files {
					raw, err := fs.ReadFile(root, strings.TrimPrefix(path.Join(mount.at, dir, file), "/"))
					var bytes float64
					if n, _ := fmt.Sscanf(string(raw), "%g", &bytes); err == nil && n == 1 {
						m.below(bytes, "this container may use")
					}
				}
				if dir == "/" {
					break
				}
			}
		}
	}
}

// mount is where control groups are seen: at shows what is below root.
type mount struct{ kind, root, at string }

// groupMounts lists the mounts of version 2 and those of version 1 that tell of
// memory.
func groupMounts(root fs.FS) []mount {
	raw, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var all []mount
	for line := range strings.Lines(string(raw)) {
		// 35 31 0:32 ROOT AT options ... - TYPE device OPTIONS
		head, tail, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(head), strings.Fields(tail)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		if right[0] == "cgroup2" || right[0] == "cgroup" && contains(right[2], "memory") {
			all = append(all, mount{right[0], left[3], left[4]})
		}
	}
	return all
}

// contains reports whether a list joined by commas has a word.
func contains(list, word string) bool {
	return strings.Contains(","+list+",", ","+word+",")
}
