// Input gradients of 1 × 1 convolutions with few output channels: a block makes the gradient of
// its pixels once and goes through all channels of the input.
#pragma once
#include "inputgrad.h"

// run_input_grad computes 128 pixels, for k of at most 256. Two teams of 256 threads each take
// every second tile of 128 channels: while one multiplies, the other one finishes.
template <int DOWN, int ACROSS> DEVICE void run_input_grad(const InputGrad &p) {
	constexpr int BM = 128, BN = 128, TEAM = 256, PANEL = BM * 128;
	using P = Part<BM, BN, DOWN, ACROSS>;
	static_assert(P::THREADS == TEAM, "a team");
	constexpr u32 Y = 4 * PANEL, OUT = 8 * PANEL, PITCH = Staged<BN>::half, SUMS = OUT + 2 * BM * PITCH;
	const Shape &g = p.shape;
	u32 smem = shared(), m0 = block() * BM;
	u32 panels = (g.k + 63) / 64;

	{ // g: panels of 64 channels, and what it is made of
		u32 t = tid(), chunk = t & 7, row = t >> 3;
		UNROLL for (int q = 0; q < 4; q++)
			UNROLL for (int i = 0; i < 2; i++) {
				u32 m = m0 + row + i * 64, k = q * 64 + chunk * 8;
				bool in = m < g.m && k < g.k;
				u32 at = smem + q * PANEL + place(row + i * 64, chunk);
				u64 from = 2 * ((u64)m * g.k + k);
				copy16<false>(at, p.g.d.p + from, in);
				if (p.g.a)
					copy16<false>(at + Y, p.g.y.p + from, in);
			}
		commit();
		arrived<0>();
		if (p.g.a) {
			UNROLL for (int q = 0; q < 4; q++) {
				u32 k = q * 64 + chunk * 8;
				if (k >= g.k)
					break;
				float ka[8], kb[8], kk[8];
				eight(p.g.a, k, ka);
				eight(p.g.b, k, kb);
				eight(p.g.k, k, kk);
				UNROLL for (int i = 0; i < 2; i++) {
					u32 at = smem + q * PANEL + place(row + i * 64, chunk);
					float v[8], y[8];
					unpack(shared_load(at), v);
					unpack(shared_load(at + Y), y);
					UNROLL for (int e = 0; e < 8; e++)
						v[e] = __builtin_fmaf(ka[e], v[e], __builtin_fmaf(kb[e], y[e], kk[e]));
					shared_store(at, packed(v));
				}
			}
		}
		show();
	}

	// From here on a team goes its own way; what y was in is its room for weights.
	u32 team = tid() / TEAM, t = tid() % TEAM, chunk = t & 7, row = t >> 3;
	u32 slots = smem + Y + team * 2 * PANEL, out = smem + OUT + team * BM * PITCH;
	u32 room = smem + SUMS + team * (TEAM / 32) * BN * 8;
	auto together = [&]() INLINE { asm volatile("bar.sync %0, 256;" ::"r"(team + 1) : "memory"); };
	auto part = P::mine(t);
	Factors<false, true, BM, BN, DOWN, ACROSS> factors(part);

	u32 load_n = team * BN, load_q = 0;
	auto copy = [&](u32 slot) INLINE {
		u32 at = slots + slot * PANEL + place(row, chunk), k = load_q * 64 + chunk * 8;
		UNROLL for (int i = 0; i < 4; i++) {
			u32 n = load_n + row + i * 32;
			copy16<false>(at + i * 32 * 128, p.w + 2 * ((u64)n * g.k + k), n < g.c && k < g.k);
		}
		commit();
		if (++load_q == panels)
			load_q = 0, load_n += 2 * BN;
	};
	if (load_n < g.c)
		copy(0);
	u32 slot = 0;
	bool bits_only = p.mask.x.type == BITS, same = !bits_only && p.dot == p.mask.x.p;
	ROLLED for (u32 n0 = team * BN; n0 < g.c; n0 += 2 * BN) {
		// What the end reads comes near.
		UNROLL for (u32 v = t; v < BM * 2; v += TEAM) {
			u32 m = m0 + v / 2, n = n0 + v % 2 * 64;
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
				if (p.partials.any() && !same)
					near(p.dot + at);
			}
		}
		float acc[P::STRIPS][P::N / 8][4];
		clear(acc);
		ROLLED for (u32 q = 0; q < panels; q++) {
			arrived<0>();
			expose();
			together();
			if (P::ASYNC)
				factors.multiply(smem + q * PANEL, slots + slot * PANEL, acc);
			if (load_n < g.c)
				copy(slot ^ 1);
			if (!P::ASYNC)
				factors.multiply(smem + q * PANEL, slots + slot * PANEL, acc);
			slot ^= 1;
			factors.finish(acc);
		}
		u32 here = again(out), mine = again(t);
		stage<BN, false, P::APART>(here, part.m, part.n, acc);
		together();

		constexpr int CHUNKS = BN / 8, STEP = TEAM / CHUNKS, COUNT = BM / STEP, GROUP = 2;
		u32 col = mine % CHUNKS * 8, first = mine / CHUNKS, n = n0 + col;
		u64 to = 2 * ((u64)(m0 + first) * g.c + n);
		u32 from = here + first * PITCH + col * 2;
		float scale[8], shift[8];
		UNROLL for (int e = 0; e < 8; e++)
			scale[e] = 1, shift[e] = 0;
		if (!bits_only && p.mask.scale && n < g.c) {
			eight(p.mask.scale, n, scale);
			eight(p.mask.shift, n, shift);
		}
		Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
		ROLLED for (int i = 0; i < COUNT; i += GROUP) {
			Quad mask[GROUP], add[GROUP], dot[GROUP];
			UNROLL for (int j = 0; j < GROUP; j++) {
				bool in = m0 + first + (i + j) * STEP < g.m && n < g.c;
				u64 o = to + 2 * (u64)((i + j) * STEP) * g.c;
				mask[j] = add[j] = dot[j] = {0, 0, 0, 0};
				if (bits_only && in)
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
				unpack(shared_load(from + (i + j) * STEP * PITCH), v);
				unpack(add[j], x);
				UNROLL for (int e = 0; e < 8; e++)
					v[e] += x[e];
				if (bits_only) {
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
		if (p.partials.any()) {
			add_lanes<BN>(sums);
			if (lane() < CHUNKS)
				UNROLL for (int e = 0; e < 8; e++)
					shared_store2(warp_columns<BN>(room, t >> 5, col + e), bits(sums.a[e]), bits(sums.b[e]));
			together();
			write_columns<BN, TEAM>(room, p.partials, block(), n0, g.c, t);
		}
	}
}
