#include "halo.h"

// Names say pixels × columns of an area's product.
#define HALO(name, ...) \
	KERNEL BOUNDS(128, 2) halo_forward_##name(const HaloForward p) { halo_forward<__VA_ARGS__, false>(p); } \
	KERNEL BOUNDS(128, 2) halo_infer_##name(const HaloForward p) { halo_forward<__VA_ARGS__, true>(p); } \
	KERNEL BOUNDS(128, 2) halo_input_grad_##name(const HaloInputGrad p) { halo_input_grad<__VA_ARGS__>(p); }

HALO(256x64, 256, 4, 1, 349)
HALO(224x64, 224, 2, 2, 349)
HALO(128x64, 128, 2, 2, 349)
