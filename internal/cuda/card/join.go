//go:build native && linux && (amd64 || arm64)

package card

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/native"
)

// joinAPI are functions of libnccl.so.2.
type joinAPI struct {
	NcclGetVersion, NcclGetErrorString, NcclGetUniqueId native.Func
	NcclCommInitRank, NcclCommAbort                     native.Func
	NcclAllReduce, NcclAllGather                        native.Func
	NcclGroupStart, NcclGroupEnd                        native.Func
}

// Numbers of nccl.h.
const (
	ncclUint8   = 1
	ncclFloat32 = 7
	ncclFloat64 = 8
	ncclSum     = 0
	ncclIDBytes = 128  // NCCL_UNIQUE_ID_BYTES
	leastNCCL   = 2900 // 2.9: the first whose calls other calls of a stream may be captured beside
)

var _ cuda.Joiner = (*driver)(nil)

// joined is a card among those of other processes.
type joined struct {
	api     joinAPI
	library *native.Library
	id      [ncclIDBytes]byte
	comm    uintptr // 0: it is alone
}

func (d *driver) Identity() (string, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return "", err
	}
	if err := d.openNCCL(); err != nil {
		return "", err
	}
	clear(d.s.name[:])
	if err := d.call(&d.cu.CuDeviceGetUuid, at(&d.s.name), d.device); err != nil {
		return "", err
	}
	return hex.EncodeToString(d.s.name[:16]), nil
}

// openNCCL opens the library.
func (d *driver) openNCCL() error {
	j := &d.joined
	if j.library != nil {
		return nil
	}
	l, err := native.NewSearch(runtime.GOARCH).Open("libnccl.so.2")
	if err != nil {
		return fmt.Errorf("NCCL cannot be used: %w (pip install nvidia-nccl-cu%d, or name its folder in %s)", err,
			d.cudaVersion/1000, native.Variable)
	}
	if err := l.Table(&j.api); err != nil {
		return fmt.Errorf("NCCL cannot be used: %w", err)
	}
	if err := d.nccl(&j.api.NcclGetVersion, at(&d.s.int)); err != nil {
		return err
	}
	if d.s.int < leastNCCL {
		return fmt.Errorf("NCCL cannot be used: %s is too old, 2.9 or newer is needed", l)
	}
	j.library = l
	return nil
}

// nccl calls a function of NCCL.
func (d *driver) nccl(f *native.Func, args ...uintptr) error {
	if r := f.Call(args...); r != 0 {
		return d.failedIn(f, r, d.joined.api.NcclGetErrorString.Text(uintptr(r)), "arrays of all cards")
	}
	return nil
}

func (d *driver) JoinID() ([]byte, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return nil, err
	}
	if err := d.nccl(&d.joined.api.NcclGetUniqueId, at(&d.joined.id)); err != nil {
		return nil, err
	}
	return append([]byte(nil), d.joined.id[:]...), nil
}

func (d *driver) Join(id []byte, rank, size int) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	j := &d.joined
	if copy(j.id[:], id) != ncclIDBytes || j.comm != 0 {
		return errors.New("a card joins others once, by an id of NCCL")
	}
	// The id is a struct that is passed by value: in memory of which a pointer is passed on
	// arm64, on the stack, behind the arguments in registers, on amd64.
	args := []uintptr{at(&d.s.word), uintptr(size), at(&j.id), uintptr(rank)}
	if runtime.GOARCH == "amd64" {
		args = []uintptr{at(&d.s.word), uintptr(size), uintptr(rank), 0, 0, 0}
		for i := 0; i < ncclIDBytes; i += 8 {
			args = append(args, uintptr(binary.NativeEndian.Uint64(j.id[i:])))
		}
	}
	if err := d.nccl(&j.api.NcclCommInitRank, args...); err != nil {
		return err
	}
	j.comm = d.s.word
	return nil
}

func (d *driver) Sum(arrays []device.Array) error {
	defer d.leave() // what is grouped is so for a thread
	if err := d.enter(); err != nil {
		return err
	}
	j := &d.joined
	if err := d.nccl(&j.api.NcclGroupStart); err != nil {
		return err
	}
	var failed error
	for _, a := range arrays {
		n, kind := a.Len(), uintptr(ncclFloat32)
		if a.Type() == device.Float64 {
			kind = ncclFloat64
		}
		if n > 0 && failed == nil {
			failed = d.nccl(&j.api.NcclAllReduce, a.Addr(), a.Addr(), uintptr(n), kind, ncclSum, j.comm,
				d.streams[cuda.Compute])
		}
	}
	return cmp.Or(failed, d.nccl(&j.api.NcclGroupEnd))
}

func (d *driver) Gather(to, from uintptr, bytes int) error {
	defer d.leave()
	if err := d.enter(); err != nil || bytes == 0 {
		return err
	}
	j := &d.joined
	return d.nccl(&j.api.NcclAllGather, from, to, uintptr(bytes), ncclUint8, j.comm, d.streams[cuda.Compute])
}

// part takes the card out of those of other processes. It does not wait for them.
func (d *driver) part() {
	if j := &d.joined; j.comm != 0 {
		j.api.NcclCommAbort.Call(j.comm)
		j.comm = 0
	}
}
