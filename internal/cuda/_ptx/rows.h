// Passes over rows of c channels: how a block goes through its rows, how threads read and
// write a few channels at once, and sums down the columns.
#pragma once
#include "kernel.h"

#define METHOD __attribute__((device, always_inline))

enum { BLOCK = 256 };

// Rows is a cut of rows × c among blocks, as cut in sums.go: block x has piece rows of
// them, block y wide vectors of N channels. A thread keeps to one vector and walks down
// the rows, high at a time.
struct Rows {
	u32 rows, c;
	u32 wide, high;
	u32 piece;
	u32 unused;
};

// channel is the first of a thread's channels; it has none from c on.
template <int N> DEVICE u32 channel(const Rows &r) { return (block_y() * r.wide + tid() % r.wide) * N; }
template <int N> DEVICE bool idle(const Rows &r) { return tid() >= r.wide * r.high || channel<N>(r) >= r.c; }

// walk goes down a thread's rows, U at a time: go<U> gets the first row, where its channels
// are, and how far the next row of the thread is.
template <int N, int U, class Body> DEVICE void walk(const Rows &r, Body &body) {
	if (idle<N>(r))
		return;
	u32 row = block() * r.piece, end = row + r.piece < r.rows ? row + r.piece : r.rows;
	row += tid() / r.wide;
	i64 i = (i64)row * r.c + channel<N>(r), step = (i64)r.high * r.c;
	for (; row + (U - 1) * r.high < end; row += U * r.high, i += U * step)
		body.template go<U>(row, i, step);
	if (U > 1) {
		for (; row < end; row += r.high, i += step)
			body.template go<1>(row, i, step);
	}
}

// What a thread reads at once: load queues it, get has the values. put stores values and
// leaves in them what is stored. DEEP is how many it may well have under way.

// Eight of bfloat16.
struct Half8 {
	enum { N = 8, DEEP = 4 };
	Quad q;
	METHOD void clear() { q = {0, 0, 0, 0}; }
	METHOD void load(const Arr &a, i64 i) { q = *(const Quad *)(a.p + 2 * i); }
	METHOD void get(float v[8]) const {
		v[0] = low(q.x), v[1] = high(q.x), v[2] = low(q.y), v[3] = high(q.y);
		v[4] = low(q.z), v[5] = high(q.z), v[6] = low(q.w), v[7] = high(q.w);
	}
	static METHOD void put(const Arr &a, i64 i, float v[8]) {
		Half8 h = {{pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7])}};
		*(Quad *)(a.p + 2 * i) = h.q;
		h.get(v);
	}
};

// Eight of either type.
struct Any8 {
	enum { N = 8, DEEP = 2 };
	float x[8];
	METHOD void clear() {
		UNROLL for (int j = 0; j < 8; j++)
			x[j] = 0;
	}
	METHOD void load(const Arr &a, i64 i) { load8(a, i, x); }
	METHOD void get(float v[8]) const {
		UNROLL for (int j = 0; j < 8; j++)
			v[j] = x[j];
	}
	static METHOD void put(const Arr &a, i64 i, float v[8]) {
		if (a.type == BFLOAT16)
			Half8::put(a, i, v);
		else
			store8(a, i, v);
	}
};

// One of either type.
struct Any1 {
	enum { N = 1, DEEP = 4 };
	float x;
	METHOD void clear() { x = 0; }
	METHOD void load(const Arr &a, i64 i) { x = ::load(a, i); }
	METHOD void get(float v[1]) const { v[0] = x; }
	static METHOD void put(const Arr &a, i64 i, float v[1]) {
		store(a, i, v[0]);
		if (a.type == BFLOAT16)
			v[0] = low(pack(v[0], 0));
	}
};

// three declares a kernel for the three of them: name8h, name8 and name1.
#define THREE(name, Params, run, bounds) \
	KERNEL bounds name##8h(const Params p) { run<Half8>(p); } \
	KERNEL bounds name##8(const Params p) { run<Any8>(p); } \
	KERNEL bounds name##1(const Params p) { run<Any1>(p); }

// constants reads a thread's values of channels; absent stands for those of no array.
template <int N> DEVICE void constants(float v[N], const float *p, u32 c, float absent) {
	UNROLL for (int j = 0; j < N; j++)
		v[j] = absent;
	if (!p)
		return;
	if (N == 1) {
		v[0] = p[c];
		return;
	}
	UNROLL for (int j = 0; j + 4 <= N; j += 4) {
		Quad q = *(const Quad *)(p + c + j);
		v[j] = from_bits(q.x), v[j + 1] = from_bits(q.y), v[j + 2] = from_bits(q.z), v[j + 3] = from_bits(q.w);
	}
}

// Reader is a Source with a thread's constants. NaN stays NaN.
template <int N> struct Reader {
	float scale[N], shift[N], least;
	METHOD void init(const Source &s, u32 c) {
		constants<N>(scale, s.scale, c, 1);
		constants<N>(shift, s.shift, c, -0.0f);
		least = s.relu ? 0 : from_bits(0xff800000);
	}
	METHOD void read(float v[N]) const {
		UNROLL for (int j = 0; j < N; j++) {
			v[j] = __builtin_fmaf(v[j], scale[j], shift[j]);
			v[j] = v[j] < least ? least : v[j];
		}
	}
};

// columns adds up what the threads of a block have of each column, in float64, and hands
// the sum of channel c to put(c, sum). All threads of the block must come here.
template <int N, class Put> DEVICE void columns(const Rows &r, const float v[N], const Put &put) {
	enum { APART = BLOCK + 4 }; // keeps threads on different banks
	SHARED float parts[N * APART];
	sync();
	UNROLL for (int j = 0; j < N; j++)
		parts[j * APART + tid()] = v[j];
	sync();
	u32 first = block_y() * r.wide * N;
	for (u32 k = tid(); k < r.wide * N; k += BLOCK) {
		if (first + k >= r.c)
			break;
		const float *at = parts + k % N * APART + k / N;
		double sum = 0;
		for (u32 y = 0; y < r.high; y++)
			sum += (double)at[y * r.wide];
		put.put(first + k, sum);
	}
}

// Partial keeps the sums of a piece: Σ a, then Σ b, of c channels each.
struct Partial {
	double *to;
	METHOD void put(u32 c, double sum) const { to[c] = sum; }
};

template <int N> DEVICE void keep_sums(const Rows &r, double *partials, const float a[N], const float b[N]) {
	double *to = partials + (u64)block() * 2 * r.c;
	columns<N>(r, a, Partial{to});
	columns<N>(r, b, Partial{to + r.c});
}

// Finish is device.Finish. The dot may be what is read as the mask already.
enum { NO_DOT = 0, OWN_DOT = 1, MASK_DOT = 2 };
struct Finish {
	Arr add;
	Source mask; // x may be bits
	Arr dot;
	double *partials; // pieces × 2 × c, or 0: no sums
	u32 dot_is;
	u32 few; // add is of pixels of even row and column, of images of h × w
	u32 h, w;
};

// What a kernel knows of a Finish when it is compiled: what there is of ADD, MASK and SIGNS,
// and which dot times DOT; or that it has to look.
enum { ADD = 1, MASK = 2, DOT = 4, SIGNS = 16, LOOK = -1 };

// Finisher does what a Finish says, with the constants and sums of a thread.
template <class L, int KNOWN = LOOK> struct Finisher {
	enum { N = L::N };
	const Finish &f;
	float scale[N], shift[N], a[N], b[N];

	static METHOD bool adds(const Finish &f) { return KNOWN == LOOK ? f.add.p != 0 : (KNOWN & ADD) != 0; }
	static METHOD bool masks(const Finish &f) { return KNOWN == LOOK ? f.mask.x.p && f.mask.x.type != BITS : (KNOWN & MASK) != 0; }
	static METHOD bool signs(const Finish &f) { return KNOWN == LOOK ? f.mask.x.type == BITS : (KNOWN & SIGNS) != 0; }
	static METHOD u32 dots(const Finish &f) { return KNOWN == LOOK ? f.dot_is : KNOWN / DOT % 4; }

	METHOD Finisher(const Finish &f, const Rows &r) : f(f) {
		UNROLL for (int j = 0; j < N; j++)
			a[j] = b[j] = scale[j] = shift[j] = 0;
		if (masks(f) && !idle<N>(r)) {
			constants<N>(scale, f.mask.scale, channel<N>(r), 1);
			constants<N>(shift, f.mask.shift, channel<N>(r), 0);
		}
	}

	// Operands are what it reads of an element.
	struct Operands {
		L add, mask, dot;
		u32 open;
		METHOD void load(const Finish &f, i64 i) { load(f, i, i); }
		// Where nothing is added, plus is -1.
		METHOD void load(const Finish &f, i64 i, i64 plus) {
			if (adds(f)) {
				if (plus >= 0)
					add.load(f.add, plus);
				else
					add.clear();
			}
			if (masks(f))
				mask.load(f.mask.x, i);
			if (signs(f))
				open = (u32)((const u8 *)f.mask.x.p)[i >> 3] >> (N == 8 ? 0 : i & 7);
			if (dots(f) == OWN_DOT)
				dot.load(f.dot, i);
		}
	};

	// finish makes the gradient of the product v, which goes to element i of dx unless that
	// is none.
	METHOD void finish(const Operands &o, const Arr &dx, i64 i, float v[N]) {
		float t[N];
		if (adds(f)) {
			o.add.get(t);
			UNROLL for (int j = 0; j < N; j++)
				v[j] += t[j];
		}
		if (masks(f)) {
			o.mask.get(t);
			UNROLL for (int j = 0; j < N; j++)
				v[j] = __builtin_fmaf(t[j], scale[j], shift[j]) <= 0 ? 0 : v[j];
		}
		if (signs(f)) {
			UNROLL for (int j = 0; j < N; j++)
				v[j] = o.open >> j & 1 ? v[j] : 0;
		}
		if (dx.p)
			L::put(dx, i, v);
		if (dots(f) == NO_DOT)
			return;
		if (dots(f) == OWN_DOT)
			o.dot.get(t);
		else
			o.mask.get(t);
		UNROLL for (int j = 0; j < N; j++) {
			a[j] += v[j];
			b[j] = __builtin_fmaf(v[j], t[j], b[j]);
		}
	}

	METHOD void done(const Rows &r) const {
		if (dots(f) != NO_DOT)
			keep_sums<N>(r, f.partials, a, b);
	}
};
