#include "inputgrad.h"

#define INPUT_GRAD(name, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(32 * down * across, blocks) name(const InputGrad p) { input_grad<bm, bn, down, across, stages>(p); }

INPUT_GRAD(input_grad_128x64, 2, 128, 64, 4, 2, 2)
INPUT_GRAD(input_grad_128x128, 2, 128, 128, 2, 4, 2)
INPUT_GRAD(input_grad_128x256, 1, 128, 256, 2, 4, 3)
