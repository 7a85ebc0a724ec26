// Products by mma.sync: each warp computes a part of its own.
#pragma once
#include "mma.h"

// Part says which part of a block's product of BM × BN a warp computes, of DOWN × ACROSS
// warps: strips of 16 rows, each as many APART, and N columns, from row m and column n.
template <int BM, int BN, int DOWN, int ACROSS> struct Part {
	static constexpr int THREADS = 32 * DOWN * ACROSS, STRIPS = BM / DOWN / 16, APART = 16, N = BN / ACROSS;
	static constexpr bool ASYNC = false;
	u32 m, n;
	METHOD static Part mine(u32 thread = tid()) {
		u32 w = thread >> 5;
		return {w % DOWN * (BM / DOWN), w / DOWN * (BN / ACROSS)};
	}
};

// show is the barrier that shows a tile to all threads; expose is what precedes any barrier
// that does.
DEVICE void expose() {}
DEVICE void show() { barrier(); }

// Factors are two tiles with 64 values to sum over. A is BM rows × 64, or with AT 64 rows × BM;
// B is 64 rows × BN, or with BT BN rows × 64.
template <bool AT, bool BT, int BM, int BN, int DOWN, int ACROSS> struct Factors {
	using P = Part<BM, BN, DOWN, ACROSS>;
	u32 a_off, b_off;
	METHOD Factors(const P &p) {
		u32 l = lane();
		if (AT)
			a_off = (p.m >> 6) * 8192 + place((l & 7) + ((l >> 4) << 3), ((p.m & 63) >> 3) + ((l >> 3) & 1));
		else
			a_off = place(p.m + (l & 15), l >> 4);
		if (BT)
			b_off = place(p.n + (l & 7) + ((l >> 4) << 3), (l >> 3) & 1);
		else
			b_off = (p.n >> 6) * 8192 + place(l & 15, ((p.n & 63) >> 3) + (l >> 4));
	}

	// multiply adds the product of the tiles at a and b.
	METHOD void multiply(u32 a, u32 b, float (&acc)[P::STRIPS][P::N / 8][4]) const {
		UNROLL for (int kk = 0; kk < 4; kk++) {
			u32 af[P::STRIPS][4], bf[P::N / 16][4];
			UNROLL for (int i = 0; i < P::STRIPS; i++) {
				if (AT)
					matrices<true>(af[i], a + (a_off ^ ((i & 3) << 5)) + (i >> 2) * 8192 + kk * 2048);
				else
					matrices<false>(af[i], a + (a_off ^ (kk << 5)) + i * 2048);
			}
			UNROLL for (int j = 0; j < P::N / 16; j++) {
				if (BT)
					matrices<false>(bf[j], b + (b_off ^ (kk << 5)) + j * 2048);
				else
					matrices<true>(bf[j], b + (b_off ^ ((j & 3) << 5)) + (j >> 2) * 8192 + kk * 2048);
			}
			UNROLL for (int j = 0; j < P::N / 8; j++)
				UNROLL for (int i = 0; i < P::STRIPS; i++)
					mma(acc[i][j], af[i], bf[j / 2][j % 2 * 2], bf[j / 2][j % 2 * 2 + 1]);
		}
	}
	METHOD void finish(float (&acc)[P::STRIPS][P::N / 8][4]) const {}
};
