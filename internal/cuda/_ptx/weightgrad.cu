#include "weightgrad.h"

#define WEIGHT_GRAD(name, general, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(32 * down * across, blocks) name(const WeightGrad p) { weight_grad<bm, bn, down, across, stages, general>(p); }
#define ALL(name, ...) \
	WEIGHT_GRAD(weight_grad_##name, false, __VA_ARGS__) \
	WEIGHT_GRAD(weight_taps_##name, true, __VA_ARGS__)

ALL(64x64, 2, 64, 64, 2, 4, 4)
ALL(64x128, 2, 64, 128, 2, 4, 2)
ALL(128x64, 2, 128, 64, 4, 2, 3)
ALL(256x64, 2, 256, 64, 4, 2, 2)
ALL(128x128, 2, 128, 128, 2, 4, 2)
ALL(256x128, 1, 256, 128, 4, 2, 3)
