// Convolutions forward: what comes before and after them is done on the way.
#pragma once
#include "tile.h"

// Forward: y = convolution of x with w, r × s × c × k; sums of y and y² of each tile's rows
// to partials; or the tail of an inference. All arrays of values are bfloat16, c and k are
// multiples of 8.
struct Forward {
	Source x;
	const char *w;
	char *y;
	Partials partials;
	const float *scale, *shift; // k each, of the tail
	const char *add;           // or 0
	u32 relu;
	u32 pitch; // values from a pixel of x to the next; c, unless pixels overlap
	u32 run;   // tiles that a block of run_forward goes through
	u32 unused;
	Shape shape;
};

// Taps goes through the positions of a filter and 64 channels of each.
template <bool GENERAL> struct Taps {
	u32 c, r, s;
	METHOD void next(const Shape &g) {
		c += 64;
		if (GENERAL && c >= g.c) {
			c = 0;
			if (++s == g.s)
				s = 0, r++;
		}
	}
};

// forward computes BM pixels × BN channels. With GENERAL rows are gathered for filters of
// any size and stride, else row i of the product is row i of x. With TAIL the inference's
// tail is applied.
template <int BM, int BN, int DOWN, int ACROSS, int STAGES, bool GENERAL, bool TAIL>
DEVICE void forward(const Forward &p) {
	constexpr int T = Part<BM, BN, DOWN, ACROSS>::THREADS, ROWS = T / 8;
	constexpr u32 A = BM * 128, B = BN * 128, STAGE = A + B;
	constexpr int AV = BM / ROWS, BV = BN / ROWS;
	static_assert(BM % ROWS == 0 && (64 % ROWS == 0 || ROWS % 64 == 0) && BN % 64 == 0, "tiles");
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), chunk = t & 7, row = t >> 3;
	u32 tiles = (g.k + BN - 1) / BN;
	u32 n0 = block() % tiles * BN, m0 = block() / tiles * BM;
	auto part = Part<BM, BN, DOWN, ACROSS>::mine();

	// Where the rows are that this thread copies.
	const char *x = p.x.x.p + 2 * ((u64)(m0 + row) * g.c + chunk * 8);
	const char *weights = p.w + 2 * ((u64)row * g.k + n0 + chunk * 8);
	u32 pixel[GENERAL ? AV : 1], corner[GENERAL ? AV : 1]; // the first pixel; its place, y and x
	if (GENERAL) {
		UNROLL for (int i = 0; i < AV; i++) {
			u32 m = m0 + row + i * ROWS;
			u32 n = m / (g.oh * g.ow), rest = m - n * (g.oh * g.ow), oy = rest / g.ow, ox = rest - oy * g.ow;
			u32 y = oy * g.stride - g.pad_h, xx = ox * g.stride - g.pad_w;
			pixel[i] = (n * g.h + y) * g.w + xx;
			corner[i] = m < g.m ? (y << 16) | (xx & 0xffff) : 0x80008000;
		}
	}
	// inside says whether row i has a value at a tap.
	auto inside = [&](int i, const Taps<GENERAL> &q) INLINE -> bool {
		if (!GENERAL)
			return m0 + row + i * ROWS < g.m && q.c + chunk * 8 < g.c;
		i32 yy = (i32)corner[i] >> 16, xx = (i32)(corner[i] << 16) >> 16;
		return (u32)(yy + (i32)q.r) < g.h && (u32)(xx + (i32)q.s) < g.w && q.c + chunk * 8 < g.c;
	};
	Taps<GENERAL> loads{0, 0, 0}, made{0, 0, 0};
	u32 total = (GENERAL ? g.r * g.s : 1) * ((g.c + 63) / 64);

	auto copy = [&](u32 slot) INLINE {
		u32 a = smem + slot * STAGE + place(row, chunk), b = a + A;
		UNROLL for (int i = 0; i < AV; i++) {
			const char *from;
			if (GENERAL)
				from = p.x.x.p + 2 * ((i64)(i32)(pixel[i] + loads.r * g.w + loads.s) * p.pitch + loads.c + chunk * 8);
			else
				from = x + 2 * ((u64)(i * ROWS) * g.c + loads.c);
			copy16<GENERAL>(a + i * ROWS * 128, from, inside(i, loads));
		}
		const char *w = weights + 2 * ((u64)((loads.r * g.s + loads.s) * g.c + loads.c) * g.k);
		UNROLL for (int i = 0; i < BV; i++) {
			u32 c = i * ROWS & 63, panel = i * ROWS >> 6;
			copy16<false>(b + panel * 8192 + c * 128, w + 2 * (u64)c * g.k + panel * 128,
			       loads.c + row + c < g.c && n0 + panel * 64 + chunk * 8 < g.k);
		}
		loads.next(g);
	};
	float floor = p.x.relu ? 0 : from_bits(0xff800000);
	auto make = [&](u32 slot) INLINE {
		if ((p.x.scale || p.x.relu) && made.c + chunk * 8 < g.c) {
			float scale[8], shift[8];
			if (p.x.scale) {
				eight(p.x.scale, made.c + chunk * 8, scale);
				eight(p.x.shift, made.c + chunk * 8, shift);
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
				Quad q = packed(v);
				if (GENERAL && !inside(i, made)) // padding is zero after all that
					q = {0, 0, 0, 0};
				shared_store(a + i * ROWS * 128, q);
			}
		}
		made.next(g);
	};

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
	u32 slot = 0;
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
		if (i + 1 < total) {
			arrived<STAGES - 2>();
			make(slot);
		}
		factors.finish(acc);
	}
	barrier();
	stage<BN, TAIL, part.APART>(smem, part.m, part.n, acc);
	barrier();

	constexpr int CHUNKS = BN / 8, STEP = T / CHUNKS; // rows from one vector of a thread to the next
	constexpr u32 PITCH = TAIL ? Staged<BN>::full : Staged<BN>::half;
	u32 col = t % CHUNKS * 8, first = t / CHUNKS, n = n0 + col;
	char *y = p.y + 2 * ((u64)(m0 + first) * g.k + n);
	u32 from = smem + first * PITCH + col * (TAIL ? 4 : 2);
	if (TAIL) {
		if (n >= g.k)
			return;
		float scale[8], shift[8];
		eight(p.scale, n, scale);
		eight(p.shift, n, shift);
		float least = p.relu ? 0 : from_bits(0xff800000);
		const char *add = p.add + 2 * ((u64)(m0 + first) * g.k + n);
		UNROLL for (int i = 0; i < BM / STEP; i++) {
			if (m0 + first + i * STEP < g.m) {
				float v[8], w[8] = {0, 0, 0, 0, 0, 0, 0, 0};
				if (p.add)
					unpack(global_load(add + 2 * (u64)(i * STEP) * g.k), w);
				staged_full(from + i * STEP * PITCH, v);
				UNROLL for (int e = 0; e < 8; e++) {
					v[e] = __builtin_fmaf(v[e], scale[e], shift[e]) + w[e];
					v[e] = v[e] > least ? v[e] : least;
				}
				global_store(y + 2 * (u64)(i * STEP) * g.k, packed(v));
			}
		}
		return;
	}
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
	UNROLL for (int i = 0; i < BM / STEP; i++) {
		Quad q = shared_load(from + i * STEP * PITCH);
		if (m0 + first + i * STEP < g.m && n < g.k)
			global_store(y + 2 * (u64)(i * STEP) * g.k, q);
		else
			q = {0, 0, 0, 0};
		add_columns(sums, q, q);
	}
	if (p.partials.any())
		sum_columns<BN, T>(smem + BM * PITCH, sums, p.partials, m0 / BM, n0, g.k);
}
