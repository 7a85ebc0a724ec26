// Convolutions of 3 × 3 with stride 1 and a border of 1: a block brings an area of pixels with
// its border into shared memory, 64 channels at a time, makes of it there what products read,
// and multiplies it by all nine positions of the filter. So a value is brought once and
// converted once for all of them.
//
// Chunk j of 8 channels is a plane of its own, a pixel after the other, 16 bytes each: to go to
// another position of the filter is to add a constant to addresses.
#pragma once
#include "forward.h"
#include "inputgrad.h"

// Area is what of the output a block computes, images × rows × cols pixels, and how these lie in
// shared memory with their border: rows from one to the next by pitch, those of an image tall.
// Where a row is as wide as an image its right border is the next row's left one, and where it is
// as tall its lower border the next image's upper one.
struct Area {
	u32 images, rows, cols;
	u32 pitch, tall, pixels; // pixels in shared memory
	u32 down, across;        // areas of an image
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

// Corner is the first of an area's pixels; there are so many images from there on.
struct Corner {
	u32 image, y, x, images;
	METHOD Corner(const Area &a, const Shape &g, u32 area) {
		x = area % a.across * a.cols;
		area /= a.across;
		y = area % a.down * a.rows;
		image = area / a.down * a.images;
		u32 left = g.m / (g.h * g.w) - image;
		images = left < a.images ? left : a.images;
	}
	// pixel returns the number of a pixel that lies so far from there, where there is one.
	METHOD u32 pixel(const Shape &g, u32 i, u32 dy, u32 dx) const {
		return i < images && y + dy < g.h && x + dx < g.w ? ((image + i) * g.h + y + dy) * g.w + x + dx : NOWHERE;
	}
};

// Nine are the products of an area of BM pixels, which has at most PIXELS with its border, and 64
// columns of the weights, for all positions of the filter. Weights are rows of 64 columns, or
// with BT columns of 64 rows.
template <bool BT, int BM, int DOWN, int ACROSS, int PIXELS> struct Nine {
	using P = Part<BM, 64, DOWN, ACROSS>;
	static constexpr u32 PLANE = PIXELS * 16, A = 8 * PLANE, B = 8192, STAGES = 3;
	static constexpr u32 RING = 2 * A, TABLE = RING + STAGES * B;
	static constexpr int PAIRS = P::N / 16;
	static_assert(PIXELS % 2 == 1, "planes begin at different banks");
	u32 a_at[P::STRIPS], b_off;

	METHOD Nine(const P &part, const Area &a) {
		u32 l = lane(), size = a.rows * a.cols;
		UNROLL for (int i = 0; i < P::STRIPS; i++) {
			u32 row = part.m + i * 16 + (l & 15), image = row / size, rest = row - image * size, y = rest / a.cols;
			u32 at = image < a.images ? (image * a.tall + y) * a.pitch + rest - y * a.cols : 0;
			a_at[i] = at * 16 + (l >> 4) * PLANE;
		}
		if (BT)
			b_off = place(part.n + (l & 7) + ((l >> 4) << 3), (l >> 3) & 1);
		else
			b_off = place(l & 15, (part.n >> 3) + (l >> 4));
	}

	// multiply adds the product of the pixels at a and the weights at b.
	METHOD void multiply(u32 a, u32 b, float (&acc)[P::STRIPS][P::N / 8][4]) const {
		u32 af[2][P::STRIPS][4], bf[2][PAIRS][4];
		auto fetch = [&](int kk) INLINE {
			UNROLL for (int j = 0; j < PAIRS; j++) {
				if (BT)
					matrices<false>(bf[kk & 1][j], b + (b_off ^ (kk << 5)) + j * 2048);
				else
					matrices<true>(bf[kk & 1][j], b + (b_off ^ (j << 5)) + kk * 2048);
			}
			UNROLL for (int i = 0; i < P::STRIPS; i++)
				matrices<false>(af[kk & 1][i], a + a_at[i] + kk * 2 * PLANE);
		};
		fetch(0);
		UNROLL for (int kk = 0; kk < 4; kk++) {
			if (kk < 3)
				fetch(kk + 1);
			UNROLL for (int i = 0; i < P::STRIPS; i++)
				UNROLL for (int j = 0; j < P::N / 8; j++)
					mma(acc[i][j], af[kk & 1][i], bf[kk & 1][j / 2][j % 2 * 2], bf[kk & 1][j / 2][j % 2 * 2 + 1]);
		}
	}
};

// nine goes through the channels of an area. Copy begins to copy channels of the pixels of the
// first array, or of the second, to shared memory; make makes of both at the first's place what
// products read; weights begins to copy those of a position and some channels. With two the
// second array is read.
template <bool BT, int BM, int DOWN, int ACROSS, int PIXELS, typename Copy, typename Make, typename Weights>
DEVICE void nine(const Nine<BT, BM, DOWN, ACROSS, PIXELS> &product, u32 depth, u32 pitch, bool two, Copy copy,
                 Make make, Weights weights, float (&acc)[BM / DOWN / 16][64 / ACROSS / 8][4]) {
	using N = Nine<BT, BM, DOWN, ACROSS, PIXELS>;
	u32 smem = shared(), ring = smem + N::RING;
	copy(smem, 0, false);
	if (two)
		copy(smem + N::A, 0, true);
	weights(ring, 0, 0);
	commit();
	weights(ring + N::B, 1, 0);
	commit();
	u32 now = smem, other = smem + N::A; // where the channels are, and where the next ones go
	u32 tap = 2, from = 0;               // of the weights that are copied next
	ROLLED for (u32 c = 0; c < depth; c += 64) {
		if (two && c > 0) {
			barrier();
			copy(other, c, true);
			commit();
			arrived<0>();
		} else {
			arrived<1>();
		}
		make(now, other, c);
		u32 slot = 0, at = now; // where the weights of this position are, and its first pixel
		ROLLED for (u32 i = 0; i < 9; i++) {
			arrived<1>();
			barrier();
			if (i == 0 && c + 64 < depth)
				copy(other, c + 64, false);
			if (from < depth)
				weights(ring + (slot == 0 ? 2 : slot - 1) * N::B, tap, from);
			commit();
			if (++tap == 9)
				tap = 0, from += 64;
			product.multiply(at, ring + slot * N::B, acc);
			slot = slot == 2 ? 0 : slot + 1;
			at += slot == 0 ? (pitch - 2) * 16 : 16; // three positions of a row, and as many stages
		}
		u32 was = now;
		now = other, other = was;
	}
	barrier();
}

// Border is a block's view of an area: which pixels a thread copies, and to where.
template <int BM, int T> struct Border {
	static constexpr u32 ROWS = T / 8; // threads t and t + 8 have the same chunk of pixels beside one another
	const Area &a;
	const Shape &g;
	Corner corner;
	u32 table;

	// The table says which pixel each place in shared memory holds.
	METHOD Border(const Area &a, const Shape &g, u32 area, u32 table) : a(a), g(g), corner(a, g, area), table(table) {
		ROLLED for (u32 j = tid(); j < a.pixels; j += T) {
			u32 row = j / a.pitch, x = j - row * a.pitch, image = row / a.tall, y = row - image * a.tall;
			shared_store1(table + j * 4, corner.pixel(g, image, y - 1, x - 1));
		}
		barrier();
	}

	// at returns the pixel at a place.
	METHOD u32 at(u32 j) const { return j < a.pixels ? shared_load1(table + j * 4) : NOWHERE; }

	// copy begins to copy chunk tid % 8 of 64 channels from p on, of so many to a pixel.
	METHOD void copy(u32 to, const char *p, u32 channels, u32 plane) const {
		u32 t = tid();
		to += (t & 7) * plane;
		p += (t & 7) * 16;
		ROLLED for (u32 j = t >> 3; j < a.pixels; j += 4 * ROWS) {
			u32 n[4];
			UNROLL for (u32 i = 0; i < 4; i++)
				n[i] = at(j + i * ROWS);
			UNROLL for (u32 i = 0; i < 4; i++)
				if (j + i * ROWS < a.pixels)
					copy16<false>(to + (j + i * ROWS) * 16, p + (n[i] == NOWHERE ? 0 : 2 * (u64)n[i] * channels),
					              n[i] != NOWHERE);
		}
	}

	// convert writes f of the chunks that this thread copied to the first place, and of those at
	// the second, but leaves what is outside of images zero.
	template <bool TWO, typename F> METHOD void convert(u32 first, u32 second, u32 plane, F f) const {
		u32 t = tid(), off = (t & 7) * plane;
		ROLLED for (u32 j = t >> 3; j < a.pixels; j += 4 * ROWS) {
			bool in[4];
			Quad v[4], w[4];
			UNROLL for (u32 i = 0; i < 4; i++)
				in[i] = at(j + i * ROWS) != NOWHERE;
			UNROLL for (u32 i = 0; i < 4; i++) {
				v[i] = w[i] = {0, 0, 0, 0};
				if (in[i]) {
					v[i] = shared_load(first + off + (j + i * ROWS) * 16);
					if (TWO)
						w[i] = shared_load(second + off + (j + i * ROWS) * 16);
				}
			}
			UNROLL for (u32 i = 0; i < 4; i++)
				if (in[i])
					shared_store(first + off + (j + i * ROWS) * 16, f(v[i], w[i]));
		}
	}

	// outputs writes a table of the pixels that the rows of the product stand for.
	METHOD void outputs(u32 to) const {
		u32 size = a.rows * a.cols;
		ROLLED for (u32 row = tid(); row < BM; row += T) {
			u32 image = row / size, rest = row - image * size, y = rest / a.cols;
			shared_store1(to + row * 4, corner.pixel(g, image, y, rest - y * a.cols));
		}
	}
};

template <int BM, int DOWN, int ACROSS, int PIXELS, bool TAIL> DEVICE void halo_forward(const HaloForward &q) {
	using N = Nine<false, BM, DOWN, ACROSS, PIXELS>;
	constexpr int T = N::P::THREADS;
	const Forward &p = q.p;
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), tiles = g.k / 64, n0 = block() % tiles * 64, area = block() / tiles;
	auto part = N::P::mine();
	Border<BM, T> border(q.area, g, area, smem + N::TABLE);

	auto copy = [&](u32 to, u32 c, bool second) INLINE { border.copy(to, p.x.x.p + 2 * c, g.c, N::PLANE); };
	float floor = p.x.relu ? 0 : from_bits(0xff800000);
	auto make = [&](u32 at, u32 other, u32 c) INLINE {
		if (!p.x.scale && !p.x.relu)
			return;
		float scale[8], shift[8];
		UNROLL for (int e = 0; e < 8; e++)
			scale[e] = 1, shift[e] = 0;
		if (p.x.scale) {
			eight(p.x.scale, c + (t & 7) * 8, scale);
			eight(p.x.shift, c + (t & 7) * 8, shift);
		}
		border.template convert<false>(at, other, N::PLANE, [&](Quad x, Quad) INLINE -> Quad {
			float v[8];
			unpack(x, v);
			UNROLL for (int e = 0; e < 8; e++) {
				v[e] = __builtin_fmaf(v[e], scale[e], shift[e]);
				v[e] = v[e] > floor ? v[e] : floor;
			}
			return packed(v);
		});
	};
	const char *w = p.w + 2 * ((u64)(t >> 3) * g.k + n0 + (t & 7) * 8);
	auto weights = [&](u32 to, u32 tap, u32 c) INLINE {
		const char *from = w + 2 * (u64)(tap * g.c + c) * g.k;
		UNROLL for (int i = 0; i < 512 / T; i++)
			copy16<false>(to + place(t >> 3, t & 7) + i * T * 16, from + 2 * (u64)(i * (T / 8)) * g.k, true);
	};

	float acc[N::P::STRIPS][N::P::N / 8][4];
	clear(acc);
	N product(part, q.area);
	nine(product, g.c, q.area.pitch, false, copy, make, weights, acc);
	stage<64, TAIL, 16>(smem, part.m, part.n, acc);
	u32 rows = smem + N::RING;
	border.outputs(rows);
	barrier();

	constexpr int STEP = T / 8, COUNT = BM / STEP;
	constexpr u32 PITCH = TAIL ? Staged<64>::full : Staged<64>::half;
	static_assert(BM * PITCH + T / 32 * 512 <= N::RING && BM * 4 <= N::TABLE - N::RING, "room");
	u32 first = t >> 3, n = n0 + (t & 7) * 8, from = smem + first * PITCH + (t & 7) * (TAIL ? 32 : 16);
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
		sum_columns<64, T>(smem + BM * PITCH, sums, p.partials, area, n0, g.k);
}

template <int BM, int DOWN, int ACROSS, int PIXELS> DEVICE void halo_input_grad(const HaloInputGrad &q) {
	using N = Nine<true, BM, DOWN, ACROSS, PIXELS>;
	constexpr int T = N::P::THREADS;
	const InputGrad &p = q.p;
	const Shape &g = p.shape;
	u32 smem = shared(), t = tid(), tiles = g.c / 64, n0 = block() % tiles * 64, area = block() / tiles;
	auto part = N::P::mine();
	Border<BM, T> border(q.area, g, area, smem + N::TABLE);

	auto copy = [&](u32 to, u32 k, bool second) INLINE {
		border.copy(to, (second ? p.g.y.p : p.g.d.p) + 2 * k, g.k, N::PLANE);
	};
	auto make = [&](u32 at, u32 other, u32 k) INLINE {
		if (!p.g.a)
			return;
		float ka[8], kb[8], kk[8];
		eight(p.g.a, k + (t & 7) * 8, ka);
		eight(p.g.b, k + (t & 7) * 8, kb);
		eight(p.g.k, k + (t & 7) * 8, kk);
		border.template convert<true>(at, other, N::PLANE, [&](Quad dd, Quad yy) INLINE -> Quad {
			float d[8], y[8];
			unpack(dd, d);
			unpack(yy, y);
			UNROLL for (int e = 0; e < 8; e++)
				d[e] = __builtin_fmaf(ka[e], d[e], __builtin_fmaf(kb[e], y[e], kk[e]));
			return packed(d);
		});
	};
	const char *w = p.w + 2 * ((u64)(n0 + (t >> 3)) * g.k + (t & 7) * 8);
	auto weights = [&](u32 to, u32 tap, u32 k) INLINE {
		const char *from = w + 2 * ((u64)((8 - tap) * g.c) * g.k + k);
		UNROLL for (int i = 0; i < 512 / T; i++)
			copy16<false>(to + place(t >> 3, t & 7) + i * T * 16, from + 2 * (u64)(i * (T / 8)) * g.k, true);
	};

	float acc[N::P::STRIPS][N::P::N / 8][4];
	clear(acc);
	N product(part, q.area);
	nine(product, g.k, q.area.pitch, p.g.a != 0, copy, make, weights, acc);
	stage<64, true, 16>(smem, part.m, part.n, acc);
	u32 rows = smem + N::RING;
	border.outputs(rows);
	barrier();

	constexpr int STEP = T / 8, COUNT = BM / STEP, GROUP = COUNT % 4 == 0 ? 4 : 2;
	constexpr u32 PITCH = Staged<64>::full;
	static_assert(BM * PITCH + T / 32 * 512 <= N::RING && BM * 4 <= N::TABLE - N::RING && COUNT % GROUP == 0, "room");
	u32 first = t >> 3, n = n0 + (t & 7) * 8, from = smem + first * PITCH + (t & 7) * 32;
	float scale[8], shift[8];
	UNROLL for (int e = 0; e < 8; e++)
		scale[e] = 1, shift[e] = 0;
	if (p.mask.scale) {
		eight(p.mask.scale, n, scale);
		eight(p.mask.shift, n, shift);
	}
	bool same = p.dot == p.mask.x.p;
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};
	UNROLL for (int i = 0; i < COUNT; i += GROUP) {
		Quad mask[GROUP], add[GROUP], dot[GROUP];
		u32 pixel[GROUP];
		UNROLL for (int j = 0; j < GROUP; j++) {
			pixel[j] = shared_load1(rows + (first + (i + j) * STEP) * 4);
			bool in = pixel[j] != NOWHERE;
			u64 at = 2 * ((u64)pixel[j] * g.c + n);
			mask[j] = add[j] = dot[j] = {0, 0, 0, 0};
			if (p.mask.x.p && in)
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
			if (p.mask.x.p) {
				unpack(mask[j], x);
				UNROLL for (int e = 0; e < 8; e++)
					v[e] = __builtin_fmaf(x[e], scale[e], shift[e]) > 0 ? v[e] : 0;
			}
			Quad d = packed(v);
			if (pixel[j] != NOWHERE)
				global_store(p.dx + 2 * ((u64)pixel[j] * g.c + n), d);
			else
				d = {0, 0, 0, 0};
			add_columns(sums, d, same ? mask[j] : dot[j]);
		}
	}
	if (p.partials.any())
		sum_columns<64, T>(smem + BM * PITCH, sums, p.partials, area, n0, g.c);
}
