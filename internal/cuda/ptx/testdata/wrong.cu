#include "kernel.h"

// What a kernel must not do.
KERNEL over(float *x, int at) { x[tid() + at] = 1; }
KERNEL crooked(char *x, int at) { *(u32x4 *)(x + at) = (u32x4){1, 2, 3, 4}; }
KERNEL overshared(float *x, int at) {
	__shared__ float s[32];
	s[tid() + at] = x[tid()];
	__syncthreads();
	x[tid()] = s[31 - tid()];
}
KERNEL unordered(float *x, int barrier) {
	__shared__ float s[128];
	s[tid()] = x[tid()];
	if (barrier & 1) __syncthreads();
	float v = s[tid() ^ 32];
	if (barrier & 2) __syncthreads();
	s[tid()] = v + 1;
	__syncthreads();
	x[tid()] = s[127 - tid()];
}
KERNEL endless(volatile int *x) {
	while (*x == 0) {}
}
KERNEL stuck(int *x) {
	if (tid() >= 32) return;
	asm volatile("bar.sync 1, 64;" ::: "memory");
	x[tid()] = 1;
}
KERNEL apart(int *x) {
	if (tid() < 16)
		x[tid()] = __nvvm_shfl_sync_idx_i32(-1, tid(), 0, 31);
	else
		x[tid()] = __nvvm_shfl_sync_idx_i32(-1, tid(), 1, 31);
}
KERNEL stray(int *x) {
	if (tid() < 16) x[tid()] = __nvvm_shfl_sync_idx_i32(0xffff, tid(), 20, 31);
}
KERNEL untouched(float *x) {
	__shared__ float s[64];
	if (tid() == 0) s[0] = 1;
	__syncthreads();
	x[tid()] = s[tid()] + x[tid()];
}
// Threads of a warp hand values over; sync says after which step they come together.
KERNEL neighbours(float *x, int sync) {
	__shared__ float s[32];
	s[tid()] = x[tid()];
	if (sync & 1) __nvvm_bar_warp_sync(-1);
	float v = s[tid() ^ 1];
	if (sync & 2) __nvvm_bar_warp_sync(-1);
	s[tid()] = v;
	x[tid()] = v;
}
// Each block writes its part of x; away says whether it reads another's.
KERNEL shift(float *x, int away) {
	int i = index();
	float v = x[(i + away) & 63];
	__syncthreads();
	x[i] = v;
}
KERNEL overlap(float *x, int apart) { x[bid() * apart + tid()] = tid(); }
KERNEL halves(u16 *x, int n) {
	__shared__ u16 s[128];
	s[2 * (tid() & 31) + tid() / 32] = tid(); // two warps write the halves of a word
	__syncthreads();
	x[2 * tid() + bid()] = s[tid() * n & 63]; // and so do two blocks
}
