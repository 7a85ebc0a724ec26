// Passes over activations, rows of c channels.
#include "rows.h"

// Apply: y = source.
struct Apply {
	Rows rows;
	Source src;
	Arr y;
};

template <class L> struct ApplyRows {
	const Apply &p;
	Reader<L::N> reader;
	template <int U> METHOD void go(u32, i64 i, i64 step) {
		L x[U];
		UNROLL for (int u = 0; u < U; u++)
			x[u].load(p.src.x, i + u * step);
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N];
			x[u].get(v);
			reader.read(v);
			L::put(p.y, i + u * step, v);
		}
	}
};

template <class L> DEVICE void run_apply(const Apply &p) {
	if (idle<L::N>(p.rows))
		return;
	ApplyRows<L> body = {p};
	body.reader.init(p.src, channel<L::N>(p.rows));
	walk<L::N, L::DEEP>(p.rows, body);
}
THREE(apply, Apply, run_apply, THREADS(256))

// ApplyGrad: y = a·d + b·y + k.
struct ApplyGrad {
	Rows rows;
	Grad grad;
	Arr y;
};

template <class L> struct ApplyGradRows {
	const ApplyGrad &p;
	float a[L::N], b[L::N], k[L::N];
	template <int U> METHOD void go(u32, i64 i, i64 step) {
		L d[U], y[U];
		UNROLL for (int u = 0; u < U; u++)
			d[u].load(p.grad.d, i + u * step);
		UNROLL for (int u = 0; u < U; u++)
			y[u].load(p.grad.y, i + u * step);
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N], t[L::N];
			d[u].get(v);
			y[u].get(t);
			UNROLL for (int j = 0; j < L::N; j++)
				v[j] = __builtin_fmaf(a[j], v[j], __builtin_fmaf(b[j], t[j], k[j]));
			L::put(p.y, i + u * step, v);
		}
	}
};

template <class L> DEVICE void run_apply_grad(const ApplyGrad &p) {
	if (idle<L::N>(p.rows))
		return;
	u32 c = channel<L::N>(p.rows);
	ApplyGradRows<L> body = {p};
	constants<L::N>(body.a, p.grad.a, c, 1);
	constants<L::N>(body.b, p.grad.b, c, 0);
	constants<L::N>(body.k, p.grad.k, c, 0);
	walk<L::N, L::DEEP>(p.rows, body);
}
THREE(apply_grad, ApplyGrad, run_apply_grad, BOUNDS(256, 3))

// AddReLU: y = a + b, as their sources read them, or max(0, a + b).
struct AddReLU {
	Rows rows;
	Source a, b;
	Arr y;
	u8 *signs; // that eight channels have a byte of; or 0
	u32 relu;
	u32 unused;
};

template <class L> struct AddReLURows {
	const AddReLU &p;
	Reader<L::N> ra, rb;
	float least;
	template <int U> METHOD void go(u32, i64 i, i64 step) {
		L a[U], b[U];
		UNROLL for (int u = 0; u < U; u++)
			a[u].load(p.a.x, i + u * step);
		UNROLL for (int u = 0; u < U; u++)
			b[u].load(p.b.x, i + u * step);
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N], t[L::N];
			a[u].get(v);
			b[u].get(t);
			ra.read(v);
			rb.read(t);
			UNROLL for (int j = 0; j < L::N; j++) {
				v[j] += t[j];
				v[j] = v[j] < least ? least : v[j];
			}
			L::put(p.y, i + u * step, v);
			if (L::N == 8 && p.signs)
				p.signs[(i + u * step) >> 3] = (u8)open8(v);
		}
	}
};

template <class L> DEVICE void run_add_relu(const AddReLU &p) {
	if (idle<L::N>(p.rows))
		return;
	AddReLURows<L> body = {p};
	body.ra.init(p.a, channel<L::N>(p.rows));
	body.rb.init(p.b, channel<L::N>(p.rows));
	body.least = p.relu ? 0 : from_bits(0xff800000);
	walk<L::N, L::DEEP>(p.rows, body);
}
THREE(add_relu, AddReLU, run_add_relu, BOUNDS(256, 2))

// Signs writes n bytes of signs of what is stored.
struct Signs {
	Arr y;
	u8 *signs;
	u64 n;
};

KERNEL THREADS(256) signs(const Signs p) {
	for (u64 i = (u64)block() * 256 + tid(); i < p.n; i += (u64)blocks() * 256) {
		float v[8];
		for (int j = 0; j < 8; j++)
			v[j] = load(p.y, (i64)(i * 8) + j);
		p.signs[i] = (u8)open8(v);
	}
}

// Axpy: y += a·x.
struct Axpy {
	Rows rows;
	Arr y, x;
	float a;
	u32 unused;
};

template <class L> struct AxpyRows {
	const Axpy &p;
	template <int U> METHOD void go(u32, i64 i, i64 step) {
		L x[U], y[U];
		UNROLL for (int u = 0; u < U; u++)
			x[u].load(p.x, i + u * step);
		UNROLL for (int u = 0; u < U; u++)
			y[u].load(p.y, i + u * step);
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N], t[L::N];
			y[u].get(v);
			x[u].get(t);
			UNROLL for (int j = 0; j < L::N; j++)
				v[j] = __builtin_fmaf(p.a, t[j], v[j]);
			L::put(p.y, i + u * step, v);
		}
	}
};

template <class L> DEVICE void run_axpy(const Axpy &p) {
	AxpyRows<L> body = {p};
	walk<L::N, L::DEEP>(p.rows, body);
}
THREE(axpy, Axpy, run_axpy, THREADS(256))

// Squares: Σ y and Σ y² of every column.
struct Squares {
	Rows rows;
	Arr y;
	double *partials;
};

template <class L> struct SquaresRows {
	const Squares &p;
	float a[L::N], b[L::N];
	template <int U> METHOD void go(u32, i64 i, i64 step) {
		L y[U];
		UNROLL for (int u = 0; u < U; u++)
			y[u].load(p.y, i + u * step);
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N];
			y[u].get(v);
			UNROLL for (int j = 0; j < L::N; j++) {
				a[j] += v[j];
				b[j] = __builtin_fmaf(v[j], v[j], b[j]);
			}
		}
	}
};

template <class L> DEVICE void run_squares(const Squares &p) {
	SquaresRows<L> body = {p};
	UNROLL for (int j = 0; j < L::N; j++)
		body.a[j] = body.b[j] = 0;
	walk<L::N, L::DEEP>(p.rows, body);
	keep_sums<L::N>(p.rows, p.partials, body.a, body.b);
}
THREE(squares, Squares, run_squares, BOUNDS(256, 4))

// FinishGrad finishes products: dx may be none, and then only sums are left. Where images
// have pixels, a row of the product is that of all of an image's, times share.
struct FinishGrad {
	Rows rows;
	Arr dx, product;
	Finish f;
	u32 pixels; // or 0
	float share;
};

template <class L, int KNOWN> struct FinishRows {
	const FinishGrad &p;
	Finisher<L, KNOWN> finisher;
	template <int U> METHOD void go(u32 row, i64 i, i64 step) {
		L product[U];
		typename Finisher<L, KNOWN>::Operands o[U];
		UNROLL for (int u = 0; u < U; u++) {
			i64 from = i + u * step;
			if (p.pixels) {
				u32 at = row + u * p.rows.high;
				from -= (i64)(at - at / p.pixels) * p.rows.c;
			}
			product[u].load(p.product, from);
			i64 plus = i + u * step;
			if (Finisher<L, KNOWN>::adds(p.f) && p.f.few) {
				int pixel = even_pixel(row + u * p.rows.high, p.f.h, p.f.w);
				plus = pixel < 0 ? -1 : (i64)pixel * p.rows.c + channel<L::N>(p.rows);
			}
			o[u].load(p.f, i + u * step, plus);
		}
		UNROLL for (int u = 0; u < U; u++) {
			float v[L::N];
			product[u].get(v);
			UNROLL for (int j = 0; j < L::N; j++)
				v[j] *= p.share;
			finisher.finish(o[u], p.dx, i + u * step, v);
		}
	}
};

template <class L, int U, int KNOWN> DEVICE void run_finish(const FinishGrad &p) {
	FinishRows<L, KNOWN> body = {p, Finisher<L, KNOWN>(p.f, p.rows)};
	walk<L::N, U>(p.rows, body);
	body.finisher.done(p.rows);
}
KERNEL BOUNDS(256, 2) finish_grad8(const FinishGrad p) { run_finish<Any8, 2, LOOK>(p); }
KERNEL BOUNDS(256, 2) finish_grad1(const FinishGrad p) { run_finish<Any1, 4, LOOK>(p); }

// Eight of bfloat16, for everything that there may be: s are signs, dots are o for an own
// one, m for the mask.
#define FINISH(name, U, KNOWN) \
	KERNEL BOUNDS(256, 2) name(const FinishGrad p) { run_finish<Half8, U, KNOWN>(p); }
FINISH(finish_, 4, 0)
FINISH(finish_a, 4, ADD)
FINISH(finish_m, 4, MASK)
FINISH(finish_am, 4, ADD + MASK)
FINISH(finish_o, 4, OWN_DOT *DOT)
FINISH(finish_ao, 4, ADD + OWN_DOT * DOT)
FINISH(finish_mo, 4, MASK + OWN_DOT * DOT)
FINISH(finish_amo, 4, ADD + MASK + OWN_DOT * DOT)
FINISH(finish_mm, 4, MASK + MASK_DOT * DOT)
FINISH(finish_amm, 4, ADD + MASK + MASK_DOT * DOT)
FINISH(finish_s, 4, SIGNS)
FINISH(finish_as, 4, ADD + SIGNS)
FINISH(finish_so, 4, SIGNS + OWN_DOT * DOT)
FINISH(finish_aso, 4, ADD + SIGNS + OWN_DOT * DOT)

// Reorder writes weights of rsc rows × k as k rows × rsc; or, back, adds the transpose of
// k × rsc to rsc × k. Blocks of 32 × 32, eight rows of threads.
struct Reorder {
	Arr to, from;
	u32 rsc, k;
	u32 back;
	u32 unused;
};

KERNEL THREADS(256) reorder(const Reorder p) {
	SHARED float tile[32][33];
	u32 x = tid() & 31, y = tid() >> 5;
	u32 k0 = block() * 32, r0 = block_y() * 32;
	for (u32 j = y; j < 32; j += 8) {
		if (p.back) {
			if (k0 + j < p.k && r0 + x < p.rsc)
				tile[j][x] = load(p.from, (i64)(k0 + j) * p.rsc + r0 + x);
		} else {
			if (r0 + j < p.rsc && k0 + x < p.k)
				tile[j][x] = load(p.from, (i64)(r0 + j) * p.k + k0 + x);
		}
	}
	sync();
	for (u32 j = y; j < 32; j += 8) {
		if (p.back) {
			i64 i = (i64)(r0 + j) * p.k + k0 + x;
			if (r0 + j < p.rsc && k0 + x < p.k)
				store(p.to, i, load(p.to, i) + tile[x][j]);
		} else if (k0 + j < p.k && r0 + x < p.rsc) {
			store(p.to, (i64)(k0 + j) * p.rsc + r0 + x, tile[x][j]);
		}
	}
}
