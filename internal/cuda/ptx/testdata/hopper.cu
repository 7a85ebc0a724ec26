#include "kernel.h"

// A descriptor of a matrix whose rows of 128 bytes are stirred.
INLINE u64 described(u32 at, u32 lead, u32 stride) {
	return (u64)(at >> 4 & 0x3fff) | (u64)(lead >> 4) << 16 | (u64)(stride >> 4) << 32 | 1ull << 62;
}

INLINE void start(u32 bar, int n) { asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(bar), "r"(n) : "memory"); }

INLINE void await(u32 bar, u32 parity) {
	asm volatile("{\n"
		     ".reg .pred p;\n"
		     "again:\n"
		     "mbarrier.try_wait.parity.shared.b64 p, [%0], %1;\n"
		     "@p bra done;\n"
		     "bra again;\n"
		     "done:\n"
		     "}" ::"r"(bar), "r"(parity)
		     : "memory");
}

// C = A·B of 64 × 64 × 64 by one warpgroup. Both come in one copy each and are laid out
// anew. trans: B lies row by row. wrong leaves out what must be there: 1 the fence, 2 the
// wait for the products.
KERNEL group(float *c, const u16 *a, const u16 *b, int trans, int wrong) {
	extern __shared__ __attribute__((aligned(1024))) char s[];
	__shared__ u64 bars[2];
	int t = tid();
	u32 bar = place(bars), raw = place(s);
	if (t == 0) {
		start(bar, 1);
		start(bar + 8, 128);
		asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
	}
	__syncthreads();
	if (t == 0) {
		asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 16384;" ::"r"(bar) : "memory");
		asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 8192, [%2];" ::"r"(raw), "l"(a), "r"(bar) : "memory");
		asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 8192, [%2];" ::"r"(raw + 8192), "l"(b), "r"(bar) : "memory");
	}
	await(bar, 0);
	for (int i = t; i < 1024; i += 128) { // pieces of 16 bytes
		int row = i / 8 % 64, x = i % 8;
		*(u32x4 *)(s + 16384 + i / 512 * 8192 + row * 128 + (x ^ row % 8) * 16) = *(u32x4 *)(s + i * 16);
	}
	if (wrong != 1) asm volatile("fence.proxy.async;" ::: "memory");
	u64 state;
	asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(bar + 8) : "memory");
	await(bar + 8, 0);
	float d[32];
	for (int i = 0; i < 32; i++) d[i] = 0;
	asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
	for (int k = 0; k < 4; k++) {
		u64 da = described(raw + 16384 + k * 32, 16, 1024);
		u64 db = trans ? described(raw + 24576 + k * 2048, 8192, 1024) : described(raw + 24576 + k * 32, 16, 1024);
#define REGS "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}"
#define D(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
		if (trans)
			asm volatile("{.reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " REGS ", %32, %33, p, 1, 1, 0, 1;}"
				     : D(0), D(4), D(8), D(12), D(16), D(20), D(24), D(28)
				     : "l"(da), "l"(db), "r"(k));
		else
			asm volatile("{.reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " REGS ", %32, %33, p, 1, 1, 0, 0;}"
				     : D(0), D(4), D(8), D(12), D(16), D(20), D(24), D(28)
				     : "l"(da), "l"(db), "r"(k));
	}
	asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
	if (wrong != 2)
		asm volatile("wgmma.wait_group.sync.aligned 0;" : D(0), D(4), D(8), D(12), D(16), D(20), D(24), D(28)::"memory");
	for (int i = 0; i < 32; i++) c[(t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8) * 64 + i / 4 * 8 + t % 4 * 2 + i % 2] = d[i];
}

// A producer warp and three that consume, through two buffers; results go out in bulk.
KERNEL ring(u32 *y, const u32 *x, int n) {
	__shared__ __attribute__((aligned(128))) u32 s[2][96], out[96];
	__shared__ u64 bars[4];
	int t = tid();
	u32 full = place(bars), empty = full + 16;
	if (t == 0)
		for (int i = 0; i < 2; i++) start(full + 8 * i, 1), start(empty + 8 * i, 96);
	__syncthreads();
	if (t >= 96) {
		for (int i = 0; i < n && t == 96; i++) {
			if (i > 1) await(empty + 8 * (i & 1), (i / 2 - 1) & 1);
			asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 384;" ::"r"(full + 8 * (i & 1)) : "memory");
			asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 384, [%2];" ::"r"(place(s[i & 1])), "l"(x + 96 * i), "r"(full + 8 * (i & 1)) : "memory");
		}
		return;
	}
	u32 sum = 0;
	for (int i = 0; i < n; i++) {
		await(full + 8 * (i & 1), i / 2 & 1);
		sum += s[i & 1][95 - t] * (i + 1);
		u64 state;
		asm volatile("mbarrier.arrive.shared.b64 %0, [%1];" : "=l"(state) : "r"(empty + 8 * (i & 1)) : "memory");
	}
	out[t] = sum;
	asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
	asm volatile("bar.sync 1, 96;" ::: "memory");
	u32 first, lane;
	asm volatile("{.reg .pred p; elect.sync %1|p, 0xffffffff; selp.u32 %0, 1, 0, p;}" : "=r"(first), "=r"(lane));
	if (first && t == 0) {
		asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 384;" ::"l"(y), "r"(place(out)) : "memory");
		asm volatile("cp.async.bulk.commit_group;" ::: "memory");
		asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
	}
}
