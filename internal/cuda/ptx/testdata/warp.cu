#include "kernel.h"

// C = A·B of 16 × 16 and 16 × 8 elements, from shared memory by ldmatrix. A lies row by
// row; B column by column, or row by row (trans).
KERNEL product(float *c, const u16 *a, const u16 *b, int trans, int f16) {
	__shared__ __attribute__((aligned(128))) u16 sa[16 * 24], sb[16 * 24];
	int t = tid();
	for (int i = t; i < 256; i += 32) sa[i / 16 * 24 + i % 16] = a[i];
	for (int i = t; i < 128; i += 32) {
		if (trans)
			sb[i / 8 * 24 + i % 8] = b[i];
		else
			sb[i / 16 * 24 + i % 16] = b[i];
	}
	__syncthreads();
	u32 a0, a1, a2, a3, b0, b1;
	u32 pa = place(sa + t % 16 * 24 + t / 16 * 8);
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(a0), "=r"(a1), "=r"(a2), "=r"(a3)
		     : "r"(pa)
		     : "memory");
	if (trans) {
		u32 pb = place(sb + t % 16 * 24);
		asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : "=r"(b0), "=r"(b1) : "r"(pb) : "memory");
	} else {
		u32 pb = place(sb + t % 8 * 24 + t / 8 % 2 * 8);
		asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];" : "=r"(b0), "=r"(b1) : "r"(pb) : "memory");
	}
	float *p = c + t / 4 * 8 + t % 4 * 2;
	float c0 = p[0], c1 = p[1], c2 = p[64], c3 = p[65];
	if (f16)
		asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
			     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
			     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
	else
		asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
			     : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
			     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
	p[0] = c0, p[1] = c1, p[64] = c2, p[65] = c3;
}

// C = A·B of 16 × 8 and 8 × 8 floats, B row by row.
KERNEL product32(float *c, const float *a, const float *b) {
	int g = tid() / 4, t = tid() % 4;
	float d[4] = {0, 0, 0, 0};
	asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		     : "r"(__builtin_bit_cast(u32, a[g * 8 + t])), "r"(__builtin_bit_cast(u32, a[(g + 8) * 8 + t])),
		       "r"(__builtin_bit_cast(u32, a[g * 8 + t + 4])), "r"(__builtin_bit_cast(u32, a[(g + 8) * 8 + t + 4])),
		       "r"(__builtin_bit_cast(u32, b[t * 8 + g])), "r"(__builtin_bit_cast(u32, b[(t + 4) * 8 + g])));
	for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + t * 2 + i % 2] = d[i];
}

KERNEL shuffles(int *out, int by, int clamp) {
	int t = tid(), v = 100 + t;
	out[t] = __nvvm_shfl_sync_up_i32(-1, v, by, clamp);
	out[32 + t] = __nvvm_shfl_sync_down_i32(-1, v, by, clamp);
	out[64 + t] = __nvvm_shfl_sync_bfly_i32(-1, v, by, clamp);
	out[96 + t] = __nvvm_shfl_sync_idx_i32(-1, v, by, clamp);
	u32 odd = __nvvm_vote_ballot_sync(-1, t & 1);
	out[128 + t] = odd;
	out[160 + t] = __nvvm_vote_all_sync(-1, t < 32) + 2 * __nvvm_vote_any_sync(-1, t == 40) + 4 * __nvvm_vote_any_sync(-1, t == 9);
	if (t < 11) {
		u32 here;
		asm volatile("activemask.b32 %0;" : "=r"(here));
		out[192 + t] = here;
		out[224 + t] = __nvvm_shfl_sync_idx_i32(0x7ff, v, 10 - t, 31);
	}
	int sum;
	asm volatile("redux.sync.add.s32 %0, %1, 0xffffffff;" : "=r"(sum) : "r"(t - 3));
	out[256 + t] = sum;
	asm volatile("{ // only some\n\t.reg .pred p;\n\tsetp.lt.s32 p, %1, 4;\n\t@p bra low;\n\tadd.s32 %0, %0, 1;\n\tlow:\n\t}" : "+r"(v) : "r"(t));
	asm volatile("{ .reg .pred p; setp.ge.s32 p, %1, 30; @!p bra low; add.s32 %0, %0, 1000; low: }" : "+r"(v) : "r"(t));
	out[288 + t] = v;
}

// Copies to shared memory run ahead by two; wait says how many may be under way.
KERNEL pipeline(f32x4 *y, const f32x4 *x, int n, int rest, int wait) {
	__shared__ f32x4 s[3][64];
	int t = tid();
	for (int i = 0; i < 2; i++) {
		asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place(&s[i][t])), "l"(x + i * 64 + t) : "memory");
		asm volatile("cp.async.commit_group;" ::: "memory");
	}
	for (int i = 0; i < n; i++) {
		if (wait == 1)
			asm volatile("cp.async.wait_group 1;" ::: "memory");
		else
			asm volatile("cp.async.wait_group 2;" ::: "memory");
		__syncthreads();
		if (i + 2 < n) {
			u32 bytes = i + 2 == n - 1 && t >= rest / 4 ? (t == rest / 4 ? rest % 4 * 4 : 0) : 16;
			asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(place(&s[(i + 2) % 3][t])), "l"(x + (i + 2) * 64 + t), "r"(bytes) : "memory");
		}
		asm volatile("cp.async.commit_group;" ::: "memory");
		y[i * 64 + t] = s[i % 3][63 - t];
	}
}

KERNEL atomics(u32 *a, u64 *b, float *c) {
	__shared__ u32 s;
	if (tid() == 0) s = 0;
	__syncthreads();
	__nvvm_atom_add_gen_i((volatile int *)&s, tid());
	__syncthreads();
	if (tid() == 0) a[0] = s;
	__nvvm_atom_add_gen_i((volatile int *)a + 1, 1);
	__nvvm_atom_max_gen_ui(a + 2, tid() ^ 5);
	__nvvm_atom_inc_gen_ui(a + 3, 9);
	__nvvm_atom_cas_gen_i((volatile int *)a + 4, tid(), tid() + 1);
	asm volatile("red.global.add.u64 [%0], %1;" ::"l"(b), "l"(1ull << 40) : "memory");
	asm volatile("red.relaxed.gpu.global.add.f32 [%0], %1;" ::"l"(c), "f"(0.5f) : "memory");
}

// Two halves of a block hand a value over through named barriers.
KERNEL relay(int *out) {
	__shared__ int s[64];
	int t = tid();
	if (t < 64) {
		s[t] = 3 * t;
		asm volatile("bar.arrive 1, 128;" ::: "memory");
		asm volatile("bar.sync 2, 64;" ::: "memory");
		out[t] = s[63 - t];
	} else {
		asm volatile("barrier.sync 1, 128;" ::: "memory");
		out[t] = s[t - 64];
	}
	int n;
	asm volatile("{ .reg .pred p; setp.lt.s32 p, %1, 70; bar.red.popc.u32 %0, 0, p; }" : "=r"(n) : "r"(t) : "memory");
	out[128 + t] = n;
}

KERNEL clocks(u64 *out) {
	u64 a, b, c;
	asm volatile("mov.u64 %0, %%clock64;" : "=l"(a));
	asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(b));
	asm volatile("mov.u64 %0, %%clock64;" : "=l"(c));
	u32 size, lane, warp;
	asm volatile("mov.u32 %0, %%dynamic_smem_size;" : "=r"(size));
	asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
	asm volatile("mov.u32 %0, %%warpid;" : "=r"(warp));
	out[tid()] = (c > a) + (b > 0) + size * 100 + (lane + 32 * warp == tid());
}
