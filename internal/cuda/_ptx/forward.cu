#include "forward.h"

// Names say rows × columns of a tile.
#define FORWARD(name, general, tail, blocks, bm, bn, down, across, stages) \
	KERNEL BOUNDS(32 * down * across, blocks) name(const Forward p) { forward<bm, bn, down, across, stages, general, tail>(p); }
#define ALL(name, ...) \
	FORWARD(forward_##name, false, false, __VA_ARGS__) \
	FORWARD(gather_##name, true, false, __VA_ARGS__) \
	FORWARD(infer_##name, true, true, __VA_ARGS__)

ALL(128x64, 2, 128, 64, 4, 2, 3)
ALL(128x128, 2, 128, 128, 2, 4, 3)
ALL(128x256, 1, 128, 256, 2, 4, 4)
