// Attention in bfloat16, heads of 32 or 64, by mma.sync (after Dao et al. 2022 and 2023). A warp
// has 16 rows of one head of one sequence, whose factors stay in its registers; the block goes
// through the other rows 64 at a time, which come to shared memory one step ahead. Scores live in
// registers only. Blocks differ in how many warps they have, which changes no sum.
#include "attention.h"

#define TILE 64

// The address of shared memory, as instructions on it want it.
DEVICE u32 shared(const void *p) { return (u32)(u64)(__attribute__((address_space(3))) const char *)p; }

// c += a·b: a is 16 × 16, b 16 × 8. Thread 4g+h has elements of c's rows g and g+8, columns 2h and
// 2h+1; of a those of rows g and g+8 and columns 2h, 2h+1, 2h+8, 2h+9; of b of rows 2h, 2h+1, 2h+8,
// 2h+9 and column g.
DEVICE void product(float c[4], const u32 a[4], u32 b0, u32 b1) {
	asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
	    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
	    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Rows are TILE rows of one head in shared memory. Their pieces of eight elements are permuted so
// that those of eight rows lie in different banks.
template <int D> struct Rows {
	u16 v[TILE * D];
};
template <int D> DEVICE u32 place(u32 r, u32 piece) {
	return D == 64 ? (r * 8 + (piece ^ (r & 7))) * 16 : (r * 4 + (piece ^ (r >> 1 & 3))) * 16;
}

// fetch begins to bring rows [first, first + TILE) of a matrix; where there are none, the last.
template <int D> DEVICE void fetch(const Rows<D> &to, const char *from, i64 stride, int first, int rows) {
	u32 base = shared(to.v);
	for (u32 i = tid(); i < TILE * D / 8; i += threads()) {
		int r = (int)(i / (D / 8)), from_row = first + r < rows ? first + r : rows - 1;
		u32 piece = i % (D / 8);
		const char *p = from + from_row * stride + piece * 16;
		asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(base + place<D>(r, piece)), "l"(p) : "memory");
	}
}
DEVICE void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DEVICE void arrived() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// across loads the right factor of two products that sum over columns: rows [r, r + 16), columns
// [16k, 16k + 16). The first product's are b[0], b[1], for rows [r, r + 8).
template <int D> DEVICE void across(u32 b[4], const Rows<D> &m, int r, int k) {
	u32 l = lane(), at = shared(m.v) + place<D>(r + (l & 7) + (l >> 4) * 8, 2 * k + (l >> 3 & 1));
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
	             : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
	             : "r"(at)
	             : "memory");
}

// down loads that of two products that sum over rows [r, r + 16), for columns [16n, 16n + 16).
template <int D> DEVICE void down(u32 b[4], const Rows<D> &m, int r, int n) {
	u32 l = lane(), at = shared(m.v) + place<D>(r + (l & 15), 2 * n + (l >> 4));
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
	             : "=r"(b[0]), "=r"(b[1]), "=r"(b[2]), "=r"(b[3])
	             : "r"(at)
	             : "memory");
}

// Own is a warp's rows, as left factors.
template <int D> struct Own {
	u32 a[D / 16][4];
};

template <int D> DEVICE void own(Own<D> &to, const char *from, i64 stride, int first, int rows) {
	u32 g = lane() >> 2, h = lane() & 3;
	UNROLL for (int half = 0; half < 2; half++) {
		int r = first + (int)g + 8 * half;
		const char *p = from + r * stride + 4 * h;
		UNROLL for (int k = 0; k < D / 16; k++) {
			to.a[k][half] = r < rows ? *(const u32 *)(p + 32 * k) : 0;
			to.a[k][half + 2] = r < rows ? *(const u32 *)(p + 32 * k + 16) : 0;
		}
	}
}

// write stores c as bfloat16, rows g and g+8 of it times x and y.
template <int D> DEVICE void write(char *to, i64 stride, int first, int rows, const float c[][4], float x, float y) {
	u32 g = lane() >> 2, h = lane() & 3;
	UNROLL for (int half = 0; half < 2; half++) {
		int r = first + (int)g + 8 * half;
		float f = half ? y : x;
		if (r < rows) {
			UNROLL for (int n = 0; n < D / 8; n++)
				*(u32 *)(to + r * stride + 16 * n + 4 * h) = pack(c[n][2 * half] * f, c[n][2 * half + 1] * f);
		}
	}
}

// The maximum and the sum of what four threads have of a row.
DEVICE float most4(float v) {
	v = __builtin_fmaxf(v, __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, 2, 31));
	return __builtin_fmaxf(v, __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, 1, 31));
}
DEVICE float total4(float v) {
	v += __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, 2, 31);
	return v + __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, 1, 31);
}

template <int D> struct Steps {
	Rows<D> a[2], b[2]; // two steps
};

template <int D> DEVICE void forward(const Attention &p) {
	alignas(16) SHARED Steps<D> m;
	int from = p.starts[block()], t = p.starts[block() + 1] - from;
	u32 head = block_y();
	int first = (int)(block_z() * threads() + (tid() & ~31u)) / 2; // 16 rows a warp
	if ((int)(block_z() * threads()) / 2 >= t)
		return;
	i64 stride = 6 * (i64)p.c;
	const char *q = p.qkv.p + from * stride + 2 * head * D, *k = q + 2 * p.c, *v = k + 2 * p.c;
	Own<D> mine;
	own<D>(mine, q, stride, first, t);
	float o[D / 8][4], peak[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, factor = p.factor * LOG2E;
	UNROLL for (int n = 0; n < D / 8; n++)
		o[n][0] = o[n][1] = o[n][2] = o[n][3] = 0;
	fetch<D>(m.a[0], k, stride, 0, t);
	fetch<D>(m.b[0], v, stride, 0, t);
	commit();
	int now = 0;
	for (int k0 = 0; k0 < t; k0 += TILE, now ^= 1) {
		if (k0 + TILE < t) {
			fetch<D>(m.a[now ^ 1], k, stride, k0 + TILE, t);
			fetch<D>(m.b[now ^ 1], v, stride, k0 + TILE, t);
		}
		commit();
		arrived<1>();
		sync();
		int here = t - k0;
		float s[TILE / 8][4];
		UNROLL for (int j = 0; j < TILE / 16; j++) {
			float *x = s[2 * j], *y = s[2 * j + 1];
			UNROLL for (int i = 0; i < 4; i++)
				x[i] = y[i] = here > 16 * j ? 0 : -INFINITY;
			if (here > 16 * j) {
				UNROLL for (int i = 0; i < D / 16; i++) {
					u32 b[4];
					across<D>(b, m.a[now], 16 * j, i);
					product(x, mine.a[i], b[0], b[1]);
					product(y, mine.a[i], b[2], b[3]);
				}
				if (here < 16 * j + 16) {
					UNROLL for (int i = 0; i < 4; i++) {
						int c = 16 * j + 2 * (int)(lane() & 3) + (i & 1);
						x[i] = c < here ? x[i] : -INFINITY;
						y[i] = c + 8 < here ? y[i] : -INFINITY;
					}
				}
			}
		}
		UNROLL for (int half = 0; half < 2; half++) {
			float top = peak[half], more = 0;
			UNROLL for (int n = 0; n < TILE / 8; n++)
				top = __builtin_fmaxf(top, __builtin_fmaxf(s[n][2 * half], s[n][2 * half + 1]));
			top = most4(top);
			float less = power2((peak[half] - top) * factor), minus = -top * factor;
			peak[half] = top;
			UNROLL for (int n = 0; n < TILE / 8; n++) {
				UNROLL for (int i = 2 * half; i < 2 * half + 2; i++) {
					s[n][i] = power2(__builtin_fmaf(s[n][i], factor, minus));
					more += s[n][i];
				}
			}
			sum[half] = sum[half] * less + more;
			UNROLL for (int n = 0; n < D / 8; n++)
				o[n][2 * half] *= less, o[n][2 * half + 1] *= less;
		}
		UNROLL for (int j = 0; j < TILE / 16; j++) {
			if (here > 16 * j) {
				float *x = s[2 * j], *y = s[2 * j + 1];
				u32 a[4] = {pack(x[0], x[1]), pack(x[2], x[3]), pack(y[0], y[1]), pack(y[2], y[3])}, b[4];
				UNROLL for (int n = 0; n < D / 16; n++) {
					down<D>(b, m.b[now], 16 * j, n);
					product(o[2 * n], a, b[0], b[1]);
					product(o[2 * n + 1], a, b[2], b[3]);
				}
			}
		}
		sync();
	}
	UNROLL for (int half = 0; half < 2; half++) {
		sum[half] = total4(sum[half]);
		int r = first + (int)(lane() >> 2) + 8 * half;
		if ((lane() & 3) == 0 && r < t)
			p.lse[((i64)from + r) * p.heads + head] = p.factor * peak[half] + logarithm(sum[half]);
	}
	write<D>(p.o.p + ((i64)from * p.c + head * D) * 2, 2 * (i64)p.c, first, t, o, 1 / sum[0], 1 / sum[1]);
}

// The gradient of the queries: a warp has 16 of them. It also writes dots.
template <int D> DEVICE void queries(const Attention &p) {
	alignas(16) SHARED Steps<D> m;
	int from = p.starts[block()], t = p.starts[block() + 1] - from;
	u32 head = block_y();
	int first = (int)(block_z() * threads() + (tid() & ~31u)) / 2;
	if ((int)(block_z() * threads()) / 2 >= t)
		return;
	i64 stride = 6 * (i64)p.c, single = 2 * (i64)p.c, at = from * single + 2 * head * D;
	const char *q = p.qkv.p + from * stride + 2 * head * D, *k = q + single, *v = k + single;
	Own<D> mine, grad;
	own<D>(grad, p.o.p + at, single, first, t);
	own<D>(mine, p.dout.p + at, single, first, t);
	float dots[2], lse[2], factor = p.factor * LOG2E;
	UNROLL for (int half = 0; half < 2; half++) {
		float sum = 0;
		UNROLL for (int i = 0; i < D / 16; i++) {
			UNROLL for (int j = half; j < 4; j += 2) {
				u32 x = grad.a[i][j], y = mine.a[i][j];
				sum = __builtin_fmaf(low(x), low(y), __builtin_fmaf(high(x), high(y), sum));
			}
		}
		dots[half] = total4(sum);
		int r = first + (int)(lane() >> 2) + 8 * half;
		i64 place = ((i64)from + r) * p.heads + head;
		lse[half] = r < t ? p.lse[place] * LOG2E : 0;
		if ((lane() & 3) == 0 && r < t)
			p.dots[place] = dots[half];
	}
	UNROLL for (int i = 0; i < D / 16; i++) {
		UNROLL for (int j = 0; j < 4; j++)
			grad.a[i][j] = mine.a[i][j];
	}
	own<D>(mine, q, stride, first, t);
	float dq[D / 8][4];
	UNROLL for (int n = 0; n < D / 8; n++)
		dq[n][0] = dq[n][1] = dq[n][2] = dq[n][3] = 0;
	fetch<D>(m.a[0], k, stride, 0, t);
	fetch<D>(m.b[0], v, stride, 0, t);
	commit();
	int now = 0;
	for (int k0 = 0; k0 < t; k0 += TILE, now ^= 1) {
		if (k0 + TILE < t) {
			fetch<D>(m.a[now ^ 1], k, stride, k0 + TILE, t);
			fetch<D>(m.b[now ^ 1], v, stride, k0 + TILE, t);
		}
		commit();
		arrived<1>();
		sync();
		int here = t - k0;
		UNROLL for (int j = 0; j < TILE / 16; j++) {
			if (here > 16 * j) {
				float s[2][4] = {}, dp[2][4] = {};
				u32 b[4], a[4];
				UNROLL for (int i = 0; i < D / 16; i++) {
					across<D>(b, m.a[now], 16 * j, i);
					product(s[0], mine.a[i], b[0], b[1]);
					product(s[1], mine.a[i], b[2], b[3]);
					across<D>(b, m.b[now], 16 * j, i);
					product(dp[0], grad.a[i], b[0], b[1]);
					product(dp[1], grad.a[i], b[2], b[3]);
				}
				UNROLL for (int n = 0; n < 2; n++) {
					UNROLL for (int i = 0; i < 4; i++) {
						int c = 16 * j + 8 * n + 2 * (int)(lane() & 3) + (i & 1);
						float e = power2(__builtin_fmaf(s[n][i], factor, -lse[i / 2])) * (dp[n][i] - dots[i / 2]);
						s[n][i] = c < here ? e : 0;
					}
				}
				UNROLL for (int i = 0; i < 4; i++)
					a[i] = pack(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
				UNROLL for (int n = 0; n < D / 16; n++) {
					down<D>(b, m.a[now], 16 * j, n);
					product(dq[2 * n], a, b[0], b[1]);
					product(dq[2 * n + 1], a, b[2], b[3]);
				}
			}
		}
		sync();
	}
	write<D>(p.dqkv.p + from * stride + 2 * head * D, stride, first, t, dq, p.factor, p.factor);
}

// row_values fetches lse and dots of rows [first, first + TILE). Where there are none,
// exp(score − lse) is to be 0.
DEVICE void row_values(float to[2][TILE], const Attention &p, int from, u32 head, int first, int rows) {
	for (u32 i = tid(); i < TILE; i += threads()) {
		i64 at = ((i64)from + first + i) * p.heads + head;
		bool there = first + (int)i < rows;
		to[0][i] = there ? p.lse[at] * LOG2E : INFINITY;
		to[1][i] = there ? p.dots[at] : 0;
	}
}

// The gradients of keys and values: a warp has 16 of them, and the block goes through the queries.
// Scores are transposed: their rows are keys.
template <int D> DEVICE void keys(const Attention &p) {
	alignas(16) SHARED Steps<D> m;
	SHARED float values[2][2][TILE]; // lse and dots of two steps
	int from = p.starts[block()], t = p.starts[block() + 1] - from;
	u32 head = block_y();
	int first = (int)(block_z() * threads() + (tid() & ~31u)) / 2;
	if ((int)(block_z() * threads()) / 2 >= t)
		return;
	i64 stride = 6 * (i64)p.c, single = 2 * (i64)p.c;
	const char *q = p.qkv.p + from * stride + 2 * head * D, *k = q + single, *v = k + single;
	const char *grads = p.dout.p + from * single + 2 * head * D;
	Own<D> key, value;
	own<D>(key, k, stride, first, t);
	own<D>(value, v, stride, first, t);
	float dk[D / 8][4], dv[D / 8][4], factor = p.factor * LOG2E;
	UNROLL for (int n = 0; n < D / 8; n++) {
		dk[n][0] = dk[n][1] = dk[n][2] = dk[n][3] = 0;
		dv[n][0] = dv[n][1] = dv[n][2] = dv[n][3] = 0;
	}
	fetch<D>(m.a[0], q, stride, 0, t);
	fetch<D>(m.b[0], grads, single, 0, t);
	row_values(values[0], p, from, head, 0, t);
	commit();
	int now = 0;
	for (int q0 = 0; q0 < t; q0 += TILE, now ^= 1) {
		if (q0 + TILE < t) {
			fetch<D>(m.a[now ^ 1], q, stride, q0 + TILE, t);
			fetch<D>(m.b[now ^ 1], grads, single, q0 + TILE, t);
			row_values(values[now ^ 1], p, from, head, q0 + TILE, t);
		}
		commit();
		arrived<1>();
		sync();
		int here = t - q0;
		_Pragma("unroll 1") for (int j = 0; j < TILE / 16; j++) {
			if (here <= 16 * j)
				break;
			float s[2][4] = {}, dp[2][4] = {};
			u32 b[4], a[4];
			UNROLL for (int i = 0; i < D / 16; i++) {
				across<D>(b, m.a[now], 16 * j, i);
				product(s[0], key.a[i], b[0], b[1]);
				product(s[1], key.a[i], b[2], b[3]);
				across<D>(b, m.b[now], 16 * j, i);
				product(dp[0], value.a[i], b[0], b[1]);
				product(dp[1], value.a[i], b[2], b[3]);
			}
			UNROLL for (int n = 0; n < 2; n++) {
				UNROLL for (int i = 0; i < 4; i++) {
					u32 c = 16 * j + 8 * n + 2 * (lane() & 3) + (i & 1);
					s[n][i] = power2(__builtin_fmaf(s[n][i], factor, -values[now][0][c]));
					dp[n][i] = s[n][i] * (dp[n][i] - values[now][1][c]);
				}
			}
			UNROLL for (int i = 0; i < 4; i++)
				a[i] = pack(s[i / 2][i % 2 * 2], s[i / 2][i % 2 * 2 + 1]);
			UNROLL for (int n = 0; n < D / 16; n++) {
				down<D>(b, m.b[now], 16 * j, n);
				product(dv[2 * n], a, b[0], b[1]);
				product(dv[2 * n + 1], a, b[2], b[3]);
			}
			UNROLL for (int i = 0; i < 4; i++)
				a[i] = pack(dp[i / 2][i % 2 * 2], dp[i / 2][i % 2 * 2 + 1]);
			UNROLL for (int n = 0; n < D / 16; n++) {
				down<D>(b, m.a[now], 16 * j, n);
				product(dk[2 * n], a, b[0], b[1]);
				product(dk[2 * n + 1], a, b[2], b[3]);
			}
		}
		sync();
	}
	char *to = p.dqkv.p + from * stride + single + 2 * head * D;
	write<D>(to, stride, first, t, dk, p.factor, p.factor);
	write<D>(to + single, stride, first, t, dv, 1, 1);
}

KERNEL BOUNDS(256, 2) flash_32(const Attention p) { forward<32>(p); }
KERNEL BOUNDS(256, 2) flash_64(const Attention p) { forward<64>(p); }
KERNEL BOUNDS(256, 2) flash_dq_32(const Attention p) { queries<32>(p); }
KERNEL BOUNDS(256, 2) flash_dq_64(const Attention p) { queries<64>(p); }
KERNEL BOUNDS(128, 3) flash_dkv_32(const Attention p) { keys<32>(p); }
KERNEL BOUNDS(128, 3) flash_dkv_64(const Attention p) { keys<64>(p); }
