// Convolutions of 3 × 3 with Hopper's own instructions.
#define HOPPER
#include "lineweights.h"

LINE(192x64w, 2, 192, 64, 1, 1, 309, 2, 3)
LINE(256x128w, 1, 256, 128, 2, 1, 389, 3, 4)

KERNEL BOUNDS(384, 1) line_weight_grad_64x64w(const LineWeightGrad p) { line_weight_grad<128, 245>(p); }
