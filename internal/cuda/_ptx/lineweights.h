// Gradients of the weights of 3 × 3 convolutions, along the line of all images' rows.
#pragma once
#include "line.h"
#include "weightgrad.h"

struct LineWeightGrad {
	WeightGrad p; // rows are places of the line here, a multiple of a tile's
	Area area;
};

// wgmma begins d += a·b of 64 × 16 and 16 × 64, a from registers; b has rows of 64.
DEVICE void wgmma(float (&d)[8][4], const u32 (&a)[4], u64 b) {
	asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" NAMES32 "}, {%32, %33, %34, %35}, %36, "
	             "1, 1, 1, 1;"
	             : EIGHT(0)
	             : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

// line_weight_grad computes 64 channels of x times 64 of g for the nine positions of the filter,
// over tiles of BM places of the line. A group of four warps has the three positions of a row; it
// keeps the products' transposes, so that it reads g once for all three.
template <int BM, int PIXELS> DEVICE void line_weight_grad(const LineWeightGrad &q) {
	constexpr int T = 384;
	constexpr u32 X_PLANE = PIXELS * 16, G_PLANE = (BM + 1) * 16, X = 8 * X_PLANE, G = 8 * G_PLANE;
	constexpr u32 BUFFER = X + 2 * G, TABLE = PIXELS * 4;
	static_assert(PIXELS % 2 == 1 && BM % 64 == 0, "planes begin at different banks");
	const WeightGrad &p = q.p;
	const Shape &g = p.shape;
	const Area &area = q.area;
	u32 smem = shared(), tables = smem + 3 * BUFFER, t = tid(), l = lane();
	u32 id = block(), k0 = id % (g.k / 64) * 64;
	id /= g.k / 64;
	u32 c0 = id % (g.c / 64) * 64, piece = id / (g.c / 64);
	u32 all = (g.m / (g.h * g.w) * area.tall * area.pitch + BM - 1) / BM; // tiles
	u32 tile = piece * (p.rows / BM), end = tile + p.rows / BM < all ? tile + p.rows / BM : all;

	// fill writes the table of a tile.
	auto fill = [&](u32 to, u32 tile) INLINE {
		LineOf<BM> place(area, g, tile);
		if (t < area.pixels)
			shared_store1(to + t * 4, place.held(t));
	};
	auto pixels = [&](u32 table) INLINE -> Places<T> { return {area.pixels, table}; };
	auto inner = [&](u32 table) INLINE -> Places<T> { return {BM, table + (area.pitch + 1) * 4}; };
	auto copy = [&](u32 to, u32 table) INLINE {
		pixels(table).copy(to, p.x.x.p + 2 * c0, g.c, X_PLANE);
		inner(table).copy(to + X, p.g.d.p + 2 * k0, g.k, G_PLANE);
		if (p.g.a)
			inner(table).copy(to + X + G, p.g.y.p + 2 * k0, g.k, G_PLANE);
	};

	float acc[3][8][4];
	clear(acc);
	u32 row = t >> 7, warp = t >> 5 & 3;
	u32 a_at = X + (2 * warp + (l >> 3 & 1)) * G_PLANE + ((l >> 4) * 8 + (l & 7)) * 16;
	u64 b_form = (u64)(128 >> 4) << 16 | (u64)(X_PLANE >> 4) << 32; // eight pixels and a plane further

	// While products of a tile go on the next one is made ready, and the one after it comes.
	u32 now = 0, next = 1, last = 2; // of the buffers
	auto make = [&](u32 n, u32 part, u32 parts) INLINE {
		u32 buffer = smem + n * BUFFER, table = tables + n * TABLE;
		pixels(table).template source<2>(p.x, buffer, X_PLANE, c0, part, parts);
		inner(table).template gradient<1>(p.g, buffer + X, buffer + X + G, G_PLANE, k0, part, parts);
	};
	fill(tables, tile);
	fill(tables + TABLE, tile + 1);
	barrier();
	copy(smem, tables);
	commit();
	if (tile + 1 < end)
		copy(smem + BUFFER, tables + TABLE);
	commit();
	arrived<1>();
	make(0, 0, 1);
	ROLLED for (; tile < end; tile++) {
		u32 buffer = smem + now * BUFFER;
		fill(tables + last * TABLE, tile + 2);
		show();
		u64 from = b_form | (u64)((buffer & 0x3ffff) >> 4);
		UNROLL for (u32 i = 0; i < BM / 64; i++) {
			u32 a[4][4];
			UNROLL for (int kk = 0; kk < 4; kk++)
				matrices<true>(a[kk], buffer + a_at + (i * 64 + kk * 16) * 16);
			asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
			UNROLL for (int kk = 0; kk < 4; kk++)
				UNROLL for (int s = 0; s < 3; s++)
					wgmma(acc[s], a[kk], from + row * area.pitch + s + i * 64 + kk * 16);
			asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
			if (i == 0) {
				if (tile + 2 < end)
					copy(smem + last * BUFFER, tables + last * TABLE);
				commit();
				arrived<1>();
			}
			if (tile + 1 < end)
				make(next, i, BM / 64);
			asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
		}
		u32 was = now;
		now = next, next = last, last = was;
	}

	UNROLL for (int s = 0; s < 3; s++) {
		float *to = p.partials + ((u64)(piece * 9 + row * 3 + s) * g.c + c0) * g.k + k0 + warp * 16;
		UNROLL for (int j = 0; j < 8; j++)
			UNROLL for (int e = 0; e < 4; e++)
				to[(u64)(j * 8 + (l & 3) * 2 + (e & 1)) * g.k + (l >> 2) + (e >> 1) * 8] = acc[s][j][e];
	}
}
