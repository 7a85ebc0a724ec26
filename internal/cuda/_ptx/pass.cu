// Passes over activations, rows of c channels.
#include "kernel.h"

// Apply: y = source.
struct Apply {
	Source src;
	Arr y;
	u64 n;
	u32 c;
	u32 unused;
};

// Eight elements a thread; c is a multiple of 8.
KERNEL THREADS(256) apply8(const Apply p) {
	for (i64 i = ((i64)block() * 256 + tid()) * 8; i < p.n; i += (i64)blocks() * 256 * 8) {
		float v[8];
		load8(p.src.x, i, v);
		source8(p.src, v, (u32)(i % p.c));
		store8(p.y, i, v);
	}
}

KERNEL THREADS(256) apply1(const Apply p) {
	for (i64 i = (i64)block() * 256 + tid(); i < p.n; i += (i64)blocks() * 256)
		store(p.y, i, source(p.src, load(p.src.x, i), (u32)(i % p.c)));
}

// Reorder writes weights of rsc rows × k as k rows × rsc; or, back, adds the transpose of
// k × rsc to rsc × k. Blocks of 32 × 32, eight rows of threads.
struct Reorder {
	Arr to, from;
	u32 rsc, k;
	u32 back;
	u32 unused;
};

KERNEL THREADS(256) reorder(const Reorder p) {
	SHARED float tile[32][33];
	u32 x = tid() & 31, y = tid() >> 5;
	u32 k0 = block() * 32, r0 = block_y() * 32;
	for (u32 j = y; j < 32; j += 8) {
		if (p.back) {
			if (k0 + j < p.k && r0 + x < p.rsc)
				tile[j][x] = load(p.from, (i64)(k0 + j) * p.rsc + r0 + x);
		} else {
			if (r0 + j < p.rsc && k0 + x < p.k)
				tile[j][x] = load(p.from, (i64)(r0 + j) * p.k + k0 + x);
		}
	}
	sync();
	for (u32 j = y; j < 32; j += 8) {
		if (p.back) {
			i64 i = (i64)(r0 + j) * p.k + k0 + x;
			if (r0 + j < p.rsc && k0 + x < p.k)
				store(p.to, i, load(p.to, i) + tile[x][j]);
		} else if (k0 + j < p.k && r0 + x < p.rsc) {
			store(p.to, (i64)(k0 + j) * p.rsc + r0 + x, tile[x][j]);
		}
	}
}
