// Convolutions of few channels, such as of images, turned into ones of more.
#include "kernel.h"

// Narrow says how: pixels are taken in blocks of b × b, which makes b·b·c channels of an
// image's c, filled up with zeros to cw. Output pixel (y, x) of the wide image is rows
// b·y − off to b·y − off + b − 1 of the narrow one, and columns alike; what lies outside
// is zero. Tap a of the wide kernel is taps b·a − shift to b·a − shift + b − 1 of the
// narrow one.
struct Narrow {
	Source src; // n × h × w × c
	Arr to;
	u32 n, h, w, c;
	u32 hw, ww, cw; // of the wide image
	u32 b, off;
	u32 unused;
};

// A thread writes eight channels of a pixel.
KERNEL THREADS(256) narrow_source(const Narrow p) {
	u32 chunks = p.cw / 8;
	u64 all = (u64)p.n * p.hw * p.ww * chunks;
	for (u64 i = (u64)block() * 256 + tid(); i < all; i += (u64)blocks() * 256) {
		u32 first = (u32)(i % chunks) * 8;
		u32 pixel = (u32)(i / chunks);
		u32 x = pixel % p.ww, t = pixel / p.ww;
		u32 y = t % p.hw, image = t / p.hw;
		float v[8];
		UNROLL for (u32 j = 0; j < 8; j++) {
			u32 cc = first + j, cell = cc / p.c, c = cc % p.c;
			int row = (int)(p.b * y + cell / p.b) - (int)p.off, col = (int)(p.b * x + cell % p.b) - (int)p.off;
			v[j] = 0;
			if (cell < p.b * p.b && row >= 0 && row < (int)p.h && col >= 0 && col < (int)p.w)
				v[j] = source(p.src, load(p.src.x, (((i64)image * p.h + row) * p.w + col) * p.c + c), c);
		}
		store8(p.to, (i64)i * 8, v);
	}
}

// six reads three channels of two pixels.
DEVICE void six(const Arr &a, i64 i, float v[6]) {
	if (a.type == BFLOAT16) {
		UNROLL for (int j = 0; j < 3; j++) {
			u32 w = ((const u32 *)(a.p + 2 * i))[j];
			v[2 * j] = low(w), v[2 * j + 1] = high(w);
		}
	} else {
		UNROLL for (int j = 0; j < 3; j++) {
			Pair w = ((const Pair *)(a.p + 4 * i))[j];
			v[2 * j] = w.x, v[2 * j + 1] = w.y;
		}
	}
}

// Three is narrow_source for three channels that are read as they are stored, blocks of 2 × 2
// and rows of an even number of pixels. A thread writes a pixel.
KERNEL THREADS(256) narrow_three(const Narrow p) {
	u32 all = p.n * p.hw * p.ww;
	for (u32 i = block() * 256 + tid(); i < all; i += blocks() * 256) {
		u32 x = i % p.ww, t = i / p.ww, y = t % p.hw, image = t / p.hw;
		int row = (int)(2 * y) - (int)p.off, col = (int)(2 * x) - (int)p.off;
		float v[16];
		UNROLL for (int j = 0; j < 16; j++)
			v[j] = 0;
		bool in = col >= 0 && col < (int)p.w;
		i64 from = (((i64)image * p.h + row) * p.w + col) * 3;
		if (in && row >= 0 && row < (int)p.h)
			six(p.src.x, from, v);
		if (in && row >= -1 && row + 1 < (int)p.h)
			six(p.src.x, from + (i64)p.w * 3, v + 6);
		store8(p.to, (i64)i * 16, v);
		store8(p.to, (i64)i * 16 + 8, v + 8);
	}
}

// Weights: narrow r × s × c × k as stored, wide k × rw × rw × cw, or rw × rw × cw × k.
struct NarrowWeights {
	Arr wide, narrow;
	u32 r, c, k, rw, cw, b, shift;
	u32 stored; // wide ones lie as narrow ones do
};

// of splits a wide weight's number into that of its place and its output channel.
DEVICE void of(const NarrowWeights &p, u32 i, u32 &j, u32 &k) {
	u32 row = p.rw * p.rw * p.cw;
	j = p.stored ? i / p.k : i % row;
	k = p.stored ? i % p.k : i / row;
}

// tap returns where wide tap (a, a2) and channel cc is in the narrow weights, but for k;
// or -1.
DEVICE int tap(const NarrowWeights &p, u32 a, u32 a2, u32 cc) {
	u32 cell = cc / p.c, c = cc % p.c;
	int r = (int)(p.b * a + cell / p.b) - (int)p.shift, s = (int)(p.b * a2 + cell % p.b) - (int)p.shift;
	if (cell >= p.b * p.b || r < 0 || r >= (int)p.r || s < 0 || s >= (int)p.r)
		return -1;
	return (int)(((u32)r * p.r + (u32)s) * p.c + c);
}

KERNEL THREADS(256) narrow_weights(const NarrowWeights p) {
	u32 all = p.rw * p.rw * p.cw * p.k;
	for (u32 i = block() * 256 + tid(); i < all; i += blocks() * 256) {
		u32 j, k;
		of(p, i, j, k);
		u32 t = j / p.cw;
		int from = tap(p, t / p.rw, t % p.rw, j % p.cw);
		store(p.wide, i, from < 0 ? 0 : load(p.narrow, (i64)from * p.k + k));
	}
}

// Back adds the gradient of the wide weights to that of the narrow ones; each narrow one
// is one of the wide.
KERNEL THREADS(256) narrow_weights_back(const NarrowWeights p) {
	u32 all = p.rw * p.rw * p.cw * p.k;
	for (u32 i = block() * 256 + tid(); i < all; i += blocks() * 256) {
		u32 j, k;
		of(p, i, j, k);
		u32 t = j / p.cw;
		int to = tap(p, t / p.rw, t % p.rw, j % p.cw);
		if (to >= 0) {
			i64 at = (i64)to * p.k + k;
			store(p.narrow, at, load(p.narrow, at) + load(p.wide, i));
		}
	}
}
