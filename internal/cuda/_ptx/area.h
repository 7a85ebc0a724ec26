// The form whose blocks compute areas of images, of any number of images, rows and columns.
#pragma once
#include "halo.h"

// Areas says where the pixels of an area are.
struct Areas {
	const Area &a;
	const Shape &g;
	u32 image, y, x, images; // the first, and how many images there are from there on
	METHOD Areas(const Area &a, const Shape &g, u32 area) : a(a), g(g) {
		x = area % a.across * a.cols;
		area /= a.across;
		y = area % a.down * a.rows;
		image = area / a.down * a.images;
		u32 left = g.m / (g.h * g.w) - image;
		images = left < a.images ? left : a.images;
	}
	METHOD u32 pixel(u32 i, u32 dy, u32 dx) const {
		return i < images && y + dy < g.h && x + dx < g.w ? ((image + i) * g.h + y + dy) * g.w + x + dx : NOWHERE;
	}

	// held returns the pixel at place j of shared memory, of that of row i of the product.
	METHOD u32 held(u32 j) const {
		u32 row = j / a.pitch, i = row / a.tall;
		return pixel(i, row - i * a.tall - 1, j - row * a.pitch - 1);
	}
	METHOD u32 of(u32 i) const {
		u32 size = a.rows * a.cols, image = i / size, rest = i - image * size, dy = rest / a.cols;
		return pixel(image, dy, rest - dy * a.cols);
	}
};

// Nine are products of BM pixels, which are at most PIXELS with their border, and 64 columns of
// the weights. Weights are rows of 64 columns, or with BT columns of 64 rows.
template <bool BT, int BM, int DOWN, int ACROSS, int PIXELS> struct Nine {
	using P = Part<BM, 64, DOWN, ACROSS>;
	using Product = Nine;
	using Place = Areas;
	static constexpr int ROWS = BM, COLUMNS = 64, PAIRS = P::N / 16;
	static constexpr u32 PLANE = PIXELS * 16, A = 8 * PLANE, B = 8192, STAGES = 3;
	static constexpr u32 TABLE = STAGES * B + 2 * A;
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

	template <typename Copy, typename Make, typename Weights>
	static METHOD void run(const Nine &product, u32 depth, u32 pitch, bool two, Copy copy, Make make, Weights weights,
	                       float (&acc)[P::STRIPS][P::N / 8][4]) {
		u32 ring = shared(), smem = ring + STAGES * B;
		copy(smem, 0, false);
		if (two)
			copy(smem + A, 0, true);
		weights(ring, 0, 0);
		commit();
		weights(ring + B, 1, 0);
		commit();
		u32 now = smem, other = smem + A; // where the channels are, and where the next ones go
		u32 tap = 2, from = 0;            // of the weights that are copied next
		ROLLED for (u32 c = 0; c < depth; c += 64) {
			if (two && c > 0) {
				barrier();
				copy(other, c, true);
				commit();
				arrived<0>();
			} else {
				arrived<1>();
			}
			make(now, other, c, 0, 1);
			u32 slot = 0, at = now; // where the weights of this position are, and its first pixel
			ROLLED for (u32 i = 0; i < 9; i++) {
				arrived<1>();
				barrier();
				if (i == 0 && c + 64 < depth)
					copy(other, c + 64, false);
				if (from < depth)
					weights(ring + (slot == 0 ? 2 : slot - 1) * B, tap, from);
				commit();
				if (++tap == 9)
					tap = 0, from += 64;
				product.multiply(at, ring + slot * B, acc);
				slot = slot == 2 ? 0 : slot + 1;
				at += slot == 0 ? (pitch - 2) * 16 : 16; // three positions of a row, and as many stages
			}
			u32 was = now;
			now = other, other = was;
		}
		barrier();
	}
};
