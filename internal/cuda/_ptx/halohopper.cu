// Convolutions of 3 × 3 with Hopper's own instructions.
#define HOPPER
#include "lineweights.h"

#define LINE(name, blocks, ...) \
	KERNEL BOUNDS(256 / blocks, blocks) line_forward_##name(const HaloForward p) { \
		halo_forward<Lined<false, __VA_ARGS__>, false>(p); \
	} \
	KERNEL BOUNDS(256 / blocks, blocks) line_infer_##name(const HaloForward p) { \
		halo_forward<Lined<false, __VA_ARGS__>, true>(p); \
	} \
	KERNEL BOUNDS(256 / blocks, blocks) line_input_grad_##name(const HaloInputGrad p) { \
		halo_input_grad<Lined<true, __VA_ARGS__>>(p); \
	}

LINE(192x64w, 2, 192, 64, 1, 1, 309, 2, 3)
LINE(256x128w, 1, 256, 128, 2, 1, 389, 3, 4)

KERNEL BOUNDS(384, 1) line_weight_grad_64x64w(const LineWeightGrad p) { line_weight_grad<128, 245>(p); }
