#include "kernel.h"

KERNEL axpy(float *y, const float *x, float a, int n) {
	int i = index();
	if (i < n) y[i] += a * x[i];
}

// The sum of each block, through shared memory.
KERNEL sums(float *out, const float *x, int n) {
	__shared__ float s[256];
	float sum = 0;
	for (int i = index(); i < n; i += 256 * blocks()) sum += x[i];
	s[tid()] = sum;
	__syncthreads();
	for (int k = 128; k > 0; k >>= 1) {
		if (tid() < k) s[tid()] += s[tid() + k];
		__syncthreads();
	}
	if (tid() == 0) out[bid()] = s[0];
}

// The same by shuffles, and the last block adds the blocks' sums.
__device__ u32 done;
KERNEL total(float *out, float *parts, const float *x, int n) {
	__shared__ float s[32];
	__shared__ int last;
	float sum = 0;
	for (int i = index(); i < n; i += threads() * blocks()) sum += x[i];
	for (int k = 16; k > 0; k >>= 1) sum += __nvvm_shfl_sync_bfly_f32(-1, sum, k, 31);
	if (tid() % 32 == 0) s[tid() / 32] = sum;
	__syncthreads();
	if (tid() < 32) {
		sum = tid() < threads() / 32 ? s[tid()] : 0;
		for (int k = 16; k > 0; k >>= 1) sum += __nvvm_shfl_sync_down_f32(-1, sum, k, 31);
		if (tid() == 0) {
			parts[bid()] = sum;
			__nvvm_membar_gl();
			last = __nvvm_atom_inc_gen_ui(&done, blocks() - 1) == blocks() - 1;
		}
	}
	__syncthreads();
	if (last && tid() == 0) {
		double all = 0;
		for (int b = 0; b < blocks(); b++) all += ((volatile float *)parts)[b];
		*out = all;
	}
}

// Threads of a warp go different ways, in loops too.
KERNEL collatz(int *steps, const u32 *from, int n) {
	int i = index();
	if (i >= n) return;
	u64 x = from[i];
	int k = 0;
	while (x != 1) {
		if (x & 1)
			x = 3 * x + 1;
		else
			x >>= 1;
		k++;
	}
	__syncthreads();
	steps[i] = k;
}

KERNEL choose(float *y, const float *x, const int *what, int n) {
	int i = index();
	if (i >= n) return;
	float v = x[i];
	switch (what[i]) {
	case 0: v = v * v + 1; break;
	case 1: v = v / 3; break;
	case 2: v = __builtin_sqrtf(v); break;
	case 3: v = v > 2 ? v - 2 : 2 - v; break;
	case 4: v = (float)(s64)v; break;
	case 5: v = __builtin_floorf(v) + __builtin_rintf(v); break;
	case 6: v = __builtin_fmaxf(v, 1.5f); break;
	default: v = -v;
	}
	y[i] = v;
}

__device__ __attribute__((noinline)) float half(float x, float *seen) {
	*seen = x;
	return x > 4 ? x : x / 2;
}
KERNEL calls(float *y, float *seen, const float *x) {
	int i = index();
	y[i] = half(x[i], seen + i) + half(x[i] + 1, seen + 32 + i);
}

// An array that a thread indexes by what it reads lies in local memory.
KERNEL local(float *y, const int *at, int n) {
	float a[16];
	for (int i = 0; i < 16; i++) a[i] = y[i];
	for (int i = 0; i < n; i++) a[at[i] & 15] += i;
	y[16 + tid()] = a[at[tid()] & 15];
}

struct args { float *y; float a, b; int n; char c; double d; };
KERNEL parameters(struct args g) {
	if (tid() < g.n) g.y[tid()] = g.a * g.b + g.c + g.d;
}

__constant__ float table[4] = {1, 2.5, -3, 4};
KERNEL constants(float *y) { y[tid()] = table[tid() & 3]; }

extern __shared__ char dynamic[];
KERNEL reverse(u32x4 *y) {
	u32x4 *s = (u32x4 *)dynamic;
	s[tid()] = y[tid()];
	__syncthreads();
	y[tid()] = s[threads() - 1 - tid()];
}
