// The pixels that a 1 × 1 convolution with a stride reads.
#include "kernel.h"

struct Strided {
	Source src; // gather: n × h × w × c; scatter: n × oh × ow × c
	Arr to;
	u32 n, h, w, c;
	u32 oh, ow, stride;
	u32 unused;
};

// Gather writes pixels (stride·y, stride·x) of the source as n × oh × ow × c. A thread
// writes eight channels.
KERNEL THREADS(256) strided_gather(const Strided p) {
	u32 chunks = p.c / 8;
	u64 all = (u64)p.n * p.oh * p.ow * chunks;
	for (u64 i = (u64)block() * 256 + tid(); i < all; i += (u64)blocks() * 256) {
		u32 c = (u32)(i % chunks) * 8, pixel = (u32)(i / chunks);
		u32 x = pixel % p.ow, t = pixel / p.ow, y = t % p.oh, image = t / p.oh;
		float v[8];
		load8(p.src.x, (((i64)image * p.h + y * p.stride) * p.w + x * p.stride) * p.c + c, v);
		source8(p.src, v, c);
		store8(p.to, (i64)i * 8, v);
	}
}

// Scatter is the way back: all other pixels become zero.
KERNEL THREADS(256) strided_scatter(const Strided p) {
	u32 chunks = p.c / 8;
	u64 all = (u64)p.n * p.h * p.w * chunks;
	for (u64 i = (u64)block() * 256 + tid(); i < all; i += (u64)blocks() * 256) {
		u32 c = (u32)(i % chunks) * 8, pixel = (u32)(i / chunks);
		u32 x = pixel % p.w, t = pixel / p.w, y = t % p.h, image = t / p.h;
		float v[8] = {0, 0, 0, 0, 0, 0, 0, 0};
		if (x % p.stride == 0 && y % p.stride == 0)
			load8(p.src.x, (((i64)image * p.oh + y / p.stride) * p.ow + x / p.stride) * p.c + c, v);
		store8(p.to, (i64)i * 8, v);
	}
}
