//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vicreg/internal/group"
)

// peer is what every process tells about itself at the start.
type peer struct {
	Host    string
	Process int
	Began   string // when, as the system of the host counts: a number is given out again
	Space   string // in which the number of the process counts: a host since it started, a container
	Cores   string // that it may use
}

// self tells about this process.
func (w *World) self() peer {
	p := peer{Host: w.host, Process: os.Getpid(), Began: began(os.Getpid()), Cores: allowed()}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, err2 := os.Readlink("/proc/self/ns/pid")
	if err == nil && err2 == nil && p.Began != "" {
		p.Space = strings.TrimSpace(string(boot)) + space
	}
	return p
}

// meet has all processes know one another.
func (w *World) meet() (err error) {
	defer group.Catch(&err)
	mine, err := json.Marshal(w.self())
	if err != nil {
		return err
	}
	w.peers = make([]peer, w.size)
	for r, text := range w.GatherBytes(mine) {
		if err := json.Unmarshal(text, &w.peers[r]); err != nil {
			return fmt.Errorf("process %d tells nothing of itself: %w; are all of the same version of vicreg?", r, err)
		}
	}
	return nil
}

// Host is where a process runs.
func (w *World) Host(rank int) string { return w.peers[rank].Host }

// Hosts returns the names of the hosts, in the order of their first ranks.
func (w *World) Hosts() []string {
	var names []string
	for _, p := range w.peers {
		if !slices.Contains(names, p.Host) {
			names = append(names, p.Host)
		}
	}
	return names
}

// Local returns which of the processes on this host this one is, and how many they are.
func (w *World) Local() (rank, size int) {
	for r, p := range w.peers {
		if p.Host == w.host {
			if r < w.rank {
				rank++
			}
			size++
		}
	}
	return rank, size
}

// Sharing returns how many processes of this host may use the very cores that this one may:
// 1 if the launcher has bound each to its own.
func (w *World) Sharing() int {
	n := 0
	for _, p := range w.peers {
		if p.Host == w.host && p.Cores == w.peers[w.rank].Cores {
			n++
		}
	}
	return n
}

// watch is when a process that waits has last looked whether the others are there.
type watch struct{ looked time.Time }

// A process that waits looks that often whether those it can see are there. The launcher
// ends all when one dies, soon after, and says how; this says which it was before that.
const lookEvery = 200 * time.Millisecond

// alive fails if another process on this host is gone. Of those on other hosts the
// launcher knows.
func (w *World) alive(waited time.Duration) error {
	if w.broken.Load() {
		return group.Failure{Rank: -1, Err: errors.New("the processes were ended")}
	}
	if waited < lookEvery || time.Since(w.watch.looked) < lookEvery {
		return nil
	}
	w.watch.looked = time.Now()
	mine := w.peers[w.rank].Space
	for r, p := range w.peers {
		if r != w.rank && mine != "" && p.Space == mine && began(p.Process) != p.Began {
			return group.Failure{Rank: r, Err: fmt.Errorf("process %d of %d, on %s, is gone", r, w.size, p.Host)}
		}
	}
	return nil
}

// began returns when a process started, as the system counts; empty if it runs no more.
func began(process int) string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process), "stat"))
	if err != nil {
		return ""
	}
	// The second field is a name in parentheses, which may hold anything; proc(5).
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 || strings.ContainsAny(fields[0], "ZXx") {
		return ""
	}
	return fields[19]
}

// allowed returns the cores that this process may use, as the system writes them.
func allowed() string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	return ""
}
