package train

import (
	"vicreg/internal/batch"
)

// ahead returns the memory that batches are made in: that of a device which takes them up
// while it computes, or nil.
func (r *run) ahead() batch.Memory {
	m, _ := r.device.(batch.Memory)
	return m
}
