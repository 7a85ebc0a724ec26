package winograd

import (
	"unsafe"

	"vicreg/internal/cpu"
)

//go:generate go -C ../_asm run ./winograd -out ../winograd/winograd_amd64.s -stubs ../winograd/winograd_stubs_amd64.go -pkg winograd

// Each function transforms tiles of channels channels, a multiple of 16.

func winogradInput(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradInputAVX512(q, channels)
	case cpu.AVX2:
		winogradInputAVX2(q, channels)
	default:
		winogradB.plain(p, channels)
	}
}

func winogradOutput(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradOutputAVX512(q, channels)
	case cpu.AVX2:
		winogradOutputAVX2(q, channels)
	default:
		winogradAT.plain(p, channels)
	}
}

func winogradGrad(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradGradAVX512(q, channels)
	case cpu.AVX2:
		winogradGradAVX2(q, channels)
	default:
		winogradA.plain(p, channels)
	}
}

func winogradWeight(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradWeightAVX512(q, channels)
	case cpu.AVX2:
		winogradWeightAVX2(q, channels)
	default:
		winogradG.plain(p, channels)
	}
}

func winogradWeightGrad(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradWeightGradAVX512(q, channels)
	case cpu.AVX2:
		winogradWeightGradAVX2(q, channels)
	default:
		winogradGT.plain(p, channels)
	}
}

func winogradInput2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradInput2AVX512(q, channels)
	case cpu.AVX2:
		winogradInput2AVX2(q, channels)
	default:
		winogradB2.plain(p, channels)
	}
}

func winogradOutput2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradOutput2AVX512(q, channels)
	case cpu.AVX2:
		winogradOutput2AVX2(q, channels)
	default:
		winogradA2T.plain(p, channels)
	}
}

func winogradGrad2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradGrad2AVX512(q, channels)
	case cpu.AVX2:
		winogradGrad2AVX2(q, channels)
	default:
		winogradA2.plain(p, channels)
	}
}

func winogradBack2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradBack2AVX512(q, channels)
	case cpu.AVX2:
		winogradBack2AVX2(q, channels)
	default:
		winogradBack.plain(p, channels)
	}
}

func winogradBackOutput2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradBackOutput2AVX512(q, channels)
	case cpu.AVX2:
		winogradBackOutput2AVX2(q, channels)
	default:
		winogradBackT.plain(p, channels)
	}
}

func winogradWeight2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradWeight2AVX512(q, channels)
	case cpu.AVX2:
		winogradWeight2AVX2(q, channels)
	default:
		winogradG2.plain(p, channels)
	}
}

func winogradWeightGrad2(p *winogradArgs, channels int) {
	switch q := (*[9]uintptr)(unsafe.Pointer(p)); {
	case cpu.AVX512:
		winogradWeightGrad2AVX512(q, channels)
	case cpu.AVX2:
		winogradWeightGrad2AVX2(q, channels)
	default:
		winogradG2T.plain(p, channels)
	}
}

func winogradInputPairs(p *winogradArgs, channels int) {
	if !cpu.AVX512BF16 {
		winogradBPairs.plainHalf(p, channels)
		return
	}
	winogradInputPairsAVX512((*[9]uintptr)(unsafe.Pointer(p)), channels)
}

func winogradOutputPairs(p *winogradArgs, channels int) {
	if !cpu.AVX512BF16 {
		winogradATPairs.plain(p, channels)
		return
	}
	winogradOutputPairsAVX512((*[9]uintptr)(unsafe.Pointer(p)), channels)
}

func winogradWeightPairs(p *winogradArgs, channels int) {
	if !cpu.AVX512BF16 {
		winogradGPairs.plain(p, channels)
		return
	}
	winogradWeightPairsAVX512((*[9]uintptr)(unsafe.Pointer(p)), channels)
}
