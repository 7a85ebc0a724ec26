//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// Three cards that joined add and gather, each on its own.
func TestJoin(t *testing.T) {
	f := faked(t)
	f.card.FakeCard.Call(13000, 3, 9)
	const size, n = 3, 1000
	var drivers [size]cuda.Driver
	var names []string
	for r := range drivers {
		d, err := Open(r)
		must(t, err)
		defer d.Close()
		drivers[r] = d
		name, err := d.(cuda.Joiner).Identity()
		must(t, err)
		if slices.Contains(names, name) || len(name) != 32 {
			t.Errorf("card %d is called %s, others %v", r, name, names)
		}
		names = append(names, name)
	}
	id, err := drivers[1].(cuda.Joiner).JoinID()
	must(t, err)
	bytesOf := func(x []float32) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x)) }
	var failures [size]error
	var wait sync.WaitGroup
	for r, d := range drivers {
		wait.Go(func() {
			failures[r] = func() error {
				j := d.(cuda.Joiner)
				if err := j.Join(id, r, size); err != nil {
					return err
				}
				from, err := d.Alloc(4 * n)
				if err != nil {
					return err
				}
				to, err := d.Alloc(4 * n * size)
				if err != nil {
					return err
				}
				x, all := make([]float32, n), make([]float32, n*size)
				for i := range x {
					x[i] = float32(i + 1000*r)
				}
				if err := d.Upload(cuda.Compute, from, bytesOf(x)); err != nil {
					return err
				}
				if err := j.Gather(to, from, 4*n); err != nil {
					return err
				}
				if err := j.Sum([]device.Array{device.At(from, device.Float32, n)}); err != nil {
					return err
				}
				if err := d.Download(cuda.Compute, bytesOf(x), from); err != nil {
					return err
				}
				if err := d.Download(cuda.Compute, bytesOf(all), to); err != nil {
					return err
				}
				for i, v := range x {
					if v != float32(3*i+3000) || all[i+n] != float32(i+1000) || all[i+2*n] != float32(i+2000) {
						return fmt.Errorf("number %d: sum %v, gathered %v and %v", i, v, all[i+n], all[i+2*n])
					}
				}
				return nil
			}()
		})
	}
	wait.Wait()
	for r, err := range failures {
		if err != nil {
			t.Errorf("card %d: %v", r, err)
		}
	}
}

// What keeps cards from joining is told in a sentence.
func TestJoinFails(t *testing.T) {
	f := faked(t)
	d, err := Open(0)
	must(t, err)
	defer d.Close()
	j := d.(cuda.Joiner)
	_, old := func() (string, error) { f.of.FakeVersion.Call(2804); return j.Identity() }()
	f.of.FakeVersion.Call(22703)
	_, none := j.Identity()
	must(t, none)
	f.nccl.fails("ncclGetUniqueId", 2, 0)
	_, unmade := j.JoinID()
	f.nccl.fails("ncclCommInitRank", 5, 0)
	refused := j.Join(make([]byte, ncclIDBytes), 0, 2)
	for says, err := range map[string]error{"2.9 or newer is needed": old,
		"ncclGetUniqueId failed: unhandled system error (2)": unmade, "ncclCommInitRank failed: invalid usage (5)": refused} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v does not say %q", err, says)
		}
	}
	missing := faked(t)
	without(t, missing, "libnccl.so.2")
	other, err := Open(0)
	must(t, err)
	defer other.Close()
	if _, err := other.(cuda.Joiner).Identity(); err == nil ||
		!strings.Contains(err.Error(), "libnccl.so.2 was not found (pip install nvidia-nccl-cu13") {
		t.Errorf("without NCCL: %v", err)
	}
}
