// exp, erf and what is made of them. There is no library of CUDA's here to take them from.
#pragma once
#include "kernel.h"

#define LOG2E 1.4426950408889634f
#define INFINITY __builtin_inff()

// 2^v.
DEVICE float power2(float v) {
	float r;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
	return r;
}

// exponential is e^x with a relative error of some 2e-7; below e^-87 it is 0.
DEVICE float exponential(float x) {
	x = x < -87.3f ? -87.3f : x > 89.0f ? 89.0f : x;
	float n = __builtin_rintf(x * LOG2E);
	float r = __builtin_fmaf(n, -0.693359375f, x);
	r = __builtin_fmaf(n, 2.12194440e-4f, r);
	return 2 * power2(r * LOG2E) * from_bits((u32)((int)n + 126) << 23);
}

// logarithm is ln v of what is not near 0.
DEVICE float logarithm(float v) {
	float r;
	asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
	return r * 0.6931471805599453f;
}

// normal is Φ(u), the normal distribution, with an error of some 1e-7. Around 0 it is a polynomial of erf, else the
// exponential of one of the logarithm of erfc.
DEVICE float normal(float u) {
	float a = u * 0.7071067811865476f, t = __builtin_fabsf(a), s = a * a;
	float r = -5.96761703e-4f;
	r = __builtin_fmaf(r, s, 4.99119423e-3f);
	r = __builtin_fmaf(r, s, -2.67681349e-2f);
	r = __builtin_fmaf(r, s, 1.12819925e-1f);
	r = __builtin_fmaf(r, s, -3.76125336e-1f);
	r = __builtin_fmaf(r, s, 1.28379166e-1f);
	float near = 0.5f + 0.5f * __builtin_fmaf(r, a, a);
	r = __builtin_fmaf(-1.72853470e-5f, t, 3.83197126e-4f);
	r = __builtin_fmaf(r, s, __builtin_fmaf(-3.88396438e-3f, t, 2.42546219e-2f));
	r = __builtin_fmaf(r, t, -1.06777877e-1f);
	r = __builtin_fmaf(r, t, -6.34846687e-1f);
	r = __builtin_fmaf(r, t, -1.28717512e-1f);
	r = __builtin_fmaf(r, t, -t);
	float tail = 0.5f * exponential(r);
	tail = u > 0 ? 1 - tail : tail;
	return t > 0.927734375f ? tail : near;
}

// gelu is u·Φ(u); slope its derivative, given Φ(u).
DEVICE float gelu(float u) { return u * normal(u); }
DEVICE float slope(float u, float phi) {
	return __builtin_fmaf(u * 0.3989422804014327f, exponential(-0.5f * u * u), phi);
}
