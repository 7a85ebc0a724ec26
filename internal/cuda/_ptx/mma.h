// Instructions of tensor cores and of copies into shared memory.
#pragma once
#include "kernel.h"

#define ROLLED _Pragma("nounroll")
#define TWICE _Pragma("unroll 2")
#define INLINE __attribute__((always_inline))
#define METHOD inline __attribute__((device, always_inline))

extern __attribute__((shared)) __attribute__((aligned(1024))) char dynamic[];

// shared is where a block's dynamic shared memory begins.
DEVICE u32 shared() { return (u32)(u64)(__attribute__((address_space(3))) char *)dynamic; }

// copy16 begins a copy of 16 bytes to shared memory, or writes zeros there. AGAIN says that the
// block will copy from near there again.
template <bool AGAIN> DEVICE void copy16(u32 to, const char *from, bool there) {
	u32 n = there ? 16 : 0;
	if (AGAIN)
		asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(n));
	else
		asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(n));
}

// commit ends a group of copies; arrived waits until all but the newest n groups of this
// thread are there.
DEVICE void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DEVICE void arrived() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// A barrier that the compiler moves no memory access across.
DEVICE void barrier() { asm volatile("bar.sync 0;" ::: "memory"); }

DEVICE Quad shared_load(u32 at) {
	Quad q;
	asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(q.x), "=r"(q.y), "=r"(q.z), "=r"(q.w) : "r"(at));
	return q;
}
DEVICE void shared_store(u32 at, Quad q) {
	asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(q.x), "r"(q.y), "r"(q.z), "r"(q.w));
}
DEVICE void shared_store2(u32 at, u32 x, u32 y) {
	asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(at), "r"(x), "r"(y));
}
DEVICE void shared_store1(u32 at, u32 x) { asm volatile("st.shared.u32 [%0], %1;" ::"r"(at), "r"(x)); }
DEVICE u32 shared_load1(u32 at) {
	u32 x;
	asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(at));
	return x;
}

// matrices reads four 8 × 8 matrices of bfloat16; lane i says where row i & 7 of matrix
// i / 8 is. With T each is transposed on the way.
template <bool T> DEVICE void matrices(u32 r[4], u32 at) {
	if (T)
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
		             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		             : "r"(at));
	else
		asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
		             : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		             : "r"(at));
}

// mma is d += a·b of 16 × 16 and 16 × 8.
DEVICE void mma(float d[4], const u32 a[4], u32 b0, u32 b1) {
	asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
	    "{%0, %1, %2, %3};"
	    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// again hides from the compiler that a value is the one of the last round of a loop, so that it
// computes from it what it would otherwise keep in registers.
DEVICE u32 again(u32 v) {
	asm volatile("" : "+r"(v));
	return v;
}

// near asks for a line of memory to be brought near.
DEVICE void near(const char *p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }

DEVICE float shuffle_xor(float v, u32 mask) {
	return from_bits(__nvvm_shfl_sync_bfly_i32(0xffffffff, bits(v), mask, 31));
}

DEVICE Quad global_load(const char *p) { return *(const Quad *)p; }
DEVICE void global_store(char *p, Quad q) { *(Quad *)p = q; }
