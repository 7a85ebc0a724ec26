// exp, erfc and what is made of them. There is no library of CUDA's here to take them from.
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

// normal is Φ(u), the normal distribution, with an error of some 1e-7: log₂ erfc as a polynomial,
// fitted for the least error of erfc. From 5.5·√2 on Φ is as good as 0 or 1.
DEVICE float normal(float u) {
	float t = __builtin_fminf(__builtin_fabsf(u * 0.7071067811865476f), 5.5f);
	float r = -3.740400132e-07f;
	r = __builtin_fmaf(r, t, 9.630663953e-06f);
	r = __builtin_fmaf(r, t, -1.034600355e-04f);
	r = __builtin_fmaf(r, t, 5.836950731e-04f);
	r = __builtin_fmaf(r, t, -1.604403951e-03f);
	r = __builtin_fmaf(r, t, -8.342629299e-04f);
	r = __builtin_fmaf(r, t, 2.841778472e-02f);
	r = __builtin_fmaf(r, t, -1.485819370e-01f);
	r = __builtin_fmaf(r, t, -9.183932543e-01f);
	r = __builtin_fmaf(r, t, -1.627910137e+00f);
	float tail = power2(__builtin_fmaf(r, t, -1));
	return u > 0 ? 1 - tail : tail;
}

// gelu is u·Φ(u); slope its derivative, given Φ(u).
DEVICE float gelu(float u) { return u * normal(u); }
DEVICE float slope(float u, float phi) {
	return __builtin_fmaf(u * 0.3989422804014327f, power2(u * u * (-0.5f * LOG2E)), phi);
}
