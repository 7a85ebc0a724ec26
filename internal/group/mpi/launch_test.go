package mpi

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestLaunched(t *testing.T) {
	for name, test := range map[string]struct {
		env  string
		want Launch
		says string
	}{
		"alone":         {"", Launch{Size: 1}, ""},
		"Open MPI":      {"OMPI_COMM_WORLD_SIZE=4 PMIX_RANK=1", Launch{4, "mpirun of Open MPI", openMPI}, ""},
		"MPICH":         {"PMI_SIZE=2 PMI_RANK=0", Launch{2, "mpirun of MPICH", mpich}, ""},
		"srun, PMI 2":   {"PMI_SIZE=8 SLURM_STEP_NUM_TASKS=8", Launch{8, "srun", mpich}, ""},
		"srun, PMIx":    {"PMIX_RANK=3 SLURM_STEP_NUM_TASKS=8", Launch{8, "srun", unknown}, ""},
		"srun of one":   {"SLURM_STEP_NUM_TASKS=1", Launch{1, "srun", unknown}, ""},
		"a batch":       {"SLURM_NTASKS=8 SLURM_PROCID=0", Launch{Size: 1}, ""},
		"mpirun, Slurm": {"OMPI_COMM_WORLD_SIZE=4 SLURM_STEP_NUM_TASKS=2", Launch{4, "mpirun of Open MPI", openMPI}, ""},
		"none wanted":   {"OMPI_COMM_WORLD_SIZE=4 VICREG_MPI=none", Launch{Size: 1}, ""},
		"nonsense":      {"PMI_SIZE=many", Launch{}, `PMI_SIZE is "many" in the environment`},
		"nobody":        {"PMI_SIZE=0", Launch{}, `PMI_SIZE is "0" in the environment`},
	} {
		got, err := Launched(environment(test.env))
		if got != test.want || (err == nil) != (test.says == "") ||
			err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestFirst(t *testing.T) {
	for env, want := range map[string]bool{"": true, "OMPI_COMM_WORLD_RANK=0 PMIX_RANK=0": true,
		"PMI_RANK=1": false, "PMIX_RANK=2": false, "SLURM_PROCID=0": true, "SLURM_PROCID=3": false} {
		if got := First(environment(env)); got != want {
			t.Errorf("%q: %v", env, got)
		}
	}
}

func TestGiveUp(t *testing.T) {
	var told strings.Builder
	file := func(number uintptr) io.Writer { fmt.Fprint(&told, number, ": "); return &told }
	for _, env := range []string{"", "PMI_FD=7 SLURM_STEP_NUM_TASKS=2", "PMI_FD=x", "PMI_FD=7"} {
		giveUp(environment(env), 1, file)
	}
	if told.String() != "7: cmd=abort exitcode=1\n" {
		t.Errorf("the launcher is told %q", told.String())
	}
}

// environment is one of NAME=VALUE, with spaces between.
func environment(text string) func(string) string {
	return func(name string) string {
		for _, f := range strings.Fields(text) {
			if value, ok := strings.CutPrefix(f, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
