// Forward for 1 × 1 convolutions by blocks that go through several tiles of pixels: the next
// one comes while this one is stored.
#pragma once
#include "forward.h"

// run_forward computes p.run tiles of BM pixels × BN channels, one below the other; their sums
// are one piece.
template <int BM, int BN, int DOWN, int ACROSS, int STAGES> DEVICE void run_forward(const Forward &p) {
	constexpr int T = Part<BM, BN, DOWN, ACROSS>::THREADS, ROWS = T / 8;
	constexpr u32 A = BM * 128, B = BN * 128, STAGE = A + B, PITCH = Staged<BN>::half;
	constexpr u32 OUT = STAGES * STAGE, SUMS = OUT + BM * PITCH;
	constexpr int AV = BM / ROWS, BV = BN / ROWS;
	constexpr int CHUNKS = BN / 8, STEP = T / CHUNKS;
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), chunk = t & 7, row = t >> 3;
	u32 tiles = (g.k + BN - 1) / BN, piece = block() / tiles;
	u32 n0 = block() % tiles * BN, m = piece * p.run * BM;
	u32 end = m + p.run * BM < g.m ? m + p.run * BM : g.m;
	auto part = Part<BM, BN, DOWN, ACROSS>::mine();

	const char *weights = p.w + 2 * ((u64)row * g.k + n0 + chunk * 8);
	u32 steps = (g.c + 63) / 64, total = (end - m + BM - 1) / BM * steps;
	u32 load_m = m + row, load_c = 0, made_c = 0, loaded = 0;
	bool stay = STAGES % steps == 0; // each slot always has the same weights

	auto copy = [&](u32 slot) INLINE {
		u32 a = smem + slot * STAGE + place(row, chunk), b = a + A;
		bool in = load_c + chunk * 8 < g.c;
		UNROLL for (int i = 0; i < AV; i++) {
			u32 r = load_m + i * ROWS;
			copy16<false>(a + i * ROWS * 128, p.x.x.p + 2 * ((u64)r * g.c + load_c + chunk * 8), r < end && in);
		}
		if (!stay || loaded < STAGES) {
			const char *w = weights + 2 * (u64)load_c * g.k;
			UNROLL for (int i = 0; i < BV; i++) {
				u32 c = i * ROWS & 63, panel = i * ROWS >> 6;
				copy16<false>(b + panel * 8192 + c * 128, w + 2 * (u64)c * g.k + panel * 128,
				              load_c + row + c < g.c && n0 + panel * 64 + chunk * 8 < g.k);
			}
		}
		loaded++;
		load_c += 64;
		if (load_c >= g.c)
			load_c = 0, load_m += BM;
	};
	float floor = p.x.relu ? 0 : from_bits(0xff800000);
	auto make = [&](u32 slot) INLINE {
		if ((p.x.scale || p.x.relu) && made_c + chunk * 8 < g.c) {
			float scale[8], shift[8];
			if (p.x.scale) {
				eight(p.x.scale, made_c + chunk * 8, scale);
				eight(p.x.shift, made_c + chunk * 8, shift);
			} else {
				UNROLL for (int e = 0; e < 8; e++)
					scale[e] = 1, shift[e] = 0;
			}
			u32 a = smem + slot * STAGE + place(row, chunk);
			UNROLL for (int i = 0; i < AV; i++) {
				float v[8];
				unpack(shared_load(a + i * ROWS * 128), v);
				UNROLL for (int e = 0; e < 8; e++) {
					v[e] = __builtin_fmaf(v[e], scale[e], shift[e]);
					v[e] = v[e] > floor ? v[e] : floor;
				}
				shared_store(a + i * ROWS * 128, packed(v));
			}
		}
		made_c = made_c + 64 < g.c ? made_c + 64 : 0;
	};

	if (lane() < CHUNKS)
		UNROLL for (int e = 0; e < 8; e++)
			shared_store2(warp_columns<BN>(smem + SUMS, t >> 5, t % CHUNKS * 8 + e), 0, 0);
	float acc[part.STRIPS][part.N / 8][4];
	clear(acc);
	Factors<false, false, BM, BN, DOWN, ACROSS> factors(part);
	UNROLL for (int i = 0; i < STAGES - 1; i++) {
		if (i < total)
			copy(i);
		commit();
	}
	arrived<STAGES - 2>();
	make(0);
	u32 slot = 0, step = 0;
	ROLLED for (u32 i = 0; i < total; i++) {
		show();
		u32 tile = smem + slot * STAGE, free = slot == 0 ? STAGES - 1 : slot - 1;
		if (part.ASYNC)
			factors.multiply(tile, tile + A, acc);
		if (i + STAGES - 1 < total)
			copy(free);
		commit();
		if (!part.ASYNC)
			factors.multiply(tile, tile + A, acc);
		slot = slot + 1 == STAGES ? 0 : slot + 1;
		if (step + 1 < steps && i + 1 < total) {
			arrived<STAGES - 2>();
			make(slot);
		}
		factors.finish(acc);
		if (++step < steps)
			continue;
		// A tile is done.
		step = 0;
		stage<BN, false, part.APART>(smem + OUT, part.m, part.n, acc);
		clear(acc);
		barrier();
		u32 col = t % CHUNKS * 8, first = t / CHUNKS, n = n0 + col;
		char *y = p.y + 2 * ((u64)(m + first) * g.k + n);
		u32 from = smem + OUT + first * PITCH + col * 2;
		Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
		UNROLL for (int j = 0; j < BM / STEP; j++) {
			Quad q = shared_load(from + j * STEP * PITCH);
			if (m + first + j * STEP < end && n < g.k)
				global_store(y + 2 * (u64)(j * STEP) * g.k, q);
			else
				q = {0, 0, 0, 0};
			add_columns(sums, q, q);
		}
		if (p.partials.any()) {
			add_lanes<BN>(sums);
			if (lane() < CHUNKS)
				UNROLL for (int e = 0; e < 8; e++) {
					u32 at = warp_columns<BN>(smem + SUMS, t >> 5, col + e);
					float a = from_bits(shared_load1(at)), b = from_bits(shared_load1(at + 4));
					shared_store2(at, bits(a + sums.a[e]), bits(b + sums.b[e]));
				}
		}
		m += BM;
		if (i + 1 < total) {
			arrived<STAGES - 2>();
			make(slot);
		}
	}
	barrier();
	if (p.partials.any())
		write_columns<BN, T>(smem + SUMS, p.partials, piece, n0, g.k);
}
