package sim

import (
	"encoding/binary"
	"fmt"

	"vicreg/internal/cuda"
)

func (d *Driver) Upload(s cuda.Stream, to uintptr, from []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemcpyHtoDAsync_v2"
	if err := d.call(call); err != nil {
		return err
	}
	if !d.isPinned(from) {
		return invalid(call, fmt.Sprintf("%d bytes of the host that are not pinned", len(from)))
	}
	return d.do(s, func() error {
		b := d.bytes(to, len(from))
		if b == nil {
			return invalid(call, fmt.Sprintf("%d bytes at %#x, which lie in no allocation", len(from), to))
		}
		copy(b, from)
		return nil
	})
}

func (d *Driver) Download(s cuda.Stream, to []byte, from uintptr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemcpyDtoHAsync_v2"
	if err := d.begin(call, s); err != nil {
		return err
	}
	if err := d.drain(s); err != nil {
		return err
	}
	return d.down(to, from)
}

func (d *Driver) down(to []byte, from uintptr) error {
	b := d.bytes(from, len(to))
	if b == nil {
		return invalid("cuMemcpyDtoHAsync_v2", fmt.Sprintf("%d bytes at %#x, which lie in no allocation", len(to), from))
	}
	copy(to, b)
	return nil
}

func (d *Driver) DownloadLater(s cuda.Stream, to []byte, from uintptr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemcpyDtoHAsync_v2"
	if err := d.call(call); err != nil {
		return err
	}
	if !d.isPinned(to) {
		return invalid(call, fmt.Sprintf("%d bytes of the host that are not pinned", len(to)))
	}
	return d.do(s, func() error { return d.down(to, from) })
}

func (d *Driver) Copy(s cuda.Stream, to, from uintptr, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemcpyDtoDAsync_v2"
	if err := d.call(call); err != nil {
		return err
	}
	return d.do(s, func() error {
		a, b := d.bytes(to, n), d.bytes(from, n)
		if a == nil || b == nil {
			return invalid(call, fmt.Sprintf("%d bytes from %#x to %#x, which lie in no allocation", n, from, to))
		}
		copy(a, b)
		return nil
	})
}

func (d *Driver) Set(s cuda.Stream, to uintptr, v uint32, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemsetD32Async"
	if err := d.call(call); err != nil {
		return err
	}
	return d.do(s, func() error {
		b := d.bytes(to, 4*n)
		if b == nil || to%4 != 0 {
			return invalid(call, fmt.Sprintf("%d values at %#x, which lie in no allocation", n, to))
		}
		for i := range n {
			binary.LittleEndian.PutUint32(b[4*i:], v)
		}
		return nil
	})
}
