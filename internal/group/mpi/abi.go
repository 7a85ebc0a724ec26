//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"fmt"

	"vicreg/internal/native"
)

// api are the functions of an MPI library.
type api struct {
	MPI_Init_thread, MPI_Finalize, MPI_Abort              native.Func
	MPI_Comm_rank, MPI_Comm_size, MPI_Comm_set_errhandler native.Func
	MPI_Error_string, MPI_Get_library_version             native.Func
	MPI_Get_processor_name                                native.Func
	MPI_Ialltoallv, MPI_Iallgather, MPI_Ibcast            native.Func
	MPI_Ibarrier, MPI_Test                                native.Func
}

// handles are what the functions take where mpi.h has a name.
type handles struct {
	world, byte, errorsReturn uintptr
	statusIgnore, inPlace     uintptr
}

// Numbers of mpi.h, the same in both families.
const (
	threadSerialized = 2   // MPI_THREAD_SERIALIZED: any thread may call, one at a time
	maxErrorString   = 512 // MPI_MAX_ERROR_STRING of MPICH; Open MPI has 256
	maxName          = 256 // MPI_MAX_PROCESSOR_NAME of Open MPI; MPICH has 128
	maxVersion       = 8192
)

// family is a kind of library: the names it has, and its handles.
type family struct {
	kind    kind
	name    string // as people call it, and VICREG_MPI
	files   []string
	handles func(*native.Library) (handles, error)
}

var families = []family{
	// Its handles are the addresses of things in the library.
	{openMPI, "openmpi", []string{"libmpi.so.40", "libmpi.so.20"}, func(l *native.Library) (handles, error) {
		h := handles{world: l.Symbol("ompi_mpi_comm_world"), byte: l.Symbol("ompi_mpi_byte"),
			errorsReturn: l.Symbol("ompi_mpi_errors_return"), inPlace: 1}
		if h.world == 0 || h.byte == 0 || h.errorsReturn == 0 {
			return h, fmt.Errorf("%s is no Open MPI", l)
		}
		return h, nil
	}},
	// The handles of MPICH, Intel MPI, MVAPICH and Cray MPI are ints, and its null for
	// statuses is 1, that for buffers −1. Debian calls it libmpich.so.12.
	{mpich, "mpich", []string{"libmpi.so.12", "libmpich.so.12"}, func(l *native.Library) (handles, error) {
		if l.Symbol("ompi_mpi_comm_world") != 0 {
			return handles{}, fmt.Errorf("%s is an old Open MPI", l)
		}
		return handles{world: 0x44000000, byte: 0x4c00010d, errorsReturn: 0x54000001, statusIgnore: 1,
			inPlace: ^uintptr(0)}, nil
	}},
}
