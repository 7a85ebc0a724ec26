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

template <class L> struct MaxPoolRows {
	enum { N = L::N };
	const MaxPool &p;
	Reader<N> reader;
	float v[N];
	u32 at[N];

	template <int U> METHOD void go(u32 row, i64 i, i64) {
		const Windows &w = p.win;
		u32 ox = row % w.ow, rest = row / w.ow, oy = rest % w.oh, image = rest / w.oh;
		int y0 = (int)(oy * w.stride) - (int)w.pad, x0 = (int)(ox * w.stride) - (int)w.pad_w;
		i64 from = (((i64)image * w.h + y0) * w.w + x0) * p.rows.c + channel<N>(p.rows);
		plain(y0, x0, from);
		L::put(p.y, i, v);
		put_places<N>(p.argmax + i, at);
	}
	METHOD bool inside(int y, int x) const { return (u32)y < p.win.h && (u32)x < p.win.w; }
	METHOD void start(int y0, int x0, float least) {
		u32 first = (y0 < 0 ? -y0 : 0) * p.win.s + (x0 < 0 ? -x0 : 0);
		UNROLL for (int j = 0; j < N; j++) {
			v[j] = least;
			at[j] = first;
		}
	}
	// Of equal values the first is taken, of those that are not numbers the last.
	METHOD void plain(int y0, int x0, i64 from) {
		start(y0, x0, from_bits(0xff800000));
		for (u32 r = 0; r < p.win.r; r++) {
			for (u32 s = 0; s < p.win.s; s++) {
				if (!inside(y0 + (int)r, x0 + (int)s))
					continue;
				L x;
				float t[N];
				x.load(p.src.x, from + ((i64)r * p.win.w + s) * p.rows.c);
				x.get(t);
				reader.read(t);
				UNROLL for (int j = 0; j < N; j++) {
					if (t[j] > v[j] || t[j] != t[j]) {
						v[j] = t[j];
						at[j] = r * p.win.s + s;
					}
				}
			}
		}
	}
};

template <class L, class Body> DEVICE void run_max_pool(const MaxPool &p) {
	if (idle<L::N>(p.rows))
		return;
	Body body = {p};
	body.reader.init(p.src, channel<L::N>(p.rows));
	walk<L::N, 1>(p.rows, body);
}
template <class L> DEVICE void run_max_pool_any(const MaxPool &p) { run_max_pool<L, MaxPoolRows<L>>(p); }
THREE(max_pool, MaxPool, run_max_pool_any, BOUNDS(256, 2))

// MaxPoolThree is for windows of 3 × 3, of which all is under way at once. The ReLU is left
// to the start: where nothing is above zero, the first pixel is taken.
struct MaxPoolThree : MaxPoolRows<Half8> {
	template <int U> METHOD void go(u32 row, i64 i, i64) {
		const Windows &w = p.win;
		u32 ox = row % w.ow, rest = row / w.ow, oy = rest % w.oh, image = rest / w.oh;
		int y0 = (int)(oy * w.stride) - (int)w.pad, x0 = (int)(ox * w.stride) - (int)w.pad_w;
		i64 from = (((i64)image * w.h + y0) * w.w + x0) * p.rows.c + channel<8>(p.rows);
		Half8 x[9];
		UNROLL for (int k = 0; k < 9; k++) {
			if (inside(y0 + k / 3, x0 + k % 3))
				x[k].load(p.src.x, from + ((i64)(k / 3) * w.w + k % 3) * p.rows.c);
		}
		start(y0, x0, reader.least);
		float none[8];
		UNROLL for (int j = 0; j < 8; j++)
			none[j] = 0;
		UNROLL for (int k = 0; k < 9; k++) {
			if (!inside(y0 + k / 3, x0 + k % 3))
				continue;
			float t[8];
			x[k].get(t);
			UNROLL for (int j = 0; j < 8; j++) {
				t[j] = __builtin_fmaf(t[j], reader.scale[j], reader.shift[j]);
				none[j] = __builtin_fmaf(t[j], 0, none[j]);
				at[j] = t[j] > v[j] ? k : at[j];
				v[j] = t[j] > v[j] ? t[j] : v[j];
			}
		}
		UNROLL for (int j = 1; j < 8; j++)
			none[0] += none[j];
		if (none[0] != 0) // some are not numbers, or infinite
			plain(y0, x0, from);
		L::put(p.y, i, v);
		put_places<8>(p.argmax + i, at);
	}
	typedef Half8 L;
};
KERNEL BOUNDS(256, 2) max_pool_three(const MaxPool p) { run_max_pool<Half8, MaxPoolThree>(p); }

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
	METHOD bool is(int j, u32 place) const {
		return ((word[j / 4] ^ place * 0x01010101) & 255u << 8 * (j % 4)) == 0;
	}
};

template <class L> struct MaxPoolGradRows {
	const MaxPoolGrad &p;
	Finisher<L> finisher;
	template <int U> METHOD void go(u32 row, i64 i, i64) {
		const Windows &w = p.win;
		typename Finisher<L>::Operands o;
		o.load(p.f, i);
		int stride = w.stride, r_n = w.r, s_n = w.s;
		u32 rest = row / w.w, image = rest / w.h;
		int x = (int)(row % w.w + w.pad_w), y = (int)(rest % w.h + w.pad);
		int y0 = y < r_n ? 0 : (y - r_n) / stride + 1, y1 = y / stride + 1;
		int x0 = x < s_n ? 0 : (x - s_n) / stride + 1, x1 = x / stride + 1;
		y1 = y1 < (int)w.oh ? y1 : w.oh;
		x1 = x1 < (int)w.ow ? x1 : w.ow;
		i64 from = (i64)image * w.oh * w.ow * p.rows.c + channel<L::N>(p.rows);
		float v[L::N];
		UNROLL for (int j = 0; j < L::N; j++)
			v[j] = 0;
		for (int oy = y0; oy < y1; oy++) {
			for (int ox = x0; ox < x1; ox++) {
				i64 e = from + ((i64)oy * w.ow + ox) * p.rows.c;
				u32 tap = (y - oy * stride) * s_n + x - ox * stride;
				L d;
				Places<L::N> at;
				d.load(p.d, e);
				at.load(p.argmax + e);
				float t[L::N];
				d.get(t);
				UNROLL for (int j = 0; j < L::N; j++)
					v[j] += at.is(j, tap) ? t[j] : 0;
			}
		}
		finisher.finish(o, p.dx, i, v);
	}
};

template <class L> DEVICE void run_max_pool_grad(const MaxPoolGrad &p) {
	MaxPoolGradRows<L> body = {p, Finisher<L>(p.f, p.rows)};
	walk<L::N, 1>(p.rows, body);
	body.finisher.done(p.rows);
}
THREE(max_pool_grad, MaxPoolGrad, run_max_pool_grad, BOUNDS(256, 2))

// MaxPoolGradThree is for windows of 3 × 3 at every second pixel, with a border of one. A
// row is then four pixels: of the windows that they are in, the first has its middle at the
// first pixel, and the four share four.
template <int KNOWN> struct MaxPoolGradThree {
	const MaxPoolGrad &p;
	Finisher<Half8, KNOWN> finisher;
	template <int U> METHOD void go(u32 row, i64, i64) {
		const Windows &w = p.win;
		u32 across = (w.w + 1) / 2, down = (w.h + 1) / 2;
		u32 b = row % across, rest = row / across, a = rest % down, image = rest / down;
		u32 c = channel<8>(p.rows);
		i64 to = (((i64)image * w.h + 2 * a) * w.w + 2 * b) * p.rows.c + c;
		i64 from = (((i64)image * w.oh + a) * w.ow + b) * p.rows.c + c;
		bool right = 2 * b + 1 < w.w, low = 2 * a + 1 < w.h;
		Half8 d[4];
		Places<8> at[4];
		typename Finisher<Half8, KNOWN>::Operands o[4];
		UNROLL for (int k = 0; k < 4; k++) {
			d[k].q = {0, 0, 0, 0};
			at[k].word[0] = at[k].word[1] = 0;
			if (a + k / 2 < w.oh && b + k % 2 < w.ow) {
				i64 e = from + ((i64)(k / 2) * w.ow + k % 2) * p.rows.c;
				d[k].load(p.d, e);
				at[k].load(p.argmax + e);
			}
		}
		UNROLL for (int k = 0; k < 4; k++) {
			if ((k < 2 || low) && (k % 2 == 0 || right))
				o[k].load(p.f, to + ((i64)(k / 2) * w.w + k % 2) * p.rows.c);
		}
		// Pixel (y, x) of the four is at (y + 1 − 2·wy, x + 1 − 2·wx) of window (wy, wx).
		UNROLL for (int y = 0; y < 2; y++) {
			UNROLL for (int x = 0; x < 2; x++) {
				if ((y && !low) || (x && !right))
					continue;
				float v[8], t[8];
				UNROLL for (int j = 0; j < 8; j++)
					v[j] = 0;
				UNROLL for (int k = 0; k < 4; k++) {
					if (k / 2 > y || k % 2 > x)
						continue;
					d[k].get(t);
					UNROLL for (int j = 0; j < 8; j++)
						v[j] += at[k].is(j, (y + 1 - k / 2 * 2) * 3 + x + 1 - k % 2 * 2) ? t[j] : 0;
				}
				finisher.finish(o[2 * y + x], p.dx, to + ((i64)y * w.w + x) * p.rows.c, v);
			}
		}
	}
};

template <int KNOWN> DEVICE void run_max_pool_grad_three(const MaxPoolGrad &p) {
	MaxPoolGradThree<KNOWN> body = {p, Finisher<Half8, KNOWN>(p.f, p.rows)};
	walk<8, 1>(p.rows, body);
	body.finisher.done(p.rows);
}
KERNEL THREADS(256) max_pool_grad_three(const MaxPoolGrad p) { run_max_pool_grad_three<LOOK>(p); }
KERNEL BOUNDS(256, 2) max_pool_grad_three_mm(const MaxPoolGrad p) {
	run_max_pool_grad_three<MASK + MASK_DOT * DOT>(p);
}

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
