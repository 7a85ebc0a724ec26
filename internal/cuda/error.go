package cuda

import (
	"errors"
	"fmt"
	"strings"
)

func (e *Error) Error() string {
	s := fmt.Sprintf("%s failed: %s (%d)", e.Call, e.Name, e.Code)
	if e.What != "" {
		s += ", for " + e.What
	}
	if e.Free >= 0 {
		s += fmt.Sprintf("; %s of the card's memory were free", gib(e.Free))
	}
	return s
}

// Codes that a [Device] tells apart, of the driver and of the libraries.
const (
	codeOutOfMemory      = 2    // CUDA_ERROR_OUT_OF_MEMORY
	codeBLASOutOfMemory  = 3    // CUBLAS_STATUS_ALLOC_FAILED
	codeCUDNNOutOfMemory = 4004 // CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED
)

// OutOfMemory says that the card's memory did not suffice.
func (e *Error) OutOfMemory() bool {
	switch {
	case strings.HasPrefix(e.Call, "cudnn"):
		return e.Code == codeCUDNNOutOfMemory
	case strings.HasPrefix(e.Call, "cublas"):
		return e.Code == codeBLASOutOfMemory
	}
	return e.Code == codeOutOfMemory && e.Call != "cuMemHostAlloc"
}

// Lost says that the card, or all that this program has on it, is gone: every later call
// fails too, and only a new process can go on.
func (e *Error) Lost() bool {
	if strings.HasPrefix(e.Call, "cudnn") || strings.HasPrefix(e.Call, "cublas") {
		return false
	}
	switch e.Code {
	case 4, // CUDA_ERROR_DEINITIALIZED
		46,  // CUDA_ERROR_DEVICE_UNAVAILABLE
		214, // CUDA_ERROR_ECC_UNCORRECTABLE
		220, // CUDA_ERROR_NVLINK_UNCORRECTABLE
		226, // CUDA_ERROR_CONTAINED
		700, // CUDA_ERROR_ILLEGAL_ADDRESS
		702, // CUDA_ERROR_LAUNCH_TIMEOUT
		709, // CUDA_ERROR_CONTEXT_IS_DESTROYED
		710, // CUDA_ERROR_ASSERT
		714, // CUDA_ERROR_HARDWARE_STACK_ERROR
		715, // CUDA_ERROR_ILLEGAL_INSTRUCTION
		716, // CUDA_ERROR_MISALIGNED_ADDRESS
		717, // CUDA_ERROR_INVALID_ADDRESS_SPACE
		718, // CUDA_ERROR_INVALID_PC
		719, // CUDA_ERROR_LAUNCH_FAILED
		721, // CUDA_ERROR_TENSOR_MEMORY_LEAK
		999: // CUDA_ERROR_UNKNOWN
		return true
	}
	return false
}

// Lost says that err is an [Error] after which the card is lost.
func Lost(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Lost()
}

// gib writes an amount of memory.
func gib(bytes int) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
