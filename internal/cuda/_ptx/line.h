// The form whose blocks compute pixels one after the other, of a line of all images' rows with a
// column between two rows and a row between two images: what it computes for these is lost.
#pragma once
#include "halo.h"

// Line says where the pixels of a piece of the line are.
struct Line {
	const Shape &g;
	u32 first, pitch, tall;
	METHOD Line(const Area &a, const Shape &g, u32 piece) : g(g), pitch(a.pitch), tall(a.tall) { first = piece; }
	METHOD u32 pixel(u32 at) const {
		u32 row = at / pitch, x = at - row * pitch, image = row / tall, y = row - image * tall;
		return x < g.w && y < g.h && image < g.m / (g.h * g.w) ? (image * g.h + y) * g.w + x : NOWHERE;
	}
};

template <int BM> struct LineOf : Line {
	METHOD LineOf(const Area &a, const Shape &g, u32 piece) : Line(a, g, piece * BM) {}
	// held returns the pixel at place j of shared memory, of that of row i of the product.
	METHOD u32 held(u32 j) const {
		u32 at = first + j;
		return at < pitch + 1 ? NOWHERE : pixel(at - pitch - 1);
	}
	METHOD u32 of(u32 i) const { return pixel(first + i); }
};

// Lined are products of BM pixels, which are at most PIXELS with their border, and BN columns.
// With three buffers the next 64 channels come, and are made ready, beside products; with two
// there are no next ones.
template <bool BT, int BM, int BN, int DOWN, int ACROSS, int PIXELS, int BUFFERS, int SLOTS> struct Lined {
	using P = Part<BM, BN, DOWN, ACROSS>;
	using Product = Lined;
	using Place = LineOf<BM>;
	static constexpr int ROWS = BM, COLUMNS = BN;
	static constexpr u32 PLANE = PIXELS * 16, A = 8 * PLANE, B = BN * 128;
	static constexpr u32 TABLE = SLOTS * B + BUFFERS * A;
	static_assert(PIXELS % 2 == 1, "planes begin at different banks");
	u32 a_off, b_off;

#ifdef HOPPER
	METHOD Lined(const P &p, const Area &) {
		a_off = (p.m & ~63u) * 16;
		b_off = p.n * 128;
	}
	METHOD void multiply(u32 a, u32 b, float (&acc)[P::STRIPS][P::N / 8][4]) const {
		// Eight pixels of a chunk lie together, the next eight behind them, the next chunk a plane on.
		u64 from_a = (u64)(((a + a_off) & 0x3ffff) >> 4) | (u64)(PLANE >> 4) << 16 | (u64)(128 >> 4) << 32;
		u64 from_b = panel(b + b_off, 8192);
		asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
		UNROLL for (int kk = 0; kk < 4; kk++)
			UNROLL for (int i = 0; i < P::STRIPS; i++)
				wgmma<false, BT>(acc[i], from_a + (kk * 2 * PLANE + i * 1024) / 16,
				                 from_b + (BT ? kk * 32 : kk * 2048) / 16);
		asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
	}
	// finished waits for all products but the newest n.
	template <int N> static METHOD void finished() {
		asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
	}
#else
	METHOD Lined(const P &p, const Area &) {
		u32 l = lane();
		a_off = (p.m + (l & 15)) * 16 + (l >> 4) * PLANE;
		if (BT)
			b_off = place(p.n + (l & 7) + ((l >> 4) << 3), (l >> 3) & 1);
		else
			b_off = (p.n >> 6) * 8192 + place(l & 15, ((p.n & 63) >> 3) + (l >> 4));
	}
	METHOD void multiply(u32 a, u32 b, float (&acc)[P::STRIPS][P::N / 8][4]) const {
		u32 af[2][P::STRIPS][4], bf[2][P::N / 16][4];
		auto fetch = [&](int kk) INLINE {
			UNROLL for (int j = 0; j < P::N / 16; j++) {
				if (BT)
					matrices<false>(bf[kk & 1][j], b + (b_off ^ (kk << 5)) + j * 2048);
				else
					matrices<true>(bf[kk & 1][j], b + (b_off ^ ((j & 3) << 5)) + (j >> 2) * 8192 + kk * 2048);
			}
			UNROLL for (int i = 0; i < P::STRIPS; i++)
				matrices<false>(af[kk & 1][i], a + a_off + i * 256 + kk * 2 * PLANE);
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
	template <int N> static METHOD void finished() {}
#endif

	template <typename Copy, typename Make, typename Weights>
	static METHOD void run(const Lined &product, u32 depth, u32 pitch, bool two, Copy copy, Make make, Weights weights,
	                       float (&acc)[P::STRIPS][P::N / 8][4]) {
		constexpr int BESIDE = SLOTS == 4 ? 1 : 0; // products that go on beside the next one's beginning
		u32 ring = shared(), smem = ring + SLOTS * B;
		u32 now = smem, next = smem + A, second = smem + (BUFFERS - 1) * A;
		copy(now, 0, false);
		if (two)
			copy(second, 0, true);
		weights(ring, 0, 0);
		commit();
		weights(ring + B, 1, 0);
		commit();
		arrived<1>();
		make(now, second, 0, 0, 1);
		u32 slot = 0, to = 2, tap = 2, from = 0; // of the weights that are copied next
		ROLLED for (u32 c = 0; c < depth; c += 64) {
			bool more = BUFFERS == 3 && c + 64 < depth;
			u32 at = now, s = 0;
			ROLLED for (u32 i = 0; i < 9; i++) {
				arrived<1>();
				show();
				product.multiply(at, ring + slot * B, acc);
				if (more && i == 1) {
					copy(next, c + 64, false);
					if (two)
						copy(second, c + 64, true);
				}
				if (from < depth)
					weights(ring + to * B, tap, from);
				commit();
				if (more && i > 3)
					make(next, second, c + 64, i - 4, 5);
				finished<BESIDE>(); // after the next barrier copies go to where those before it read
				if (++tap == 9)
					tap = 0, from += 64;
				slot = slot == SLOTS - 1 ? 0 : slot + 1;
				to = to == SLOTS - 1 ? 0 : to + 1;
				at += s == 2 ? (pitch - 2) * 16 : 16;
				s = s == 2 ? 0 : s + 1;
			}
			u32 was = now;
			now = next, next = second, second = was;
		}
		finished<0>();
		barrier();
	}
};

// The kernels of a form; names say pixels × columns of a block's product.
#define LINE(name, blocks, ...) \
	KERNEL BOUNDS(256 / blocks, blocks) line_forward_##name(const HaloForward p) { \
		halo_forward<Lined<false, __VA_ARGS__>, false>(p); \
	} \
	KERNEL BOUNDS(256 / blocks, blocks) line_infer_##name(const HaloForward p) { \
		halo_forward<Lined<false, __VA_ARGS__>, true>(p); \
	} \
	KERNEL BOUNDS(256 / blocks, blocks) line_input_grad_##name(const HaloInputGrad p) { \
		halo_input_grad<Lined<true, __VA_ARGS__>>(p); \
	}
