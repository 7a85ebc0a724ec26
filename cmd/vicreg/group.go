package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"vicreg/internal/device"
	"vicreg/internal/devices"
	"vicreg/internal/group"
	"vicreg/internal/group/mpi"
	"vicreg/internal/host"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

// ranks are the processes that train together with this one, if a launcher started more
// than one.
var ranks struct {
	launch mpi.Launch
	world  *mpi.World // nil: this process has not joined the others
	about  string     // them, for people
	notes  []string   // what is to be known of them
}

// launched looks for a launcher.
func launched() (err error) {
	if ranks.launch.Size == 0 {
		ranks.launch, err = mpi.Launched(os.Getenv)
	}
	return err
}

// join joins the processes that a launcher started. threads is how many the user wants of
// each, 0 if that is left open. It returns a group of one where this is the only process.
// Their end is [depart].
func join(threads int) (group.Group, error) {
	if err := launched(); err != nil || ranks.launch.Size == 1 {
		return group.Alone{}, err
	}
	w, err := mpi.Open(ranks.launch)
	if err != nil {
		return nil, fmt.Errorf("%w (%s=%s lets each train by itself)", err, mpi.Variable, mpi.None)
	}
	ranks.world = w
	if err := alike(w); err != nil {
		return nil, err
	}
	spread(w, threads)
	return w, nil
}

// alike checks that all processes are the same program, called alike.
func alike(w group.Group) (err error) {
	defer group.Catch(&err)
	for _, what := range []struct{ mine, differs string }{
		{host.Version(), "%s is vicreg %s and %s is vicreg %s; all must be the same"},
		{strings.Join(os.Args[1:], " "), "%s was called with %q and %s with %q; processes that train " +
			"together are all called alike (" + mpi.Variable + "=" + mpi.None + " lets each train by itself)"},
	} {
		all := w.GatherBytes([]byte(what.mine))
		other := slices.IndexFunc(all, func(b []byte) bool { return string(b) != string(all[0]) })
		if other > 0 {
			first, differs := show.Line(string(all[0])), show.Line(string(all[other]))
			return fmt.Errorf(what.differs, who(0), first, who(other), differs)
		}
	}
	return nil
}

// who names a process.
func who(rank int) string {
	return fmt.Sprintf("process %d on %s", rank, show.Line(ranks.world.Host(rank)))
}

// spread has the processes of a host share its memory, and its cores where neither the
// launcher nor the user has shared them out.
func spread(w *mpi.World, threads int) {
	_, local := w.Local()
	limit := host.MemoryLimit()
	limit.Bytes /= float64(local)
	limit.Respect()
	hosts := "this machine"
	if names := w.Hosts(); len(names) > 1 {
		hosts = show.Count(len(names), "machine") + " (" + show.Some(names, 4) + ")"
	}
	about := fmt.Sprintf("%d on %s, by %s", w.Size(), hosts, w.Version())
	cores, sharing := runtime.NumCPU(), w.Sharing()
	switch {
	case threads > 0:
	case sharing > 1:
		threads = max(1, cores/sharing)
		runtime.GOMAXPROCS(threads)
		about += fmt.Sprintf("; %d share the %s here, so each computes with %s", sharing, show.Count(cores, "core"),
			show.Count(threads, "thread"))
	default:
		threads = cores
		about += fmt.Sprintf("; each is bound to %s here", show.Count(cores, "core"))
		if all := onlineCores(); cores*local < all {
			ranks.notes = append(ranks.notes, fmt.Sprintf("the launcher has bound each process to %s, so %d of %d cores here "+
				"compute (mpirun of Open MPI frees the others with --bind-to none)", show.Count(cores, "core"), cores*local, all))
		}
	}
	w.Crowded(threads*sharing > cores)
	ranks.about = about
}

// openRanked opens the device of this process: of the cards of a host, each of its processes
// takes another one, unless the user names one for all. Cards that can are linked.
func openRanked(name string) (device.Device, error) {
	w := ranks.world
	if name == "cuda" {
		local, _ := w.Local()
		if n := devices.Cards(); n > 0 {
			name = fmt.Sprintf("cuda:%d", local%n)
		}
	}
	d, err := devices.Open(name)
	if err != nil {
		return nil, err
	}
	if l, ok := d.(interface {
		Join(group.Group) (why string, err error)
	}); ok {
		why, err := l.Join(w)
		if err != nil {
			return nil, fmt.Errorf("--device %s: the cards cannot be linked: %w", name, err)
		}
		if why != "" {
			ranks.notes = append(ranks.notes, "what the cards add and gather crosses by way of the host, which takes longer than "+
				"by NCCL: "+why)
		}
	}
	return d, nil
}

// onlineCores is how many cores this machine has, whatever this process may use.
func onlineCores() int {
	text, _ := os.ReadFile("/sys/devices/system/cpu/online")
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		var from, to int
		switch k, _ := fmt.Sscanf(part, "%d-%d", &from, &to); k {
		case 1:
			n++
		case 2:
			n += to - from + 1
		}
	}
	return n
}

// speaker says whether this process tells people how things go: one of all does.
func speaker() bool {
	if ranks.world != nil {
		return ranks.world.Rank() == 0
	}
	return ranks.launch.Size <= 1 || mpi.First(os.Getenv)
}

// patience is how long a process that has nothing of its own to say leaves it to another to
// say why all end.
const patience = 2 * time.Second

// depart leaves the other processes with an exit code, after say has said why unless
// another process says it. What one of them failed of ends all.
func depart(err error, code int, say func(whose string)) {
	w := ranks.world
	var other *group.Other
	var lost group.Failure
	switch {
	case ranks.launch.Size <= 1:
		say("")
		return
	case w == nil && err == nil:
		return
	case w == nil: // before they met; where all fail alike, one says so
		whose := ""
		if !speaker() {
			time.Sleep(patience)
			name, _ := os.Hostname()
			whose = fmt.Sprintf("a process on %s: ", name)
		}
		say(whose)
		mpi.GiveUp(os.Getenv, code)
		return
	case err == nil, errors.Is(err, train.ErrInterrupted), errors.Is(err, errStopped): // all are here
		if speaker() {
			say("")
		}
		if err := w.Close(); err != nil && speaker() {
			complain(yellow, "warning:", show.Text(err.Error()))
		}
		return
	case errors.As(err, &other):
		time.Sleep(patience)
	case errors.As(err, &lost):
		if first := lost.Rank == 0 && w.Rank() == 1; speaker() || first {
			say("")
		} else {
			time.Sleep(patience)
		}
	case w.Rank() == 0:
		say("")
	default: // where all fail alike, the first ends them meanwhile
		time.Sleep(patience)
		say(who(w.Rank()) + ": ")
	}
	w.Abort(code)
}
