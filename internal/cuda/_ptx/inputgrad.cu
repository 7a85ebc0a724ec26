#include "inputgrad.h"

#define INPUT_GRAD(name, general, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(32 * down * across, blocks) name(const InputGrad p) { input_grad<bm, bn, down, across, stages, general>(p); }
#define ALL(name, ...) \
	INPUT_GRAD(input_grad_##name, false, __VA_ARGS__) \
	INPUT_GRAD(input_taps_##name, true, __VA_ARGS__)

ALL(128x64, 2, 128, 64, 4, 2, 2)
ALL(128x128, 2, 128, 128, 2, 4, 2)
ALL(128x256, 1, 128, 256, 2, 4, 3)
