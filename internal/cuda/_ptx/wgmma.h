// Products by wgmma, which Hopper alone has: four warps compute a part together, while they go
// on with other work.
#pragma once
#include "mma.h"

// Part says which part of a block's product of BM × BN a warp computes, of DOWN × ACROSS
// groups of four: strips of 16 rows, each as many APART, and N columns, from row m and column n.
template <int BM, int BN, int DOWN, int ACROSS> struct Part {
	static constexpr int THREADS = 128 * DOWN * ACROSS, STRIPS = BM / DOWN / 64, APART = 64, N = BN / ACROSS;
	static constexpr bool ASYNC = true;
	u32 m, n;
	METHOD static Part mine(u32 thread = tid()) {
		u32 w = thread >> 5, g = w >> 2;
		return {g % DOWN * (BM / DOWN) + w % 4 * 16, g / DOWN * (BN / ACROSS)};
	}
};

// show is the barrier that shows a tile to all threads, and to the tensor cores; expose is what
// precedes any barrier that does.
DEVICE void expose() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
DEVICE void show() {
	expose();
	barrier();
}

// A panel that products read: rows of 128 bytes, places swapped as place says; across is from a
// panel to the next one of 64 columns.
DEVICE u64 panel(u32 at, u32 across) {
	return (u64)((at & 0x3ffff) >> 4) | (u64)(across >> 4) << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62;
}

#define FOUR(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define EIGHT(j) FOUR(j), FOUR(j + 1), FOUR(j + 2), FOUR(j + 3), FOUR(j + 4), FOUR(j + 5), FOUR(j + 6), FOUR(j + 7)
#define NAMES32 \
	"%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, " \
	"%21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES64 \
	NAMES32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, " \
	"%51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES128 \
	NAMES64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, " \
	"%83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, " \
	"%102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, %117, " \
	"%118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

// wgmma begins d += a·b of 64 × 16 and 16 × N.
template <bool AT, bool BT> DEVICE void wgmma(float (&d)[8][4], u64 a, u64 b) {
	asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" NAMES32 "}, %32, %33, 1, 1, 1, %34, %35;"
	             : EIGHT(0)
	             : "l"(a), "l"(b), "n"(AT ? 1 : 0), "n"(BT ? 0 : 1));
}
template <bool AT, bool BT> DEVICE void wgmma(float (&d)[16][4], u64 a, u64 b) {
	asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" NAMES64 "}, %64, %65, 1, 1, 1, %66, %67;"
	             : EIGHT(0), EIGHT(8)
	             : "l"(a), "l"(b), "n"(AT ? 1 : 0), "n"(BT ? 0 : 1));
}
template <bool AT, bool BT> DEVICE void wgmma(float (&d)[32][4], u64 a, u64 b) {
	asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" NAMES128 "}, %128, %129, 1, 1, 1, %130, %131;"
	             : EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24)
	             : "l"(a), "l"(b), "n"(AT ? 1 : 0), "n"(BT ? 0 : 1));
}

// Factors are two tiles with 64 values to sum over. A is BM rows × 64, or with AT 64 rows × BM;
// B is 64 rows × BN, or with BT BN rows × 64.
template <bool AT, bool BT, int BM, int BN, int DOWN, int ACROSS> struct Factors {
	using P = Part<BM, BN, DOWN, ACROSS>;
	u32 a_off, b_off;
	METHOD Factors(const P &p) {
		u32 m = p.m & ~63u;
		a_off = m * 128; // a row has 128 bytes, and a panel of 64 rows as many
		b_off = p.n * 128;
	}

	// multiply begins to add the product of the tiles at a and b; finish waits for it.
	METHOD void multiply(u32 a, u32 b, float (&acc)[P::STRIPS][P::N / 8][4]) const {
		u64 from_a = panel(a + a_off, 8192), from_b = panel(b + b_off, 8192);
		asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
		UNROLL for (int kk = 0; kk < 4; kk++)
			UNROLL for (int i = 0; i < P::STRIPS; i++)
				wgmma<AT, BT>(acc[i], from_a + ((AT ? kk * 2048 : kk * 32) + i * 8192) / 16,
				              from_b + (BT ? kk * 32 : kk * 2048) / 16);
		asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
	}
	METHOD void finish(float (&acc)[P::STRIPS][P::N / 8][4]) const {
		asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
	}
};
