#include "run.h"
#include "runback.h"

KERNEL BOUNDS(256, 2) run_128x64(const Forward p) { run_forward<128, 64, 4, 2, 3>(p); }
KERNEL BOUNDS(256, 2) run_128x128(const Forward p) { run_forward<128, 128, 2, 4, 2>(p); }
KERNEL BOUNDS(512, 1) run_input_grad_128x128(const InputGrad p) { run_input_grad<2, 4>(p); }
