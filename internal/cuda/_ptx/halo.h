// Convolutions of 3 × 3 with stride 1 and a border of 1: a block brings pixels with their border
// into shared memory, 64 channels at a time, makes of them there what products read, and
// multiplies them by all nine positions of the filter. So a value is brought once and converted
// once for all of them.
//
// Chunk j of 8 channels is a plane of its own, a pixel after the other, 16 bytes each: to go to
// another position of the filter is to add a constant to addresses. Where a row in shared memory
// is as wide as an image, its right border is the next row's left one.
#pragma once
#include "forward.h"
#include "inputgrad.h"

// Area is what of the output a block computes, images × rows × cols pixels, and how these lie in
// shared memory with their border: rows from one to the next by pitch, those of an image tall.
// A line has the last three of these alone.
struct Area {
	u32 images, rows, cols;
	u32 down, across; // areas of an image
	u32 pitch, tall, pixels; // pixels in shared memory
};

struct HaloForward {
	Forward p;
	Area area;
};
struct HaloInputGrad {
	InputGrad p;
	Area area;
};

constexpr u32 NOWHERE = 0xffffffff; // in place of a pixel's number

// Places are places in shared memory that pixels lie at, and a table of which pixel each holds. A
// block of T threads copies them, each thread the same chunk of some.
template <int T> struct Places {
	static constexpr u32 ROWS = T / 8; // threads t and t + 8 have the same chunk of pixels beside one another
	u32 pixels, table;

	// at returns the pixel at a place.
	METHOD u32 at(u32 j) const { return j < pixels ? shared_load1(table + j * 4) : NOWHERE; }

	// copy begins to copy chunk tid % 8 of 64 channels from p on, of so many to a pixel.
	METHOD void copy(u32 to, const char *p, u32 channels, u32 plane) const {
		u32 t = tid();
		to += (t & 7) * plane;
		p += (t & 7) * 16;
		ROLLED for (u32 j = t >> 3; j < pixels; j += 4 * ROWS) {
			u32 n[4];
			UNROLL for (u32 i = 0; i < 4; i++)
				n[i] = at(j + i * ROWS);
			UNROLL for (u32 i = 0; i < 4; i++)
				if (j + i * ROWS < pixels)
					copy16<false>(to + (j + i * ROWS) * 16, p + (n[i] == NOWHERE ? 0 : 2 * (u64)n[i] * channels),
					              n[i] != NOWHERE);
		}
	}

	// convert writes f of the chunks that this thread copied to the first place, and of those at
	// the second, but leaves what is outside of images zero. It does one of some parts, so many
	// chunks beside one another.
	template <bool TWO, int MANY = 4, typename F>
	METHOD void convert(u32 first, u32 second, u32 plane, u32 part, u32 parts, F f) const {
		u32 t = tid(), off = (t & 7) * plane;
		ROLLED for (u32 j = (t >> 3) + part * (MANY * ROWS); j < pixels; j += parts * (MANY * ROWS)) {
			bool in[MANY];
			Quad v[MANY], w[MANY];
			UNROLL for (u32 i = 0; i < MANY; i++)
				in[i] = at(j + i * ROWS) != NOWHERE;
			UNROLL for (u32 i = 0; i < MANY; i++) {
				v[i] = w[i] = {0, 0, 0, 0};
				if (in[i]) {
					v[i] = shared_load(first + off + (j + i * ROWS) * 16);
					if (TWO)
						w[i] = shared_load(second + off + (j + i * ROWS) * 16);
				}
			}
			UNROLL for (u32 i = 0; i < MANY; i++)
				if (in[i])
					shared_store(first + off + (j + i * ROWS) * 16, f(v[i], w[i]));
		}
	}

	// source makes of values what products read of them, from channel c on, and gradient of two.
	template <int MANY = 4>
	METHOD void source(const Source &x, u32 at, u32 plane, u32 c, u32 part = 0, u32 parts = 1) const {
		if (!x.scale && !x.relu)
			return;
		float scale[8], shift[8], floor = x.relu ? 0 : from_bits(0xff800000);
		UNROLL for (int e = 0; e < 8; e++)
			scale[e] = 1, shift[e] = 0;
		if (x.scale) {
			eight(x.scale, c + (tid() & 7) * 8, scale);
			eight(x.shift, c + (tid() & 7) * 8, shift);
		}
		convert<false, MANY>(at, at, plane, part, parts, [&](Quad q, Quad) INLINE -> Quad {
			float v[8];
			unpack(q, v);
			UNROLL for (int e = 0; e < 8; e++) {
				v[e] = __builtin_fmaf(v[e], scale[e], shift[e]);
				v[e] = v[e] > floor ? v[e] : floor;
			}
			return packed(v);
		});
	}
	template <int MANY = 4>
	METHOD void gradient(const Grad &g, u32 at, u32 second, u32 plane, u32 k, u32 part = 0, u32 parts = 1) const {
		if (!g.a)
			return;
		float ka[8], kb[8], kk[8];
		eight(g.a, k + (tid() & 7) * 8, ka);
		eight(g.b, k + (tid() & 7) * 8, kb);
		eight(g.k, k + (tid() & 7) * 8, kk);
		convert<true, MANY>(at, second, plane, part, parts, [&](Quad dd, Quad yy) INLINE -> Quad {
			float d[8], y[8];
			unpack(dd, d);
			unpack(yy, y);
			UNROLL for (int e = 0; e < 8; e++)
				d[e] = __builtin_fmaf(ka[e], d[e], __builtin_fmaf(kb[e], y[e], kk[e]));
			return packed(d);
		});
	}
};

// Border is a block's pixels with their border: Place says which of them a place holds and a row
// of the product stands for.
template <int BM, int T, typename Place> struct Border : Places<T> {
	Place place;

	METHOD Border(const Area &a, const Shape &g, u32 piece, u32 table)
	    : Places<T>{a.pixels, table}, place(a, g, piece) {
		ROLLED for (u32 j = tid(); j < a.pixels; j += T)
			shared_store1(table + j * 4, place.held(j));
		barrier();
	}

	// outputs writes a table of the pixels that the rows of the product stand for.
	METHOD void outputs(u32 to) const {
		ROLLED for (u32 row = tid(); row < BM; row += T)
			shared_store1(to + row * 4, place.of(row));
	}
};

// The kernels take a form: F::Product multiplies, F::run goes through the channels. Its copy
// begins to copy channels of the pixels of the first array, or of the second, to shared memory;
// make makes of both at the first's place what products read, in parts; weights begins to copy
// those of a position and some channels.

template <typename F, bool TAIL> DEVICE void halo_forward(const HaloForward &q) {
	constexpr int T = F::P::THREADS, BM = F::ROWS, BN = F::COLUMNS;
	const Forward &p = q.p;
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), tiles = g.k / BN, n0 = block() % tiles * BN, piece = block() / tiles;
	auto part = F::P::mine();
	Border<BM, T, typename F::Place> border(q.area, g, piece, smem + F::TABLE);

	auto copy = [&](u32 to, u32 c, bool second) INLINE { border.copy(to, p.x.x.p + 2 * c, g.c, F::PLANE); };
	auto make = [&](u32 at, u32 other, u32 c, u32 part, u32 parts) INLINE {
		border.source(p.x, at, F::PLANE, c, part, parts);
	};
	const char *w = p.w + 2 * ((u64)(t >> 3) * g.k + n0 + (t & 7) * 8);
	auto weights = [&](u32 to, u32 tap, u32 c) INLINE {
		const char *from = w + 2 * (u64)(tap * g.c + c) * g.k;
		UNROLL for (int i = 0; i < BN * 8 / T; i++) {
			u32 row = i * (T / 8) & 63, panel = i * (T / 8) >> 6;
			copy16<false>(to + place(t >> 3, t & 7) + i * T * 16, from + 2 * (u64)row * g.k + panel * 128, true);
		}
	};

	float acc[F::P::STRIPS][F::P::N / 8][4];
	clear(acc);
	F::run(typename F::Product(part, q.area), g.c, q.area.pitch, false, copy, make, weights, acc);
	stage<BN, TAIL, F::P::APART>(smem, part.m, part.n, acc);
	u32 rows = smem + F::TABLE;
	border.outputs(rows);
	barrier();

	constexpr int CHUNKS = BN / 8, STEP = T / CHUNKS, COUNT = BM / STEP;
	constexpr u32 PITCH = TAIL ? Staged<BN>::full : Staged<BN>::half;
	static_assert(BM * PITCH + T / 4 * BN <= F::TABLE, "room");
	u32 first = t / CHUNKS, col = t % CHUNKS * 8, n = n0 + col, from = smem + first * PITCH + col * (TAIL ? 4 : 2);
	if (TAIL) {
		float scale[8], shift[8];
		eight(p.scale, n, scale);
		eight(p.shift, n, shift);
		float least = p.relu ? 0 : from_bits(0xff800000);
		UNROLL for (int i = 0; i < COUNT; i++) {
			u32 pixel = shared_load1(rows + (first + i * STEP) * 4);
			if (pixel == NOWHERE)
				continue;
			u64 to = 2 * ((u64)pixel * g.k + n);
			float v[8], x[8] = {0, 0, 0, 0, 0, 0, 0, 0};
			if (p.add)
				unpack(global_load(p.add + to), x);
			staged_full(from + i * STEP * PITCH, v);
			UNROLL for (int e = 0; e < 8; e++) {
				v[e] = __builtin_fmaf(v[e], scale[e], shift[e]) + x[e];
				v[e] = v[e] > least ? v[e] : least;
			}
			global_store(p.y + to, packed(v));
		}
		return;
	}
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
	UNROLL for (int i = 0; i < COUNT; i++) {
		u32 pixel = shared_load1(rows + (first + i * STEP) * 4);
		Quad v = shared_load(from + i * STEP * PITCH);
		if (pixel != NOWHERE)
			global_store(p.y + 2 * ((u64)pixel * g.k + n), v);
		else
			v = {0, 0, 0, 0};
		add_columns(sums, v, v);
	}
	if (p.partials.any())
		sum_columns<BN, T>(smem + BM * PITCH, sums, p.partials, piece, n0, g.k);
}

template <typename F> DEVICE void halo_input_grad(const HaloInputGrad &q) {
	constexpr int T = F::P::THREADS, BM = F::ROWS, BN = F::COLUMNS;
	const InputGrad &p = q.p;
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), tiles = g.c / BN, n0 = block() % tiles * BN, piece = block() / tiles;
	auto part = F::P::mine();
	Border<BM, T, typename F::Place> border(q.area, g, piece, smem + F::TABLE);

	// What the end will read comes near.
	ROLLED for (u32 i = t; i < BM * (BN / 64); i += T) {
		u32 pixel = border.place.of(i / (BN / 64));
		u64 at = 2 * ((u64)pixel * g.c + n0 + i % (BN / 64) * 64);
		if (pixel == NOWHERE)
			continue;
		if (p.mask.x.p)
			near(p.mask.x.p + (p.mask.x.type == BITS ? at / 16 : at));
		if (p.add)
			near(p.add + at);
		if (p.partials.any() && p.dot != p.mask.x.p)
			near(p.dot + at);
	}

	auto copy = [&](u32 to, u32 k, bool second) INLINE {
		border.copy(to, (second ? p.g.y.p : p.g.d.p) + 2 * k, g.k, F::PLANE);
	};
	auto make = [&](u32 at, u32 other, u32 k, u32 part, u32 parts) INLINE {
		border.gradient(p.g, at, other, F::PLANE, k, part, parts);
	};
	const char *w = p.w + 2 * ((u64)(n0 + (t >> 3)) * g.k + (t & 7) * 8);
	auto weights = [&](u32 to, u32 tap, u32 k) INLINE {
		const char *from = w + 2 * ((u64)((8 - tap) * g.c) * g.k + k);
		UNROLL for (int i = 0; i < BN * 8 / T; i++)
			copy16<false>(to + place(t >> 3, t & 7) + i * T * 16, from + 2 * (u64)(i * (T / 8)) * g.k, true);
	};

	float acc[F::P::STRIPS][F::P::N / 8][4];
	clear(acc);
	F::run(typename F::Product(part, q.area), g.k, q.area.pitch, p.g.a != 0, copy, make, weights, acc);
	stage<BN, true, F::P::APART>(smem, part.m, part.n, acc);
	u32 rows = smem + F::TABLE;
	border.outputs(rows);
	barrier();

	constexpr int CHUNKS = BN / 8, STEP = T / CHUNKS, COUNT = BM / STEP, GROUP = COUNT % 4 == 0 ? 4 : 2;
	constexpr u32 PITCH = Staged<BN>::full;
	static_assert(BM * PITCH + T / 4 * BN <= F::TABLE && COUNT % GROUP == 0, "room");
	u32 first = t / CHUNKS, col = t % CHUNKS * 8, n = n0 + col, from = smem + first * PITCH + col * 4;
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
	auto finish = [&](auto bits) INLINE {
		constexpr bool BY_BITS = decltype(bits)::value;
		bool same = !BY_BITS && p.dot == p.mask.x.p;
		float scale[8], shift[8];
		UNROLL for (int e = 0; e < 8; e++)
			scale[e] = 1, shift[e] = 0;
		if (!BY_BITS && p.mask.scale) {
			eight(p.mask.scale, n, scale);
			eight(p.mask.shift, n, shift);
		}
		UNROLL for (int i = 0; i < COUNT; i += GROUP) {
			Quad mask[GROUP], add[GROUP], dot[GROUP];
			u32 pixel[GROUP];
			UNROLL for (int j = 0; j < GROUP; j++) {
				pixel[j] = shared_load1(rows + (first + (i + j) * STEP) * 4);
				bool in = pixel[j] != NOWHERE;
				u64 at = 2 * ((u64)pixel[j] * g.c + n);
				mask[j] = add[j] = dot[j] = {0, 0, 0, 0};
				if (BY_BITS && in)
					mask[j].x = ((const u8 *)p.mask.x.p)[at / 16];
				else if (p.mask.x.p && in)
					mask[j] = global_load(p.mask.x.p + at);
				if (p.add && in)
					add[j] = global_load(p.add + at);
				if (p.partials.any() && !same && in)
					dot[j] = global_load(p.dot + at);
			}
			UNROLL for (int j = 0; j < GROUP; j++) {
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
				Quad d = packed(v);
				if (pixel[j] != NOWHERE)
					global_store(p.dx + 2 * ((u64)pixel[j] * g.c + n), d);
				else
					d = {0, 0, 0, 0};
				add_columns(sums, d, same ? mask[j] : dot[j]);
			}
		}
	};
	if (p.mask.x.type == BITS)
		finish(Known<true>());
	else
		finish(Known<false>());
	if (p.partials.any())
		sum_columns<BN, T>(smem + BM * PITCH, sums, p.partials, piece, n0, g.c);
}
