// Attention for any type and any width of heads: a block has 64 rows of one head of one sequence
// and goes through the other rows 64 at a time. Scores are made anew where they are needed, never
// kept.
#include "attention.h"

// Place is a head of a sequence. Its rows begin at first; at is the first element of q in qkv, and
// of o in o is first·c + head·d.
struct Place {
	int t; // rows
	i64 first, q, o;
	u32 head, d;
};

DEVICE Place place(const Attention &p) {
	Place s;
	int from = p.starts[block()];
	s.t = p.starts[block() + 1] - from;
	s.first = from;
	s.head = block_y();
	s.d = p.c / p.heads;
	s.q = s.first * 3 * p.c + s.head * s.d;
	s.o = s.first * p.c + s.head * s.d;
	return s;
}

struct Shared {
	float a[64][33], b[64][33]; // of a product's factors, 32 columns; or rows[64][64]
	float p[64][65];
};

// The threads are 16 × 16: each has four rows, next to each other, and every 16th column.
DEVICE int row(int i) { return (int)(tid() >> 4) * 4 + i; }
DEVICE int col(int j) { return (int)(tid() & 15) + 16 * j; }

// scores sets s to a·bᵀ, of na and nb rows of d elements; what is beyond is 0.
DEVICE void scores(Shared &m, float s[4][4], const Arr &a, i64 at, u32 as, int na, const Arr &b, i64 bt, u32 bs,
                   int nb, u32 d) {
	UNROLL for (int i = 0; i < 4; i++) {
		UNROLL for (int j = 0; j < 4; j++)
			s[i][j] = 0;
	}
	for (u32 k0 = 0; k0 < d; k0 += 32) {
		u32 k = k0 + lane();
		sync();
		UNROLL for (int i = 0; i < 8; i++) {
			int r = (int)(tid() >> 5) + 8 * i;
			m.a[r][lane()] = r < na && k < d ? load(a, at + (i64)r * as + k) : 0;
			m.b[r][lane()] = r < nb && k < d ? load(b, bt + (i64)r * bs + k) : 0;
		}
		sync();
		_Pragma("unroll 4") for (int k = 0; k < 32; k++) {
			float x[4], y[4];
			UNROLL for (int i = 0; i < 4; i++)
				x[i] = m.a[row(i)][k], y[i] = m.b[col(i)][k];
			UNROLL for (int i = 0; i < 4; i++) {
				UNROLL for (int j = 0; j < 4; j++)
					s[i][j] = __builtin_fmaf(x[i], y[j], s[i][j]);
			}
		}
	}
}

// add adds p·b, columns [k0, k0 + 64) of b's rows, of d elements.
DEVICE void add(Shared &m, float s[4][4], const float p[4][4], const Arr &b, i64 at, u32 bs, int nb, u32 k0, u32 d) {
	float *rows = &m.a[0][0];
	sync();
	UNROLL for (int i = 0; i < 4; i++) {
		UNROLL for (int j = 0; j < 4; j++)
			m.p[row(i)][col(j)] = p[i][j];
	}
	for (int i = 0; i < 16; i++) {
		int r = (int)(tid() >> 6) + 4 * i;
		u32 k = tid() & 63;
		rows[r * 64 + k] = r < nb && k0 + k < d ? load(b, at + (i64)r * bs + k0 + k) : 0;
	}
	sync();
	_Pragma("unroll 4") for (int r = 0; r < 64; r++) {
		float x[4], y[4];
		UNROLL for (int i = 0; i < 4; i++)
			x[i] = m.p[row(i)][r], y[i] = rows[r * 64 + col(i)];
		UNROLL for (int i = 0; i < 4; i++) {
			UNROLL for (int j = 0; j < 4; j++)
				s[i][j] = __builtin_fmaf(x[i], y[j], s[i][j]);
		}
	}
}

DEVICE void clear(float s[4][4]) {
	UNROLL for (int i = 0; i < 4; i++) {
		UNROLL for (int j = 0; j < 4; j++)
			s[i][j] = 0;
	}
}

// write stores factor · s to columns [k0, k0 + 64) of n rows.
DEVICE void write(const float s[4][4], const Arr &y, i64 at, u32 stride, int n, u32 k0, u32 d, float factor) {
	UNROLL for (int i = 0; i < 4; i++) {
		UNROLL for (int j = 0; j < 4; j++) {
			if (row(i) < n && k0 + col(j) < d)
				store(y, at + (i64)row(i) * stride + k0 + col(j), s[i][j] * factor);
		}
	}
}

// The maximum and the sum of what 16 threads have of a row.
DEVICE float most16(float v) {
	UNROLL for (int i = 8; i > 0; i >>= 1)
		v = __builtin_fmaxf(v, __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, i, 31));
	return v;
}
DEVICE float total16(float v) {
	UNROLL for (int i = 8; i > 0; i >>= 1)
		v += __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, i, 31);
	return v;
}

KERNEL THREADS(256) attention(const Attention p) {
	SHARED Shared m;
	Place a = place(p);
	int q0 = block_z() * 64, nq = a.t - q0;
	if (nq <= 0)
		return;
	u32 c3 = 3 * p.c;
	i64 q = a.q + (i64)q0 * c3, k = a.q + p.c, v = a.q + 2 * p.c;
	float s[4][4], o[4][4], peak[4], sum[4];
	UNROLL for (int i = 0; i < 4; i++)
		peak[i] = -INFINITY, sum[i] = 0;
	for (int k0 = 0; k0 < a.t; k0 += 64) {
		scores(m, s, p.qkv, q, c3, nq, p.qkv, k + (i64)k0 * c3, c3, a.t - k0, a.d);
		UNROLL for (int i = 0; i < 4; i++) {
			float top = peak[i], more = 0;
			UNROLL for (int j = 0; j < 4; j++) {
				if (k0 + col(j) >= a.t)
					s[i][j] = -INFINITY;
				top = __builtin_fmaxf(top, s[i][j]);
			}
			top = most16(top);
			UNROLL for (int j = 0; j < 4; j++)
				more += exponential(p.factor * (s[i][j] - top));
			sum[i] = sum[i] * exponential(p.factor * (peak[i] - top)) + total16(more);
			peak[i] = top;
		}
	}
	UNROLL for (int i = 0; i < 4; i++) {
		if (col(0) == 0 && row(i) < nq)
			p.lse[(a.first + q0 + row(i)) * p.heads + a.head] = p.factor * peak[i] + logarithm(sum[i]);
		sum[i] = 1 / sum[i];
	}
	for (u32 d0 = 0; d0 < a.d; d0 += 64) {
		clear(o);
		for (int k0 = 0; k0 < a.t; k0 += 64) {
			scores(m, s, p.qkv, q, c3, nq, p.qkv, k + (i64)k0 * c3, c3, a.t - k0, a.d);
			UNROLL for (int i = 0; i < 4; i++) {
				UNROLL for (int j = 0; j < 4; j++) {
					float e = exponential(p.factor * (s[i][j] - peak[i])) * sum[i];
					s[i][j] = k0 + col(j) < a.t ? e : 0;
				}
			}
			add(m, o, s, p.qkv, v + (i64)k0 * c3, c3, a.t - k0, d0, a.d);
		}
		write(o, p.o, a.o + (i64)q0 * p.c, p.c, nq, d0, a.d, 1);
	}
}

// dots: a warp for each row and head.
KERNEL THREADS(256) attention_dots(const Attention p) {
	u32 d = p.c / p.heads;
	int from = p.starts[block()], to = p.starts[block() + 1];
	for (i64 r = from + (int)(tid() >> 5); r < to; r += 8) {
		float sum = 0;
		for (u32 k = lane(); k < d; k += 32) {
			i64 i = r * p.c + block_y() * d + k;
			sum = __builtin_fmaf(load(p.o, i), load(p.dout, i), sum);
		}
		sum += __nvvm_shfl_sync_bfly_f32(0xffffffffu, sum, 16, 31);
		sum = total16(sum);
		if (lane() == 0)
			p.dots[r * p.heads + block_y()] = sum;
	}
}

// With p = exp(factor·s − lse) and dp = do·vᵀ, ds = factor·p·(dp − dots) is the gradient of the
// scores s = q·kᵀ. The gradient of the queries is ds·k.
KERNEL THREADS(256) attention_dq(const Attention p) {
	SHARED Shared m;
	Place a = place(p);
	int q0 = block_z() * 64, nq = a.t - q0;
	if (nq <= 0)
		return;
	u32 c3 = 3 * p.c;
	i64 q = a.q + (i64)q0 * c3, k = a.q + p.c, v = a.q + 2 * p.c, o = a.o + (i64)q0 * p.c;
	float s[4][4], dp[4][4], dq[4][4], lse[4], dots[4];
	UNROLL for (int i = 0; i < 4; i++) {
		i64 at = (a.first + q0 + row(i)) * p.heads + a.head;
		lse[i] = row(i) < nq ? p.lse[at] : 0;
		dots[i] = row(i) < nq ? p.dots[at] : 0;
	}
	for (u32 d0 = 0; d0 < a.d; d0 += 64) {
		clear(dq);
		for (int k0 = 0; k0 < a.t; k0 += 64) {
			int nk = a.t - k0;
			scores(m, s, p.qkv, q, c3, nq, p.qkv, k + (i64)k0 * c3, c3, nk, a.d);
			scores(m, dp, p.dout, o, p.c, nq, p.qkv, v + (i64)k0 * c3, c3, nk, a.d);
			UNROLL for (int i = 0; i < 4; i++) {
				UNROLL for (int j = 0; j < 4; j++) {
					float e = exponential(p.factor * s[i][j] - lse[i]) * (dp[i][j] - dots[i]);
					s[i][j] = col(j) < nk && row(i) < nq ? e : 0;
				}
			}
			add(m, dq, s, p.qkv, k + (i64)k0 * c3, c3, nk, d0, a.d);
		}
		write(dq, p.dqkv, q, c3, nq, d0, a.d, p.factor);
	}
}

// The gradients of keys and values are dsᵀ·q and pᵀ·do: here the block's rows are keys.
KERNEL THREADS(256) attention_dkv(const Attention p) {
	SHARED Shared m;
	Place a = place(p);
	int k0 = block_z() * 64, nk = a.t - k0;
	if (nk <= 0)
		return;
	u32 c3 = 3 * p.c;
	i64 k = a.q + p.c + (i64)k0 * c3, v = k + p.c;
	float s[4][4], dp[4][4], dk[4][4], dv[4][4];
	for (u32 d0 = 0; d0 < a.d; d0 += 64) {
		clear(dk);
		clear(dv);
		for (int q0 = 0; q0 < a.t; q0 += 64) {
			int nq = a.t - q0;
			i64 q = a.q + (i64)q0 * c3, o = a.o + (i64)q0 * p.c;
			scores(m, s, p.qkv, k, c3, nk, p.qkv, q, c3, nq, a.d);
			scores(m, dp, p.qkv, v, c3, nk, p.dout, o, p.c, nq, a.d);
			UNROLL for (int j = 0; j < 4; j++) {
				i64 at = (a.first + q0 + col(j)) * p.heads + a.head;
				float lse = col(j) < nq ? p.lse[at] : 0, dots = col(j) < nq ? p.dots[at] : 0;
				UNROLL for (int i = 0; i < 4; i++) {
					float e = exponential(p.factor * s[i][j] - lse);
					s[i][j] = col(j) < nq && row(i) < nk ? e : 0;
					dp[i][j] = s[i][j] * (dp[i][j] - dots);
				}
			}
			add(m, dv, s, p.dout, o, p.c, nq, d0, a.d);
			add(m, dk, dp, p.qkv, q, c3, nq, d0, a.d);
		}
		write(dk, p.dqkv, k, c3, nk, d0, a.d, p.factor);
		write(dv, p.dqkv, v, c3, nk, d0, a.d, 1);
	}
}
