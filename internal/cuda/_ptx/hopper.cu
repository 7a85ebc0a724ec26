// The fused convolutions with Hopper's own instructions.
#define HOPPER
#include "run.h"
#include "inputgrad.h"
#include "join.h"
#include "weightgrad.h"

#define FORWARD(name, general, tail, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(128 * down * across, blocks) name(const Forward p) { \
		forward<bm, bn, down, across, stages, general, tail>(p); \
	}
#define FORWARDS(name, ...) \
	FORWARD(forward_##name, false, false, __VA_ARGS__) \
	FORWARD(gather_##name, true, false, __VA_ARGS__) \
	FORWARD(infer_##name, true, true, __VA_ARGS__)

FORWARDS(128x64w, 2, 128, 64, 2, 1, 3)
FORWARDS(128x128w, 2, 128, 128, 2, 1, 3)
FORWARDS(128x256w, 1, 128, 256, 2, 1, 4)

KERNEL BOUNDS(256, 2) run_128x64w(const Forward p) { run_forward<128, 64, 2, 1, 3>(p); }
KERNEL BOUNDS(256, 2) run_128x128w(const Forward p) { run_forward<128, 128, 2, 1, 2>(p); }

#define INPUT_GRAD(name, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(128 * down * across, blocks) name(const InputGrad p) { \
		input_grad<bm, bn, down, across, stages>(p); \
	}

INPUT_GRAD(input_grad_128x64w, 2, 128, 64, 2, 1, 2)
INPUT_GRAD(input_grad_128x128w, 2, 128, 128, 2, 1, 2)
INPUT_GRAD(input_grad_128x256w, 1, 128, 256, 2, 1, 3)

#define WEIGHT_GRAD(name, general, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(128 * down * across, blocks) name(const WeightGrad p) { \
		weight_grad<bm, bn, down, across, stages, general>(p); \
	}
#define WEIGHT_GRADS(name, ...) \
	WEIGHT_GRAD(weight_grad_##name, false, __VA_ARGS__) \
	WEIGHT_GRAD(weight_taps_##name, true, __VA_ARGS__)

WEIGHT_GRADS(64x64w, 4, 64, 64, 1, 1, 2)
WEIGHT_GRADS(64x128w, 2, 64, 128, 1, 2, 2)
WEIGHT_GRADS(128x64w, 2, 128, 64, 2, 1, 3)
WEIGHT_GRADS(256x64w, 2, 256, 64, 2, 1, 2)
WEIGHT_GRADS(128x128w, 2, 128, 128, 2, 1, 2)
WEIGHT_GRADS(256x128w, 1, 256, 128, 2, 1, 3)

KERNEL BOUNDS(256, 2) join_128x64w(const Join p) { join<128, 64, 2, 1, 2>(p); }
KERNEL BOUNDS(256, 2) join_128x128w(const Join p) { join<128, 128, 2, 1, 2>(p); }
KERNEL BOUNDS(256, 1) join_128x256w(const Join p) { join<128, 256, 2, 1, 3>(p); }
