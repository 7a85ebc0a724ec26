// Gradients of convolutions' inputs: the gradient of the output is made of two arrays on the
// way in, and the input's is finished on the way out.
#pragma once
#include "tile.h"

// InputGrad: dx = g convolved back with w, r × s × c × k, and finished: with add, which may be
// dx, zero where mask reads 0 or less, sums of it and of it times dot of each tile's rows to
// partials. All arrays of values are bfloat16, c and k are multiples of 8; the stride is 1.
struct InputGrad {
	Grad g; // without a, it is d as it is stored
	const char *w;
	char *dx;
	const char *add; // or 0
	Source mask;     // x is 0: there is none; or bits
	const char *dot; // with partials
	Partials partials;
	Shape shape;     // m counts pixels of the input
	u32 few;         // add is of those of even row and column
	u32 unused;
};

// Known is a choice that is made when a kernel is compiled.
template <bool V> struct Known {
	static constexpr bool value = V;
};

// input_grad computes BM pixels × BN channels of a 1 × 1 convolution.
template <int BM, int BN, int DOWN, int ACROSS, int STAGES> DEVICE void input_grad(const InputGrad &p) {
	constexpr int T = Part<BM, BN, DOWN, ACROSS>::THREADS, ROWS = T / 8;
	constexpr u32 A = BM * 128, B = BN * 128, STAGE = 2 * A + B;
	constexpr int AV = BM / ROWS, BV = BN / ROWS;
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), chunk = t & 7, row = t >> 3;
	u32 tiles = (g.c + BN - 1) / BN;
	u32 n0 = block() % tiles * BN, m0 = block() / tiles * BM;
	auto part = Part<BM, BN, DOWN, ACROSS>::mine();


	// What the end will read comes near.
	constexpr int LINES = BN / 64;
	UNROLL for (u32 v = t; v < BM * LINES; v += T) {
		u32 m = m0 + v / LINES, n = n0 + v % LINES * 64;
		if (m < g.m && n < g.c) {
			u64 at = 2 * ((u64)m * g.c + n);
			if (p.mask.x.p)
				near(p.mask.x.p + (p.mask.x.type == BITS ? at / 16 : at));
			if (p.add && p.few) {
				int pixel = even_pixel(m, g.h, g.w);
				if (pixel >= 0)
					near(p.add + 2 * ((u64)pixel * g.c + n));
			} else if (p.add) {
				near(p.add + at);
			}
			if (p.partials.any() && p.dot != p.mask.x.p)
				near(p.dot + at);
		}
	}

	const char *weights = p.w + 2 * ((u64)(n0 + row) * g.k + chunk * 8);
	u32 total = (g.k + 63) / 64;

	auto copy = [&](u32 slot, u32 step) INLINE {
		u32 a = smem + slot * STAGE + place(row, chunk), b = a + 2 * A, k = step * 64;
		bool in_k = k + chunk * 8 < g.k;
		UNROLL for (int i = 0; i < AV; i++) {
			u32 m = m0 + row + i * ROWS;
			u64 from = 2 * ((u64)m * g.k + k + chunk * 8);
			copy16<false>(a + i * ROWS * 128, p.g.d.p + from, m < g.m && in_k);
			if (p.g.a)
				copy16<false>(a + A + i * ROWS * 128, p.g.y.p + from, m < g.m && in_k);
		}
		UNROLL for (int i = 0; i < BV; i++)
			copy16<false>(b + i * ROWS * 128, weights + 2 * ((u64)(i * ROWS) * g.k + k),
			              n0 + row + i * ROWS < g.c && in_k);
	};
	auto make = [&](u32 slot, u32 step) INLINE {
		u32 k = step * 64 + chunk * 8;
		if (!p.g.a || k >= g.k)
			return;
		float ka[8], kb[8], kk[8];
		eight(p.g.a, k, ka);
		eight(p.g.b, k, kb);
		eight(p.g.k, k, kk);
		u32 a = smem + slot * STAGE + place(row, chunk);
		UNROLL for (int i = 0; i < AV; i++) {
			float v[8], y[8];
			unpack(shared_load(a + i * ROWS * 128), v);
			unpack(shared_load(a + A + i * ROWS * 128), y);
			UNROLL for (int e = 0; e < 8; e++)
				v[e] = __builtin_fmaf(ka[e], v[e], __builtin_fmaf(kb[e], y[e], kk[e]));
			shared_store(a + i * ROWS * 128, packed(v));
		}
	};

	float acc[part.STRIPS][part.N / 8][4];
	clear(acc);
	Factors<false, true, BM, BN, DOWN, ACROSS> factors(part);
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
	stage<BN, true, part.APART>(smem, part.m, part.n, acc);
	barrier();

	constexpr int CHUNKS = BN / 8, STEP = T / CHUNKS, COUNT = BM / STEP, GROUP = BN < 256 ? 2 : 4;
	constexpr u32 PITCH = Staged<BN>::full;
	u32 col = t % CHUNKS * 8, first = t / CHUNKS, n = n0 + col;
	u64 to = 2 * ((u64)(m0 + first) * g.c + n);
	u32 from = smem + first * PITCH + col * 4;
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
	auto finish = [&](auto bits) INLINE {
		constexpr bool BY_BITS = decltype(bits)::value;
		bool same = !BY_BITS && p.dot == p.mask.x.p;
		float scale[8], shift[8];
		UNROLL for (int e = 0; e < 8; e++)
			scale[e] = 1, shift[e] = 0;
		if (!BY_BITS && p.mask.scale && n < g.c) {
			eight(p.mask.scale, n, scale);
			eight(p.mask.shift, n, shift);
		}
		UNROLL for (int i = 0; i < COUNT; i += GROUP) {
			Quad mask[GROUP], add[GROUP], dot[GROUP];
			UNROLL for (int j = 0; j < GROUP; j++) {
				bool in = m0 + first + (i + j) * STEP < g.m && n < g.c;
				u64 o = to + 2 * (u64)((i + j) * STEP) * g.c;
				mask[j] = add[j] = dot[j] = {0, 0, 0, 0};
				if (BY_BITS && in)
					mask[j].x = ((const u8 *)p.mask.x.p)[o / 16];
				else if (p.mask.x.p && in)
					mask[j] = global_load(p.mask.x.p + o);
				int pixel = p.few && in ? even_pixel(m0 + first + (i + j) * STEP, g.h, g.w) : 0;
				if (p.add && in && pixel >= 0)
					add[j] = global_load(p.add + (p.few ? 2 * ((u64)pixel * g.c + n) : o));
				if (p.partials.any() && !same && in)
					dot[j] = global_load(p.dot + o);
			}
			UNROLL for (int j = 0; j < GROUP; j++) {
				bool in = m0 + first + (i + j) * STEP < g.m && n < g.c;
				float v[8], x[8];
				staged_full(from + (i + j) * STEP * PITCH, v);
				unpack(add[j], x);
				UNROLL for (int e = 0; e < 8; e++)
					v[e] += x[e];
				if (BY_BITS) {
					UNROLL for (int e = 0; e < 8; e++)
						v[e] = mask[j].x >> e & 1 ? v[e] : 0;
				} else if (p.mask.x.p) {
					unpack(mask[j], x);
					UNROLL for (int e = 0; e < 8; e++)
						v[e] = __builtin_fmaf(x[e], scale[e], shift[e]) <= 0 ? 0 : v[e];
				}
				Quad q = packed(v);
				if (in)
					global_store(p.dx + to + 2 * (u64)((i + j) * STEP) * g.c, q);
				else
					q = {0, 0, 0, 0};
				add_columns(sums, q, same ? mask[j] : dot[j]);
			}
		}
	};
	if (p.mask.x.type == BITS)
		finish(Known<true>());
	else
		finish(Known<false>());
	if (p.partials.any())
		sum_columns<BN, T>(smem + BM * PITCH, sums, p.partials, m0 / BM, n0, g.c);
}
