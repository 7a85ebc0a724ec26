// Package mpi is a group of processes that a launcher of MPI has started: mpirun or
// srun. Transport, ranks and the end of all when one dies are theirs; the library is
// opened at run time, in builds with the tag native on Linux.
package mpi

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// Variable chooses the library: openmpi, mpich, or a file. With none each process trains
// by itself, whatever started it.
const (
	Variable = "VICREG_MPI"
	None     = "none"
)

// Launch is what the environment tells about how this process was started.
type Launch struct {
	Size int    // how many processes there are; 1 if this is the only one
	By   string // mpirun of Open MPI, mpirun of MPICH, srun
	kind kind   // of the library that the launcher speaks to, if that is known
}

// kind is which of the two families of libraries it is.
type kind uint8

const (
	unknown kind = iota
	openMPI
	mpich
)

// Launched looks into the environment for a launcher. Nothing is opened for it.
func Launched(env func(string) string) (Launch, error) {
	if env(Variable) == None {
		return Launch{Size: 1}, nil
	}
	for _, l := range []struct {
		size, by string
		kind     kind
	}{
		{"OMPI_COMM_WORLD_SIZE", "mpirun of Open MPI", openMPI},
		{"PMI_SIZE", "mpirun of MPICH", mpich},
		{"MV2_COMM_WORLD_SIZE", "mpirun of MVAPICH", mpich},
		{"SLURM_STEP_NUM_TASKS", "srun", unknown}, // srun sets it, a batch script alone has it not
	} {
		text := env(l.size)
		if text == "" {
			continue
		}
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return Launch{}, fmt.Errorf("%s is %q in the environment, which is no number of processes", l.size, text)
		}
		if env("SLURM_STEP_NUM_TASKS") != "" && l.kind != openMPI {
			l.by = "srun"
		}
		return Launch{Size: size, By: l.by, kind: l.kind}, nil
	}
	return Launch{Size: 1}, nil
}

// First says whether the environment tells that this is the first of the processes, or
// the only one: what goes wrong before they can talk is said once.
func First(env func(string) string) bool {
	rank := cmp.Or(env("OMPI_COMM_WORLD_RANK"), env("PMI_RANK"), env("MV2_COMM_WORLD_RANK"), env("PMIX_RANK"),
		env("SLURM_PROCID"))
	return rank == "" || rank == "0"
}

// passing is how long a launcher may take to pass on what a process has written. What it
// has not passed on when all end is lost.
const passing = 300 * time.Millisecond

// GiveUp tells the launcher that this process ends before it has joined the others, so that
// they do not wait for it. Most launchers see that themselves; that of MPICH is told, in the
// words of its interface to processes (PMI 1).
func GiveUp(env func(string) string, code int) {
	giveUp(env, code, func(number uintptr) io.Writer {
		time.Sleep(passing)
		return os.NewFile(number, "PMI")
	})
}

func giveUp(env func(string) string, code int, file func(number uintptr) io.Writer) {
	number, err := strconv.ParseUint(env("PMI_FD"), 10, 16)
	if err == nil && env("SLURM_STEP_NUM_TASKS") == "" {
		fmt.Fprintf(file(uintptr(number)), "cmd=abort exitcode=%d\n", code)
	}
}
