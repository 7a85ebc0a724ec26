// Gradients of convolutions' weights: both factors are made of what is stored on the way in.
#pragma once
#include "tile.h"

// WeightGrad: partials = sums over pieces of the pixels of x's channels times g's, for each
// position of the filter: pieces × r × s × c × k. All arrays of values are bfloat16, c and k
// are multiples of 8.
struct WeightGrad {
	Grad g; // without a, it is d as it is stored
	Source x;
	float *partials;
	u32 rows;         // pixels of a piece, a multiple of 64
	u32 pitch;        // values from a pixel of x to the next; c, unless pixels overlap
	u64 by_image, by_row; // magic numbers to divide pixels by oh·ow and ow, and their shifts
	u32 image_shift, row_shift;
	u32 rows_tall; // channels are those of so many rows of the filter, 64 each; or 0
	u32 unused;
	Shape shape; // m counts pixels of the output
};

// weight_grad computes BM channels of x times BN channels of g.
template <int BM, int BN, int DOWN, int ACROSS, int STAGES, bool GENERAL>
DEVICE void weight_grad(const WeightGrad &p) {
	constexpr int T = Part<BM, BN, DOWN, ACROSS>::THREADS;
	constexpr u32 A = BM * 128, B = BN * 128, STAGE = A + 2 * B;
	// A row of a tile has so many chunks; a thread has the same chunk of some rows.
	constexpr int AC = BM / 8, BC = BN / 8, AR = T / AC, BR = T / BC, AV = 64 / AR, BV = 64 / BR;
	static_assert(AR % 8 == 0 && BR % 8 == 0 && 64 % AR == 0 && 64 % BR == 0, "tiles");
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid();
	u32 tiles_k = (g.k + BN - 1) / BN, tiles_c = (g.c + BM - 1) / BM, taps = g.r * g.s;
	u32 id = block(), k0 = id % tiles_k * BN;
	id /= tiles_k;
	u32 c0 = id % tiles_c * BM;
	id /= tiles_c;
	u32 tap = GENERAL ? id % taps : 0, piece = GENERAL ? id / taps : id;
	u32 begin = piece * p.rows, end = begin + p.rows < g.m ? begin + p.rows : g.m;
	auto part = Part<BM, BN, DOWN, ACROSS>::mine();

	u32 a_row = t / AC, a_col = c0 + t % AC * 8, b_row = t / BC, b_col = k0 + t % BC * 8;
	bool a_in = a_col < g.c, b_in = b_col < g.k;
	u32 tap_y = p.rows_tall ? a_col >> 6 : tap / g.s, tap_x = p.rows_tall ? 0 : tap - tap_y * g.s;
	u32 x_col = p.rows_tall ? a_col & 63 : a_col;
	u32 a_at = (t % AC >> 3) * 8192 + place(a_row, t % AC & 7);
	u32 b_at = A + (t % BC >> 3) * 8192 + place(b_row, t % BC & 7);

	// The pixel of the input under this block's tap, or -1.
	auto under = [&](u32 m) INLINE -> i32 {
		u32 n = (u32)(m * p.by_image >> p.image_shift), rest = m - n * (g.oh * g.ow);
		u32 oy = (u32)(rest * p.by_row >> p.row_shift), ox = rest - oy * g.ow;
		u32 y = oy * g.stride + tap_y - g.pad_h, xx = ox * g.stride + tap_x - g.pad_w;
		return m < end && y < g.h && xx < g.w ? (i32)((n * g.h + y) * g.w + xx) : -1;
	};

	u32 padding = 0; // which rows of a tile are padding, a bit each; the newest tile's are the lowest
	auto copy = [&](u32 slot, u32 row) INLINE {
		u32 a = smem + slot * STAGE + a_at, b = smem + slot * STAGE + b_at;
		if (GENERAL)
			padding <<= AV;
		UNROLL for (int i = 0; i < AV; i++) {
			if (GENERAL) {
				i32 px = under(row + a_row + i * AR);
				copy16<true>(a + i * AR * 128, p.x.x.p + 2 * ((i64)px * p.pitch + x_col), px >= 0 && a_in);
				padding |= (px < 0 ? 1 : 0) << i;
			} else {
				u32 m = row + a_row + i * AR;
				copy16<false>(a + i * AR * 128, p.x.x.p + 2 * ((u64)m * g.c + a_col), m < end && a_in);
			}
		}
		UNROLL for (int i = 0; i < BV; i++) {
			u32 m = row + b_row + i * BR;
			bool in = m < end && b_in;
			u64 from = 2 * ((u64)m * g.k + b_col);
			copy16<false>(b + i * BR * 128, p.g.d.p + from, in);
			if (p.g.a)
				copy16<false>(b + B + i * BR * 128, p.g.y.p + from, in);
		}
	};
	float floor = p.x.relu ? 0 : from_bits(0xff800000);
	// make is for the tile that was copied STAGES - 2 before the newest.
	auto make = [&](u32 slot, u32 row) INLINE {
		u32 a = smem + slot * STAGE + a_at, b = smem + slot * STAGE + b_at;
		if ((p.x.scale || p.x.relu) && a_in) {
			float scale[8], shift[8];
			if (p.x.scale) {
				eight(p.x.scale, a_col, scale);
				eight(p.x.shift, a_col, shift);
			} else {
				UNROLL for (int e = 0; e < 8; e++)
					scale[e] = 1, shift[e] = 0;
			}
			UNROLL for (int i = 0; i < AV; i++) {
				float v[8];
				unpack(shared_load(a + i * AR * 128), v);
				UNROLL for (int e = 0; e < 8; e++) {
					v[e] = __builtin_fmaf(v[e], scale[e], shift[e]);
					v[e] = v[e] > floor ? v[e] : floor;
				}
				Quad q = packed(v);
				if (GENERAL ? padding >> ((STAGES - 2) * AV + i) & 1 : row + a_row + i * AR >= end)
					q = {0, 0, 0, 0};
				shared_store(a + i * AR * 128, q);
			}
		}
		if (p.g.a && b_in) {
			float ka[8], kb[8], kk[8];
			eight(p.g.a, b_col, ka);
			eight(p.g.b, b_col, kb);
			eight(p.g.k, b_col, kk);
			TWICE for (int i = 0; i < BV; i++) { // more at once would need more registers than there are
				float v[8], y[8];
				unpack(shared_load(b + i * BR * 128), v);
				unpack(shared_load(b + B + i * BR * 128), y);
				UNROLL for (int e = 0; e < 8; e++)
					v[e] = __builtin_fmaf(ka[e], v[e], __builtin_fmaf(kb[e], y[e], kk[e]));
				shared_store(b + i * BR * 128, packed(v));
			}
		}
	};

	float acc[part.STRIPS][part.N / 8][4];
	clear(acc);
	Factors<true, false, BM, BN, DOWN, ACROSS> factors(part);
	UNROLL for (int i = 0; i < STAGES - 1; i++) {
		if (begin + i * 64 < end)
			copy(i, begin + i * 64);
		else if (GENERAL)
			padding <<= AV;
		commit();
	}
	arrived<STAGES - 2>();
	make(0, begin);
	u32 slot = 0;
	ROLLED for (u32 m = begin; m < end; m += 64) {
		show();
		u32 tile = smem + slot * STAGE, free = slot == 0 ? STAGES - 1 : slot - 1;
		if (part.ASYNC)
			factors.multiply(tile, tile + A, acc);
		if (m + (STAGES - 1) * 64 < end)
			copy(free, m + (STAGES - 1) * 64);
		else if (GENERAL)
			padding <<= AV;
		commit();
		if (!part.ASYNC)
			factors.multiply(tile, tile + A, acc);
		slot = slot + 1 == STAGES ? 0 : slot + 1;
		if (m + 64 < end) {
			arrived<STAGES - 2>();
			make(slot, m + 64);
		}
		factors.finish(acc);
	}

	u32 l = lane(), c = c0 + part.m + (l >> 2), k = k0 + part.n + (l & 3) * 2;
	float *to = p.partials + ((u64)(piece * taps + tap) * g.c + c) * g.k + k;
	UNROLL for (int i = 0; i < part.STRIPS; i++)
		UNROLL for (int h = 0; h < 2; h++)
			if (c + i * part.APART + h * 8 < g.c)
				UNROLL for (int j = 0; j < part.N / 8; j++)
					if (k + j * 8 < g.k)
						*(Pair *)(to + (u64)(i * part.APART + h * 8) * g.k + j * 8) = {acc[i][j][2 * h], acc[i][j][2 * h + 1]};
}
