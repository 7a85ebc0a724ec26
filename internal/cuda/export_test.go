package cuda

import "vicreg/internal/device"

// ColumnSums is what a convolution does for the sums of its output.
func (d *Device) ColumnSums(y device.Array, c int, s device.Sums) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.columnSums(y, c, s)
}

// Tail is what a convolution does with its output in inference.
func (d *Device) Tail(y device.Array, c int, t device.Tail) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tail(y, c, t)
}

// Graphs returns how many stretches were recorded.
func (d *Device) Graphs() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.queue.known {
		if s.graph != 0 {
			n++
		}
	}
	return n
}

// FoldAbove sets how many pieces of sums are left as they are.
func (d *Device) FoldAbove(n int) { d.fused.foldAbove = n }

// Blocks sets how many blocks a gradient of weights has, so that few go through many pixels.
func (d *Device) Blocks(n int) { d.fused.blocks = n }
