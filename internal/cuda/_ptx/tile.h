// Products of tiles in shared memory, and what the fused convolutions have in common.
//
// A panel is some rows of 64 bfloat16, that is of 8 chunks of 16 bytes; chunk j of row i
// lies at place j ^ (i & 7), so that eight rows of one chunk, and one row of eight, are
// free of bank conflicts. A tile that is wider consists of panels of 64 columns.
//
// Raw values come by asynchronous copies. The thread that copied a chunk also makes of
// it what products read (a Source, a Grad), in place, before the barrier that shows the
// tile to the others: so each value is converted once a block.
#pragma once
#include "mma.h"

DEVICE u32 place(u32 row, u32 chunk) { return row * 128 + ((chunk ^ (row & 7)) << 4); }

// Shape is that of a convolution, as device.Conv; m counts the pixels that rows of the
// product stand for.
struct Shape {
	u32 m, c, k;
	u32 h, w, oh, ow;
	u32 r, s, stride, pad_h, pad_w;
};

#ifdef HOPPER
#include "wgmma.h"
#else
#include "warp.h"
#endif

template <int M, int N> DEVICE void clear(float (&acc)[M][N][4]) {
	UNROLL for (int i = 0; i < M; i++)
		UNROLL for (int j = 0; j < N; j++)
			UNROLL for (int e = 0; e < 4; e++)
				acc[i][j][e] = 0;
}

// A block's product is laid out in shared memory before it is stored, rows of N values:
// as bfloat16, or as float32.
template <int N> struct Staged {
	static constexpr u32 half = 2 * N + 16, full = 4 * N + 32; // bytes of a row
};

template <int BN, bool FULL, int APART, int M, int N>
DEVICE void stage(u32 to, u32 m, u32 n, const float (&acc)[M][N][4]) {
	u32 l = lane(), row = m + (l >> 2), col = n + (l & 3) * 2;
	UNROLL for (int i = 0; i < M; i++)
		UNROLL for (int j = 0; j < N; j++)
			UNROLL for (int h = 0; h < 2; h++) {
				float x = acc[i][j][2 * h], y = acc[i][j][2 * h + 1];
				if (FULL)
					shared_store2(to + (row + i * APART + h * 8) * Staged<BN>::full + (col + j * 8) * 4, bits(x), bits(y));
				else
					shared_store1(to + (row + i * APART + h * 8) * Staged<BN>::half + (col + j * 8) * 2, pack(x, y));
			}
}

// Eight values.
DEVICE void unpack(Quad q, float v[8]) {
	v[0] = low(q.x), v[1] = high(q.x), v[2] = low(q.y), v[3] = high(q.y);
	v[4] = low(q.z), v[5] = high(q.z), v[6] = low(q.w), v[7] = high(q.w);
}
DEVICE Quad packed(const float v[8]) {
	return {pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7])};
}
DEVICE void staged_full(u32 at, float v[8]) {
	Quad q = shared_load(at), r = shared_load(at + 16);
	v[0] = from_bits(q.x), v[1] = from_bits(q.y), v[2] = from_bits(q.z), v[3] = from_bits(q.w);
	v[4] = from_bits(r.x), v[5] = from_bits(r.y), v[6] = from_bits(r.z), v[7] = from_bits(r.w);
}

// eight reads constants of channels [c, c + 8), where c is below the number there is.
DEVICE void eight(const float *p, u32 c, float v[8]) {
	const char *q = (const char *)(p + c);
	Quad a = global_load(q), b = global_load(q + 16);
	v[0] = from_bits(a.x), v[1] = from_bits(a.y), v[2] = from_bits(a.z), v[3] = from_bits(a.w);
	v[4] = from_bits(b.x), v[5] = from_bits(b.y), v[6] = from_bits(b.z), v[7] = from_bits(b.w);
}

// Columns are two sums of eight columns that a thread keeps; a warp has them of BN / 8
// chunks of columns, or of 32.
struct Columns {
	float a[8], b[8];
};

// add_columns adds eight values of a row and their products with others.
DEVICE void add_columns(Columns &s, Quad a, Quad b) {
	float v[8], w[8];
	unpack(a, v);
	unpack(b, w);
	UNROLL for (int e = 0; e < 8; e++) {
		s.a[e] += v[e];
		s.b[e] = __builtin_fmaf(v[e], w[e], s.b[e]);
	}
}

// Partials is where the sums of a tile's rows go: tiles × 2 × c of float32, to be folded, or
// of float64; or nowhere.
struct Partials {
	float *narrow;
	double *wide;
	METHOD bool any() const { return narrow || wide; }
};

// add_lanes adds the sums of a warp's lanes that have the same chunk, t % (BN / 8), of columns.
template <int BN> DEVICE void add_lanes(Columns &s) {
	UNROLL for (int e = 0; e < 8; e++)
		UNROLL for (int x = 16; x >= BN / 8; x >>= 1) {
			s.a[e] += shuffle_xor(s.a[e], x);
			s.b[e] += shuffle_xor(s.b[e], x);
		}
}

// warp_columns is where column n of a warp's sums is in shared memory.
template <int BN> DEVICE u32 warp_columns(u32 room, u32 warp, u32 n) { return room + (warp * BN + n) * 8; }

// write_columns adds up what the warps left at room and writes it to partials, c for each
// piece.
template <int BN, int T>
DEVICE void write_columns(u32 room, const Partials &to, u32 piece, u32 n0, u32 c, u32 thread = tid()) {
	ROLLED for (u32 n = thread; n < BN && n0 + n < c; n += T) {
		float a = 0, b = 0;
		UNROLL for (int w = 0; w < T / 32; w++) {
			u32 at = warp_columns<BN>(room, w, n);
			a += from_bits(shared_load1(at));
			b += from_bits(shared_load1(at + 4));
		}
		u64 at = (u64)piece * 2 * c + n0 + n;
		if (to.narrow)
			to.narrow[at] = a, to.narrow[at + c] = b;
		else
			to.wide[at] = a, to.wide[at + c] = b;
	}
}

// sum_columns writes the sums of a tile's columns, by way of room in shared memory.
template <int BN, int T>
DEVICE void sum_columns(u32 room, Columns &s, const Partials &to, u32 piece, u32 n0, u32 c) {
	add_lanes<BN>(s);
	if (lane() < BN / 8)
		UNROLL for (int e = 0; e < 8; e++)
			shared_store2(warp_columns<BN>(room, tid() >> 5, tid() % (BN / 8) * 8 + e), bits(s.a[e]), bits(s.b[e]));
	barrier();
	write_columns<BN, T>(room, to, piece, n0, c);
}
