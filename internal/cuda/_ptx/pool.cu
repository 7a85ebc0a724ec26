// Means and maxima over pixels.
#include "rows.h"

// Windows are those of a pooling: r × s of h × w pixels, oh × ow of them.
struct Windows {
	u32 h, w, oh, ow;
	u32 r, s, stride, pad, pad_w;
	u32 unused;
};

// MaxPool writes the greatest of each window, as the source reads it, and its place there.
struct MaxPool {
	Rows rows; // of the output
	Source src;
	Arr y;
	u8 *argmax;
	Windows win;
};

// put_places stores the places of N channels.
template <int N> DEVICE void put_places(u8 *p, const u32 at[N]) {
	if (N == 1) {
		*p = (u8)at[0];
		return;
	}
	for (int j = 0; j + 4 <= N; j += 4)
		((u32 *)p)[j / 4] = at[j] | at[j + 1] << 8 | at[j + 2] << 16 | at[j + 3] << 24;
}

template <int N> struct Greatest {
	float v[N];
	u32 at[N];
	METHOD void init(u32 first) {
		UNROLL for (int j = 0; j < N; j++) {
			v[j] = from_bits(0xff800000);
			at[j] = first;
		}
	}
	// Of equal values the first is kept, of those that are not numbers the last.
	METHOD void take(const float t[N], u32 tap) {
		UNROLL for (int j = 0; j < N; j++) {
			if (t[j] > v[j] || t[j] != t[j]) {
				v[j] = t[j];
				at[j] = tap;
			}
		}
	}
};

template <class L, bool THREE_BY_THREE> struct MaxPoolRows {
	const MaxPool &p;
	Reader<L::N> reader;
	template <int U> METHOD void go(u32 row, i64 i, i64) {
		const Windows &w = p.win;
		u32 ox = row % w.ow, rest = row / w.ow, oy = rest % w.oh, image = rest / w.oh;
		u32 r_n = THREE_BY_THREE ? 3 : w.r, s_n = THREE_BY_THREE ? 3 : w.s;
		int y0 = (int)(oy * w.stride) - (int)w.pad, x0 = (int)(ox * w.stride) - (int)w.pad_w;
		i64 pixel = ((i64)image * w.h + y0) * w.w + x0;
		i64 at = pixel * p.rows.c + channel<L::N>(p.rows);
		Greatest<L::N> best;
		best.init((y0 < 0 ? -y0 : 0) * s_n + (x0 < 0 ? -x0 : 0));
		if (THREE_BY_THREE) {
			L x[9];
			UNROLL for (int k = 0; k < 9; k++) {
				if (inside(y0 + k / 3, x0 + k % 3))
					x[k].load(p.src.x, at + ((i64)(k / 3) * w.w + k % 3) * p.rows.c);
			}
			UNROLL for (int k = 0; k < 9; k++) {
				if (inside(y0 + k / 3, x0 + k % 3))
					see(best, x[k], k);
			}
		} else {
			for (u32 r = 0; r < r_n; r++) {
				for (u32 s = 0; s < s_n; s++) {
					if (!inside(y0 + (int)r, x0 + (int)s))
						continue;
					L x;
					x.load(p.src.x, at + ((i64)r * w.w + s) * p.rows.c);
					see(best, x, r * s_n + s);
				}
			}
		}
		L::put(p.y, i, best.v);
		put_places<L::N>(p.argmax + i, best.at);
	}
	METHOD bool inside(int y, int x) const { return (u32)y < p.win.h && (u32)x < p.win.w; }
	METHOD void see(Greatest<L::N> &best, const L &x, u32 tap) {
		float v[L::N];
		x.get(v);
		reader.read(v);
		best.take(v, tap);
	}
};

template <class L, bool THREE_BY_THREE> DEVICE void run_max_pool(const MaxPool &p) {
	if (idle<L::N>(p.rows))
		return;
	MaxPoolRows<L, THREE_BY_THREE> body = {p};
	body.reader.init(p.src, channel<L::N>(p.rows));
	walk<L::N, 1>(p.rows, body);
}
template <class L> DEVICE void run_max_pool_any(const MaxPool &p) { run_max_pool<L, false>(p); }
THREE(max_pool, MaxPool, run_max_pool_any, BOUNDS(256, 2))
KERNEL BOUNDS(256, 2) max_pool_three(const MaxPool p) { run_max_pool<Half8, true>(p); }

// MaxPoolGrad: the gradient of a pixel is that of the windows whose greatest it was.
struct MaxPoolGrad {
	Rows rows; // of the input
	Arr dx, d;
	const u8 *argmax;
	Finish f;
	Windows win;
};

// Places of N channels.
template <int N> struct Places {
	u32 word[N / 4 ? N / 4 : 1];
	METHOD void load(const u8 *p) {
		if (N == 1) {
			word[0] = *p;
			return;
		}
		UNROLL for (int j = 0; j < N / 4; j++)
			word[j] = ((const u32 *)p)[j];
	}
	METHOD u32 get(int j) const { return word[j / 4] >> 8 * (j % 4) & 255; }
};

template <class L, bool THREE_BY_THREE> struct MaxPoolGradRows {
	const MaxPoolGrad &p;
	Finisher<L> finisher;
	METHOD void add(float v[L::N], const L &d, const Places<L::N> &at, u32 tap) {
		float t[L::N];
		d.get(t);
		UNROLL for (int j = 0; j < L::N; j++)
			v[j] += at.get(j) == tap ? t[j] : 0;
	}
	template <int U> METHOD void go(u32 row, i64 i, i64 step) {
		const Windows &w = p.win;
		typename Finisher<L>::template Operands<1> o;
		o.load(p.f, i, step);
		int stride = THREE_BY_THREE ? 2 : w.stride, r_n = THREE_BY_THREE ? 3 : w.r, s_n = THREE_BY_THREE ? 3 : w.s;
		u32 rest = row / w.w, image = rest / w.h;
		int x = (int)(row % w.w + w.pad_w), y = (int)(rest % w.h + w.pad);
		int y0 = y - r_n + stride < 0 ? 0 : (y - r_n + stride) / stride, y1 = y / stride + 1;
		int x0 = x - s_n + stride < 0 ? 0 : (x - s_n + stride) / stride, x1 = x / stride + 1;
		y1 = y1 < (int)w.oh ? y1 : w.oh;
		x1 = x1 < (int)w.ow ? x1 : w.ow;
		i64 from = (i64)image * w.oh * w.ow * p.rows.c + channel<L::N>(p.rows);
		float v[L::N];
		UNROLL for (int j = 0; j < L::N; j++)
			v[j] = 0;
		if (THREE_BY_THREE) {
			L d[4];
			Places<L::N> at[4];
			UNROLL for (int k = 0; k < 4; k++) {
				int oy = y0 + k / 2, ox = x0 + k % 2;
				if (oy < y1 && ox < x1) {
					i64 e = from + ((i64)oy * w.ow + ox) * p.rows.c;
					d[k].load(p.d, e);
					at[k].load(p.argmax + e);
				}
			}
			UNROLL for (int k = 0; k < 4; k++) {
				int oy = y0 + k / 2, ox = x0 + k % 2;
				if (oy < y1 && ox < x1)
					add(v, d[k], at[k], (y - oy * 2) * 3 + x - ox * 2);
			}
		} else {
			for (int oy = y0; oy < y1; oy++) {
				for (int ox = x0; ox < x1; ox++) {
					i64 e = from + ((i64)oy * w.ow + ox) * p.rows.c;
					L d;
					Places<L::N> at;
					d.load(p.d, e);
					at.load(p.argmax + e);
					add(v, d, at, (y - oy * stride) * s_n + x - ox * stride);
				}
			}
		}
		finisher.finish(o, 0, p.dx, i, v);
	}
};

template <class L, bool THREE_BY_THREE> DEVICE void run_max_pool_grad(const MaxPoolGrad &p) {
	MaxPoolGradRows<L, THREE_BY_THREE> body = {p, Finisher<L>(p.f, p.rows)};
	walk<L::N, 1>(p.rows, body);
	body.finisher.done(p.rows);
}
template <class L> DEVICE void run_max_pool_grad_any(const MaxPoolGrad &p) { run_max_pool_grad<L, false>(p); }
THREE(max_pool_grad, MaxPoolGrad, run_max_pool_grad_any, BOUNDS(256, 2))
KERNEL BOUNDS(256, 2) max_pool_grad_three(const MaxPoolGrad p) { run_max_pool_grad<Half8, true>(p); }

// AvgPool writes the mean of each image's pixels: a piece of the rows is an image.
struct AvgPool {
	Rows rows; // of the input
	Source src;
	Arr y;
};

template <class L> struct AvgPoolRows {
	const AvgPool &p;
	Reader<L::N> reader;
	float sum[L::N];
	template <int U> METHOD void go(u32, i64 i, i64 step) {
		L x[U];
		UNROLL for (int u = 0; u < U; u++)
			x[u].load(p.src.x, i + u * step);
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N];
			x[u].get(v);
			reader.read(v);
			UNROLL for (int j = 0; j < L::N; j++)
				sum[j] += v[j];
		}
	}
	METHOD void put(u32 c, double s) const {
		store(p.y, (i64)block() * p.rows.c + c, (float)(s / (double)p.rows.piece));
	}
};

template <class L> DEVICE void run_avg_pool(const AvgPool &p) {
	AvgPoolRows<L> body = {p};
	UNROLL for (int j = 0; j < L::N; j++)
		body.sum[j] = 0;
	if (!idle<L::N>(p.rows))
		body.reader.init(p.src, channel<L::N>(p.rows));
	walk<L::N, L::DEEP>(p.rows, body);
	columns<L::N>(p.rows, body.sum, body);
}
THREE(avg_pool, AvgPool, run_avg_pool, THREADS(256))
