#include "area.h"
#include "line.h"

// Names say pixels × columns of a block's product.
#define AREA(name, ...) \
	KERNEL BOUNDS(128, 2) halo_forward_##name(const HaloForward p) { \
		halo_forward<Nine<false, __VA_ARGS__>, false>(p); \
	} \
	KERNEL BOUNDS(128, 2) halo_infer_##name(const HaloForward p) { halo_forward<Nine<false, __VA_ARGS__>, true>(p); } \
	KERNEL BOUNDS(128, 2) halo_input_grad_##name(const HaloInputGrad p) { halo_input_grad<Nine<true, __VA_ARGS__>>(p); }

AREA(256x64, 256, 4, 1, 349)
AREA(224x64, 224, 2, 2, 349)
AREA(128x64, 128, 2, 2, 349)

LINE(192x64, 2, 192, 64, 4, 1, 309, 2, 3)
LINE(256x128, 1, 256, 128, 4, 2, 389, 3, 4)
