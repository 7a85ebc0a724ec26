// Layer normalisation of rows of c channels, and its backward.
#include "kernel.h"

// total is the sum of a warp's 32 values, in the same order for all.
DEVICE float total(float v) {
	UNROLL for (int i = 16; i > 0; i >>= 1)
		v += __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, i, 31);
	return v;
}

// Eight parameters of channels, aligned to 16 bytes.
DEVICE void params8(const float *p, float v[8]) {
	Quad q = *(const Quad *)p, r = *(const Quad *)(p + 4);
	v[0] = from_bits(q.x), v[1] = from_bits(q.y), v[2] = from_bits(q.z), v[3] = from_bits(q.w);
	v[4] = from_bits(r.x), v[5] = from_bits(r.y), v[6] = from_bits(r.z), v[7] = from_bits(r.w);
}

struct Norm {
	Arr x, y;
	const float *gamma, *beta;
	float *mean, *rstd;
	u64 n;
	u32 c;
	float eps;
};

// A row a warp, which holds it: V times 32 · 8 channels at most; c is a multiple of 8. γ and β are
// aligned to 16 bytes.
template <int V> DEVICE void norm(const Norm &p) {
	float each = 1 / (float)p.c, gamma[V][8], beta[V][8];
	UNROLL for (int j = 0; j < V; j++) {
		u32 c = j * 256 + lane() * 8;
		if (V < 4 && c < p.c) {
			params8(p.gamma + c, gamma[j]);
			params8(p.beta + c, beta[j]);
		}
	}
	for (i64 r = (i64)block() * 8 + (tid() >> 5); r < p.n; r += (i64)blocks() * 8) {
		float v[V][8], sum = 0, square = 0;
		UNROLL for (int j = 0; j < V; j++) {
			u32 c = j * 256 + lane() * 8;
			if (c < p.c) {
				load8(p.x, r * p.c + c, v[j]);
				UNROLL for (int i = 0; i < 8; i++)
					sum += v[j][i];
			}
		}
		float mean = total(sum) * each;
		UNROLL for (int j = 0; j < V; j++) {
			if (j * 256 + lane() * 8 < p.c) {
				UNROLL for (int i = 0; i < 8; i++) {
					v[j][i] -= mean;
					square = __builtin_fmaf(v[j][i], v[j][i], square);
				}
			}
		}
		float rstd = rsqrt_exact(total(square) * each + p.eps);
		UNROLL for (int j = 0; j < V; j++) {
			u32 c = j * 256 + lane() * 8;
			if (c < p.c) {
				if (V == 4) { // there are no registers to keep them in
					params8(p.gamma + c, gamma[j]);
					params8(p.beta + c, beta[j]);
				}
				UNROLL for (int i = 0; i < 8; i++)
					v[j][i] = __builtin_fmaf(v[j][i] * rstd, gamma[j][i], beta[j][i]);
				store8(p.y, r * p.c + c, v[j]);
			}
		}
		if (lane() == 0)
			p.mean[r] = mean, p.rstd[r] = rstd;
	}
}

KERNEL THREADS(256) norm_256(const Norm p) { norm<1>(p); }
KERNEL THREADS(256) norm_512(const Norm p) { norm<2>(p); }
KERNEL THREADS(256) norm_1024(const Norm p) { norm<4>(p); }

// Rows of any length.
KERNEL THREADS(256) norm_any(const Norm p) {
	for (i64 r = (i64)block() * 8 + (tid() >> 5); r < p.n; r += (i64)blocks() * 8) {
		float sum = 0, square = 0;
		for (u32 c = lane(); c < p.c; c += 32)
			sum += load(p.x, r * p.c + c);
		float mean = total(sum) / (float)p.c;
		for (u32 c = lane(); c < p.c; c += 32) {
			float v = load(p.x, r * p.c + c) - mean;
			square = __builtin_fmaf(v, v, square);
		}
		float rstd = rsqrt_exact(total(square) / (float)p.c + p.eps);
		for (u32 c = lane(); c < p.c; c += 32) {
			float v = (load(p.x, r * p.c + c) - mean) * rstd;
			store(p.y, r * p.c + c, __builtin_fmaf(v, p.gamma[c], p.beta[c]));
		}
		if (lane() == 0)
			p.mean[r] = mean, p.rstd[r] = rstd;
	}
}

// The backward, with x̂ = (x − mean)·rstd and g = d·γ:
//
//	dx = add + rstd·(g − mean(g) − x̂·mean(g·x̂)), x = γ·x̂ + β
//
// Each block has a piece of the rows, and writes its share Σ d·x̂ of dγ and Σ d of dβ to part.
struct NormGrad {
	Arr dx, d, x, add; // dx may be d or add
	const float *gamma, *beta, *mean, *rstd;
	float *part; // pieces × 2 × c
	u64 n;
	u32 c, rows; // of a piece
};

template <int V> DEVICE void norm_grad(const NormGrad &p) {
	SHARED float shares[8][256];
	u32 warp = tid() >> 5, warps = threads() >> 5;
	float each = 1 / (float)p.c;
	float dgamma[V][8], dbeta[V][8];
	UNROLL for (int j = 0; j < V; j++) {
		UNROLL for (int i = 0; i < 8; i++)
			dgamma[j][i] = dbeta[j][i] = 0;
	}
	for (u32 k = warp; k < p.rows; k += warps) {
		i64 r = (i64)block() * p.rows + k;
		if (r >= p.n)
			break;
		float d[V][8], hat[V][8], sum = 0, dot = 0;
		float mean = p.mean[r], rstd = p.rstd[r];
		UNROLL for (int j = 0; j < V; j++) {
			u32 c = j * 256 + lane() * 8;
			if (c < p.c) {
				load8(p.d, r * p.c + c, d[j]);
				load8(p.x, r * p.c + c, hat[j]);
			}
		}
		UNROLL for (int j = 0; j < V; j++) {
			u32 c = j * 256 + lane() * 8;
			if (c < p.c) {
				float gamma[8];
				params8(p.gamma + c, gamma);
				UNROLL for (int i = 0; i < 8; i++) {
					float x = (hat[j][i] - mean) * rstd, g = d[j][i] * gamma[i];
					dgamma[j][i] = __builtin_fmaf(d[j][i], x, dgamma[j][i]);
					dbeta[j][i] += d[j][i];
					sum += g;
					dot = __builtin_fmaf(g, x, dot);
					hat[j][i] = x, d[j][i] = g;
				}
			}
		}
		float a = total(sum) * each, b = total(dot) * each;
		UNROLL for (int j = 0; j < V; j++) {
			u32 c = j * 256 + lane() * 8;
			if (c < p.c) {
				float add[8] = {0, 0, 0, 0, 0, 0, 0, 0};
				if (p.add.p)
					load8(p.add, r * p.c + c, add);
				float gamma[8], beta[8];
				params8(p.gamma + c, gamma);
				params8(p.beta + c, beta);
				UNROLL for (int i = 0; i < 8; i++) {
					add[i] = __builtin_fmaf(rstd, d[j][i] - a - hat[j][i] * b, add[i]);
					hat[j][i] = __builtin_fmaf(hat[j][i], gamma[i], beta[i]);
				}
				store8(p.dx, r * p.c + c, add);
				store8(p.x, r * p.c + c, hat[j]);
			}
		}
	}
	UNROLL for (int j = 0; j < 2 * V; j++) {
		sync();
		UNROLL for (int i = 0; i < 8; i++)
			shares[warp][lane() + 32 * i] = j < V ? dgamma[j % V][i] : dbeta[j % V][i];
		sync();
		for (u32 i = tid(); i < 256; i += threads()) {
			u32 c = (j % V) * 256 + (i & 31) * 8 + (i >> 5);
			if (c < p.c) {
				float sum = 0;
				for (u32 w = 0; w < warps; w++)
					sum += shares[w][i];
				p.part[((i64)block() * 2 + j / V) * p.c + c] = sum;
			}
		}
	}
}

KERNEL THREADS(256) norm_grad_256(const NormGrad p) { norm_grad<1>(p); }
KERNEL THREADS(256) norm_grad_512(const NormGrad p) { norm_grad<2>(p); }
KERNEL THREADS(128) norm_grad_1024(const NormGrad p) { norm_grad<4>(p); }

// Rows of any length: the shares first, as the other overwrites x.
KERNEL THREADS(256) norm_shares_any(const NormGrad p) {
	SHARED float shares[2][8][32];
	u32 warp = tid() >> 5, c = block_y() * 32 + lane();
	float dgamma = 0, dbeta = 0;
	for (u32 k = warp; k < p.rows && c < p.c; k += 8) {
		i64 r = (i64)block() * p.rows + k;
		if (r >= p.n)
			break;
		float d = load(p.d, r * p.c + c);
		dgamma = __builtin_fmaf(d, (load(p.x, r * p.c + c) - p.mean[r]) * p.rstd[r], dgamma);
		dbeta += d;
	}
	shares[0][warp][lane()] = dgamma;
	shares[1][warp][lane()] = dbeta;
	sync();
	if (warp < 2 && c < p.c) {
		float sum = 0;
		for (u32 w = 0; w < 8; w++)
			sum += shares[warp][w][lane()];
		p.part[((i64)block() * 2 + warp) * p.c + c] = sum;
	}
}

KERNEL THREADS(256) norm_grad_any(const NormGrad p) {
	for (i64 r = (i64)block() * 8 + (tid() >> 5); r < p.n; r += (i64)blocks() * 8) {
		float mean = p.mean[r], rstd = p.rstd[r], sum = 0, dot = 0;
		for (u32 c = lane(); c < p.c; c += 32) {
			float g = load(p.d, r * p.c + c) * p.gamma[c];
			sum += g;
			dot = __builtin_fmaf(g, (load(p.x, r * p.c + c) - mean) * rstd, dot);
		}
		float a = total(sum) / (float)p.c, b = total(dot) / (float)p.c;
		for (u32 c = lane(); c < p.c; c += 32) {
			i64 i = r * p.c + c;
			float hat = (load(p.x, i) - mean) * rstd, g = load(p.d, i) * p.gamma[c];
			float add = p.add.p ? load(p.add, i) : 0;
			store(p.dx, i, __builtin_fmaf(rstd, g - a - hat * b, add));
			store(p.x, i, __builtin_fmaf(hat, p.gamma[c], p.beta[c]));
		}
	}
}
