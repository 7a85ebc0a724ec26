// What all kernels share: CUDA C as clang compiles it without CUDA's own headers.
#pragma once

#define KERNEL extern "C" __attribute__((global)) void
#define DEVICE static inline __attribute__((device, always_inline))
#define SHARED static __attribute__((shared))
#define THREADS(n) __attribute__((launch_bounds(n)))
#define BOUNDS(n, blocks) __attribute__((launch_bounds(n, blocks)))
#define UNROLL _Pragma("unroll")

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

DEVICE u32 tid() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE u32 block() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE u32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE u32 blocks() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE u32 lane() { return tid() & 31; }
DEVICE void sync() { __nvvm_bar_sync(0); }

DEVICE u32 bits(float v) { return __builtin_bit_cast(u32, v); }
DEVICE float from_bits(u32 v) { return __builtin_bit_cast(float, v); }

// Two bfloat16 in a word: the first is the lower half.
DEVICE u32 pack(float lo, float hi) {
	u32 r;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
	return r;
}
DEVICE float low(u32 v) { return from_bits(v << 16); }
DEVICE float high(u32 v) { return from_bits(v & 0xffff0000u); }

DEVICE float rsqrt_exact(float v) { return __nvvm_rcp_rn_f(__nvvm_sqrt_rn_f(v)); }

// Where the values of an array are, and their type. Bits stand for a mask's values: bit e of
// byte j says that element 8j + e is not 0 or less.
enum { FLOAT32 = 0, BFLOAT16 = 1, BITS = 2 };
struct Arr {
	char *p; // 0: there is none
	u32 type;
	u32 unused;
};

struct alignas(8) Pair {
	float x, y;
};

struct alignas(16) Quad {
	u32 x, y, z, w;
};

// load8 reads elements [i, i + 8), where i is a multiple of 8 and p of 16.
DEVICE void load8(const Arr &a, i64 i, float v[8]) {
	if (a.type == BFLOAT16) {
		Quad q = *(const Quad *)(a.p + 2 * i);
		v[0] = low(q.x), v[1] = high(q.x), v[2] = low(q.y), v[3] = high(q.y);
		v[4] = low(q.z), v[5] = high(q.z), v[6] = low(q.w), v[7] = high(q.w);
	} else {
		Quad q = *(const Quad *)(a.p + 4 * i), r = *(const Quad *)(a.p + 4 * i + 16);
		v[0] = from_bits(q.x), v[1] = from_bits(q.y), v[2] = from_bits(q.z), v[3] = from_bits(q.w);
		v[4] = from_bits(r.x), v[5] = from_bits(r.y), v[6] = from_bits(r.z), v[7] = from_bits(r.w);
	}
}

DEVICE void store8(const Arr &a, i64 i, const float v[8]) {
	if (a.type == BFLOAT16) {
		Quad q = {pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7])};
		*(Quad *)(a.p + 2 * i) = q;
	} else {
		Quad q = {bits(v[0]), bits(v[1]), bits(v[2]), bits(v[3])};
		Quad r = {bits(v[4]), bits(v[5]), bits(v[6]), bits(v[7])};
		*(Quad *)(a.p + 4 * i) = q;
		*(Quad *)(a.p + 4 * i + 16) = r;
	}
}

// open8 returns a bit for each of eight values of a mask: whether it is not 0 or less.
DEVICE u32 open8(const float v[8]) {
	u32 r = 0;
	UNROLL for (int j = 0; j < 8; j++)
		r |= v[j] <= 0 ? 0 : 1u << j;
	return r;
}

// even_pixel returns where pixel i of images of h × w is among those of even row and column,
// or -1.
DEVICE int even_pixel(u32 i, u32 h, u32 w) {
	u32 t = i / w, x = i - t * w, image = t / h, y = t - image * h;
	return (x | y) & 1 ? -1 : (int)((image * ((h + 1) / 2) + y / 2) * ((w + 1) / 2) + x / 2);
}

DEVICE float load(const Arr &a, i64 i) {
	if (a.type == BFLOAT16)
		return from_bits((u32)((const u16 *)a.p)[i] << 16);
	return ((const float *)a.p)[i];
}

DEVICE void store(const Arr &a, i64 i, float v) {
	if (a.type == BFLOAT16)
		((u16 *)a.p)[i] = (u16)pack(v, 0);
	else
		((float *)a.p)[i] = v;
}

// Source is an activation as a consumer reads it, as device.Source.
struct Source {
	Arr x;
	const float *scale, *shift; // c each, or 0
	u32 relu;
	u32 unused;
};

DEVICE float source(const Source &s, float v, u32 c) {
	if (s.scale)
		v = __builtin_fmaf(v, s.scale[c], s.shift[c]);
	if (s.relu)
		v = v < 0 ? 0 : v; // NaN stays
	return v;
}

// source8 is source for channels [c, c + 8).
DEVICE void source8(const Source &s, float v[8], u32 c) {
	if (s.scale) {
		UNROLL for (int j = 0; j < 8; j++)
			v[j] = __builtin_fmaf(v[j], s.scale[c + j], s.shift[c + j]);
	}
	if (s.relu) {
		UNROLL for (int j = 0; j < 8; j++)
			v[j] = v[j] < 0 ? 0 : v[j];
	}
}

// Grad is a gradient as a consumer reads it, as device.Grad.
struct Grad {
	Arr d, y;
	const float *a, *b, *k; // c each, or 0
};

DEVICE float grad(const Grad &g, float d, float y, u32 c) {
	return __builtin_fmaf(g.a[c], d, __builtin_fmaf(g.b[c], y, g.k[c]));
}
