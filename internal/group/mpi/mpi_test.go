//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vicreg/internal/group"
	"vicreg/internal/native"
)

// role is what a process that a test has a launcher start does.
const role = "VICREG_MPI_ROLE"

var roles = map[string]func(w *World) error{
	"suite": suite, "dies": dies, "aborts": aborts, "lingers": lingers, "speed": speed,
}

func TestMain(m *testing.M) {
	name := os.Getenv(role)
	if name == "" {
		os.Exit(m.Run())
	}
	launch, err := Launched(os.Getenv)
	var w *World
	if err == nil {
		w, err = Open(launch)
	}
	if err == nil {
		err = func() (err error) {
			defer group.Catch(&err)
			return roles[name](w)
		}()
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		fmt.Println("failed:", err)
		if w != nil {
			w.Abort(3)
		}
		os.Exit(3)
	}
}

// launchers are the mpiruns of this machine.
func launchers(t *testing.T) []string {
	var found []string
	for _, name := range []string{"mpirun.openmpi", "mpirun.mpich"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("no MPI is installed (Debian: openmpi-bin or mpich)")
	}
	return found
}

// start has a launcher start n processes of this test.
func start(launcher string, n int, role string, env ...string) *exec.Cmd {
	args := []string{"-n", fmt.Sprint(n)}
	if strings.HasSuffix(launcher, "openmpi") {
		args = append(args, "--oversubscribe")
	}
	cmd := exec.Command(launcher, append(args, os.Args[0])...)
	cmd.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "VICREG_MPI_ROLE="+role)
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func TestSuite(t *testing.T) {
	for _, launcher := range launchers(t) {
		for _, n := range []int{2, 3, 4} {
			out, err := start(launcher, n, "suite").CombinedOutput()
			if err != nil || strings.Count(string(out), "all right") != n {
				t.Errorf("%s, %d processes: %v\n%s", launcher, n, err, out)
			}
		}
	}
}

// suite is every operation, with lengths on both sides of every limit.
func suite(w *World) error {
	w.room, w.piece = 128<<10, 128<<10 // so that little crosses in pieces
	random := func(rank, n int) []float32 {
		r := rand.New(rand.NewPCG(uint64(rank), uint64(n)))
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() * math.Exp(10*r.NormFloat64()))
		}
		return x
	}
	limit, room := few/4/w.size, w.room
	for _, n := range []int{0, 1, 7, limit, limit + 1, room/4 - 1, room/4 + 1, 3*room/4 + 5, 4 * room} {
		x, want := random(w.rank, n), random(0, n)
		wide, wantWide := make([]float64, n), make([]float64, n)
		all := make([]float32, 0, n*w.size)
		for r := range w.size {
			other := random(r, n)
			all = append(all, other...)
			for i, v := range other {
				if r > 0 {
					want[i] += v
				}
				wantWide[i] += float64(v) * 1.1
			}
		}
		for i, v := range x {
			wide[i] = float64(v) * 1.1
		}
		to := make([]float32, n*w.size)
		w.Gather(to, x)
		w.Sum(x[:n/3], x[n/3:n/2], nil, x[n/2:])
		w.SumWide(wide)
		if !slices.Equal(x, want) || !slices.Equal(wide, wantWide) || !slices.Equal(to, all) {
			return fmt.Errorf("%d numbers: sum %v, wide %v, gathered %v", n, slices.Equal(x, want), slices.Equal(wide, wantWide),
				slices.Equal(to, all))
		}
	}
	for _, n := range []int{0, 1, 1000, room, room + 1} {
		text := func(rank int) []byte {
			b := make([]byte, n*(rank+1)%(2*room+9))
			for i := range b {
				b[i] = byte(i*7 + rank)
			}
			return b
		}
		for r, got := range w.GatherBytes(text(w.rank)) {
			if !slices.Equal(got, text(r)) {
				return fmt.Errorf("%d bytes of rank %d came as %d others", len(text(r)), r, len(got))
			}
		}
		root := w.size - 1
		x := make([]byte, len(text(root)))
		if w.rank == root {
			copy(x, text(root))
		}
		w.Broadcast(x, root)
		if !slices.Equal(x, text(root)) {
			return fmt.Errorf("%d bytes were broadcast as others", len(x))
		}
	}
	w.Barrier()
	if rank, size := w.Local(); rank != w.rank || size != w.size || len(w.Hosts()) != 1 || w.Sharing() < 1 {
		return fmt.Errorf("rank %d of %d on this host, among %v, %d of them share cores", rank, size, w.Hosts(), w.Sharing())
	}
	x := [][]float32{make([]float32, 1000), make([]float32, 500)}
	for range 3 {
		w.Sum(x...)
	}
	if n := testing.AllocsPerRun(20, func() { w.Sum(x...); w.Barrier() }); n > 0 {
		return fmt.Errorf("a sum and a barrier allocate %v times", n)
	}
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, syscall.SIGUSR1, syscall.SIGTERM)
	for range 2 {
		for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM} {
			if err := syscall.Kill(os.Getpid(), s); err != nil || <-heard != s {
				return fmt.Errorf("signal %v is not heard: %v", s, err)
			}
		}
	}
	signal.Stop(heard)
	w.Barrier()
	fmt.Println("all right,", w.Version())
	return nil
}

// A process that is killed is named by another, unless the launcher kills them all before
// they see it, as that of MPICH does; and all are gone within seconds.
func TestDeath(t *testing.T) {
	for _, launcher := range launchers(t) {
		says := "process 1 of 3, on "
		if strings.HasSuffix(launcher, "mpich") {
			says = "(signal 9)"
		}
		began := time.Now()
		out, err := start(launcher, 3, "dies").CombinedOutput()
		if err == nil || time.Since(began) > 20*time.Second || !strings.Contains(string(out), says) {
			t.Errorf("%s: after %v: %v\n%s", launcher, time.Since(began), err, out)
		}
	}
}

func dies(w *World) error {
	w.Barrier()
	if w.rank == 1 {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	signal.Ignore(syscall.SIGTERM) // which the launcher sends before it kills
	w.Sum(make([]float32, 10))
	return errors.New("a sum without process 1 came to an end")
}

// A process that gives up ends all.
func TestAbort(t *testing.T) {
	for _, launcher := range launchers(t) {
		began := time.Now()
		out, err := start(launcher, 3, "aborts").CombinedOutput()
		if err == nil || time.Since(began) > 20*time.Second || !strings.Contains(string(out), "process 2 gives up") {
			t.Errorf("%s: after %v: %v\n%s", launcher, time.Since(began), err, out)
		}
	}
}

func aborts(w *World) error {
	if w.rank == 2 {
		return errors.New("process 2 gives up")
	}
	w.Barrier()
	return nil
}

// A library that does not end holds no process back.
func TestLingering(t *testing.T) {
	for _, launcher := range launchers(t) {
		began := time.Now()
		out, _ := start(launcher, 2, "lingers").CombinedOutput() // a launcher may take it for a failure
		if n := strings.Count(string(out), "left without it"); n != 2 || time.Since(began) > 20*time.Second {
			t.Errorf("%s: after %v:\n%s", launcher, time.Since(began), out)
		}
	}
}

func lingers(w *World) error {
	leaving = time.Second
	w.finalize = func() int { select {} }
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "has not ended within 1s") {
		return fmt.Errorf("Close says %v", err)
	}
	fmt.Println("left without it")
	return nil
}

// speed tells what sums take, and what the library's own take.
func speed(w *World) error {
	var own struct{ MPI_Allreduce native.Func }
	if err := w.library.Table(&own); err != nil {
		return err
	}
	number, plus := uintptr(0x4c00040a), uintptr(0x58000003) // MPI_FLOAT and MPI_SUM of MPICH
	if w.kind == openMPI {
		number, plus = w.library.Symbol("ompi_mpi_float"), w.library.Symbol("ompi_mpi_op_sum")
	}
	for _, n := range []int{16, 1024, 30_000, 100_000, 1_000_000, 14_000_000} {
		x, y := make([]float32, n), make([]float32, n)
		times := max(3, min(100, 10_000_000/n))
		if os.Getenv("VICREG_MPI_SLOW") != "" {
			times = 3
		}
		line := fmt.Sprintf("%9d numbers:", n)
		try := func(name string, f func()) {
			f()
			w.Barrier()
			best, began := time.Hour, time.Now()
			for range times {
				one := time.Now()
				f()
				best = min(best, time.Since(one))
			}
			line += fmt.Sprintf("  %s %v, best %v", name, (time.Since(began) / time.Duration(times)).Round(time.Microsecond),
				best.Round(time.Microsecond))
		}
		for _, room := range []int{256, 512, 1024, 2048, 4096, 8192} {
			if n >= 1000_000 || room<<10 == staging {
				w.piece = room << 10
				try(fmt.Sprintf("pieces of %d KiB", room), func() { w.Sum(x) })
			}
		}
		try("MPI_Allreduce", func() {
			own.MPI_Allreduce.Call(at(&x[0]), at(&y[0]), uintptr(n), number, plus, w.h.world)
		})
		if w.rank == 0 {
			fmt.Println(line)
		}
	}
	return nil
}

func TestSpeed(t *testing.T) {
	if !testing.Verbose() || testing.Short() {
		t.Skip("it only tells, with -v")
	}
	for _, launcher := range launchers(t) {
		out, err := start(launcher, 2, "speed").CombinedOutput()
		t.Logf("%s: %v\n%s", launcher, err, out)
	}
}
