// Forward for 1 × 1 convolutions of the sum that ends a residual block: the sum is made on the
// way in, and stored for those who read it later.
#pragma once
#include "tile.h"

// Join: x = max(0, a + b), each as its Source reads it; signs are its as kernel.h's BITS, or 0.
// y = x·w, k being no more than a tile has columns, sums as Forward leaves them. All arrays of
// values are bfloat16, c and k are multiples of 8.
struct Join {
	Source a, b;
	char *x;
	u8 *signs;
	const char *w; // c × k
	char *y;
	Partials partials;
	u32 m, c, k;
	u32 unused;
};

template <int BM, int BN, int DOWN, int ACROSS, int STAGES> DEVICE void join(const Join &p) {
	constexpr int T = Part<BM, BN, DOWN, ACROSS>::THREADS, ROWS = T / 8;
	constexpr u32 A = BM * 128, B = BN * 128, STAGE = 2 * A + B;
	constexpr int AV = BM / ROWS, BV = BN / ROWS;
	u32 smem = shared(), t = tid(), chunk = t & 7, row = t >> 3, m0 = block() * BM;
	auto part = Part<BM, BN, DOWN, ACROSS>::mine();
	u32 total = (p.c + 63) / 64;

	auto copy = [&](u32 slot, u32 step) INLINE {
		u32 a = smem + slot * STAGE + place(row, chunk), c = step * 64 + chunk * 8;
		UNROLL for (int i = 0; i < AV; i++) {
			u32 m = m0 + row + i * ROWS;
			u64 from = 2 * ((u64)m * p.c + c);
			bool in = m < p.m && c < p.c;
			copy16<false>(a + i * ROWS * 128, p.a.x.p + from, in);
			copy16<false>(a + A + i * ROWS * 128, p.b.x.p + from, in);
		}
		UNROLL for (int i = 0; i < BV; i++) {
			u32 in_panel = i * ROWS & 63, panel = i * ROWS >> 6, wc = step * 64 + row + in_panel, n = panel * 64 + chunk * 8;
			copy16<false>(a + 2 * A + panel * 8192 + in_panel * 128, p.w + 2 * ((u64)wc * p.k + n), wc < p.c && n < p.k);
		}
	};
	auto make = [&](u32 slot, u32 step) INLINE {
		u32 c = step * 64 + chunk * 8;
		if (c >= p.c)
			return;
		float sa[8], ta[8], sb[8], tb[8];
		UNROLL for (int e = 0; e < 8; e++)
			sa[e] = sb[e] = 1, ta[e] = tb[e] = 0;
		if (p.a.scale) {
			eight(p.a.scale, c, sa);
			eight(p.a.shift, c, ta);
		}
		if (p.b.scale) {
			eight(p.b.scale, c, sb);
			eight(p.b.shift, c, tb);
		}
		u32 a = smem + slot * STAGE + place(row, chunk);
		TWICE for (int i = 0; i < AV; i++) {
			float v[8], z[8];
			unpack(shared_load(a + i * ROWS * 128), v);
			unpack(shared_load(a + A + i * ROWS * 128), z);
			UNROLL for (int e = 0; e < 8; e++) {
				v[e] = __builtin_fmaf(v[e], sa[e], ta[e]) + __builtin_fmaf(z[e], sb[e], tb[e]);
				v[e] = v[e] < 0 ? 0 : v[e];
			}
			Quad q = packed(v);
			shared_store(a + i * ROWS * 128, q);
			u32 m = m0 + row + i * ROWS;
			if (m < p.m) {
				u64 at = (u64)m * p.c + c;
				global_store(p.x + 2 * at, q);
				if (p.signs)
					p.signs[at / 8] = (u8)open8(v);
			}
		}
	};

	float acc[part.STRIPS][part.N / 8][4];
	clear(acc);
	Factors<false, false, BM, BN, DOWN, ACROSS> factors(part);
	UNROLL for (int i = 0; i < STAGES - 1; i++) {
		if (i < total)
			copy(i, i);
		commit();
	}
	arrived<STAGES - 2>();
	make(0, 0);
	u32 slot = 0;
	ROLLED for (u32 i = 0; i < total; i++) {
		show();
		u32 tile = smem + slot * STAGE, free = slot == 0 ? STAGES - 1 : slot - 1;
		if (part.ASYNC)
			factors.multiply(tile, tile + 2 * A, acc);
		if (i + STAGES - 1 < total)
			copy(free, i + STAGES - 1);
		commit();
		if (!part.ASYNC)
			factors.multiply(tile, tile + 2 * A, acc);
		slot = slot + 1 == STAGES ? 0 : slot + 1;
		if (i + 1 < total) {
			arrived<STAGES - 2>();
			make(slot, i + 1);
		}
		factors.finish(acc);
	}
	barrier();
	stage<BN, false, part.APART>(smem, part.m, part.n, acc);
	barrier();
	constexpr int CHUNKS = BN / 8, STEP = T / CHUNKS;
	constexpr u32 PITCH = Staged<BN>::half;
	u32 n = t % CHUNKS * 8, first = t / CHUNKS, from = smem + first * PITCH + n * 2;
	char *y = p.y + 2 * ((u64)(m0 + first) * p.k + n);
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
	UNROLL for (int i = 0; i < BM / STEP; i++) {
		Quad q = shared_load(from + i * STEP * PITCH);
		if (m0 + first + i * STEP < p.m && n < p.k)
			global_store(y + 2 * (u64)(i * STEP) * p.k, q);
		else
			q = {0, 0, 0, 0};
		add_columns(sums, q, q);
	}
	if (p.partials.any())
		sum_columns<BN, T>(smem + BM * PITCH, sums, p.partials, block(), 0, p.k);
}
