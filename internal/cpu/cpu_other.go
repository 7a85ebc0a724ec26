//go:build !amd64

package cpu

const hasAVX2, hasAVX512, hasAVX512BF16 = false, false, false

var (
	hasAMX   = false
	withheld error
)
