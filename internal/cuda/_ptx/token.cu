// Passes over rows of c channels around the dense layers of transformers, and what turns images
// and numbers into such rows, and rows of a sequence into one.
#include "special.h"

// GELU: y = gelu(x).
struct Gelu {
	Arr y, x;
	u64 n;
};

KERNEL THREADS(256) gelu_8(const Gelu p) {
	for (i64 i = ((i64)block() * 256 + tid()) * 8; i < p.n; i += (i64)blocks() * 256 * 8) {
		float v[8];
		load8(p.x, i, v);
		UNROLL for (int j = 0; j < 8; j++)
			v[j] = gelu(v[j]);
		store8(p.y, i, v);
	}
}

KERNEL THREADS(256) gelu_1(const Gelu p) {
	for (i64 i = (i64)block() * 256 + tid(); i < p.n; i += (i64)blocks() * 256)
		store(p.y, i, gelu(load(p.x, i)));
}

// The backward: dx = d·gelu′(u), u = gelu(u). dx may be d.
struct GeluGrad {
	Arr dx, d, u;
	u64 n;
};

KERNEL THREADS(256) gelu_grad_8(const GeluGrad p) {
	for (i64 i = ((i64)block() * 256 + tid()) * 8; i < p.n; i += (i64)blocks() * 256 * 8) {
		float d[8], u[8];
		load8(p.d, i, d);
		load8(p.u, i, u);
		UNROLL for (int j = 0; j < 8; j++) {
			float phi = normal(u[j]);
			d[j] *= slope(u[j], phi);
			u[j] *= phi;
		}
		store8(p.dx, i, d);
		store8(p.u, i, u);
	}
}

KERNEL THREADS(256) gelu_grad_1(const GeluGrad p) {
	for (i64 i = (i64)block() * 256 + tid(); i < p.n; i += (i64)blocks() * 256) {
		float u = load(p.u, i), phi = normal(u);
		store(p.dx, i, load(p.d, i) * slope(u, phi));
		store(p.u, i, u * phi);
	}
}

// What follows a product: y = x + bias + add. y may be x or add.
struct Join {
	Arr y, x, add;     // add may be none
	const float *bias; // c, or 0
	u64 n;
	u32 c;
	u32 unused;
};

// Eight elements a thread; c is a multiple of 8.
KERNEL THREADS(256) join_8(const Join p) {
	u32 of = p.c / 8;
	for (i64 q = (i64)block() * 256 + tid(); q * 8 < p.n; q += (i64)blocks() * 256) {
		float v[8], w[8];
		u32 c = (u32)q % of * 8;
		load8(p.x, q * 8, v);
		if (p.bias) {
			UNROLL for (int j = 0; j < 8; j++)
				v[j] += p.bias[c + j];
		}
		if (p.add.p) {
			load8(p.add, q * 8, w);
			UNROLL for (int j = 0; j < 8; j++)
				v[j] += w[j];
		}
		store8(p.y, q * 8, v);
	}
}

KERNEL THREADS(256) join_1(const Join p) {
	for (i64 i = (i64)block() * 256 + tid(); i < p.n; i += (i64)blocks() * 256) {
		float v = load(p.x, i);
		if (p.bias)
			v += p.bias[i % p.c];
		if (p.add.p)
			v += load(p.add, i);
		store(p.y, i, v);
	}
}

// Sums of rows: part[g] is the sum of rows g·group + k·step, k below count, of those there are.
struct Sums {
	Arr x;
	float *part;
	u64 n; // rows
	u64 group, step, count;
	u32 c;
	u32 unused;
};

// A block has a group and 32 · W channels; its warps take rows in turn.
template <int W> DEVICE void sums(const Sums &p) {
	SHARED float shares[8][32 * W];
	u32 warp = tid() >> 5, first = block_y() * 32 * W, c = first + lane() * W;
	float v[W], sum[W];
	UNROLL for (int j = 0; j < W; j++)
		sum[j] = 0;
	if (c < p.c) {
		for (u64 k = warp; k < p.count; k += 8) {
			u64 r = block() * p.group + k * p.step;
			if (r >= p.n)
				break;
			if constexpr (W == 8)
				load8(p.x, r * p.c + c, v);
			else
				v[0] = load(p.x, r * p.c + c);
			UNROLL for (int j = 0; j < W; j++)
				sum[j] += v[j];
		}
	}
	UNROLL for (int j = 0; j < W; j++)
		shares[warp][lane() + 32 * j] = sum[j];
	sync();
	u32 at = first + lane() * W + warp;
	if (warp < W && at < p.c) {
		float v = 0;
		for (int w = 0; w < 8; w++)
			v += shares[w][tid()];
		p.part[(i64)block() * p.c + at] = v;
	}
}

KERNEL THREADS(256) sums_8(const Sums p) { sums<8>(p); }
KERNEL THREADS(256) sums_1(const Sums p) { sums<1>(p); }

// Pieces adds sums of pieces up: to[y][c] += Σ part[i·stride + y·c + c], in order.
struct Pieces {
	float *to[2]; // c each, or 0
	const float *part;
	u64 pieces;
	u32 c, stride;
};

KERNEL THREADS(256) pieces(const Pieces p) {
	SHARED double shares[8][32];
	u32 warp = tid() >> 5, c = block() * 32 + lane();
	float *to = p.to[block_y()];
	if (!to)
		return;
	double sum = 0;
	if (c < p.c) {
		for (u64 i = warp; i < p.pieces; i += 8)
			sum += p.part[i * p.stride + block_y() * p.c + c];
	}
	shares[warp][lane()] = sum;
	sync();
	if (warp == 0 && c < p.c) {
		for (int w = 1; w < 8; w++)
			sum += shares[w][lane()];
		to[c] += (float)sum;
	}
}

// Images as tokens: y = position + class, or position + (x + bias).
struct Patches {
	Arr y, x;
	const float *position, *cls, *bias; // cls may be 0
	u64 rows;                           // of y
	u32 tokens, c;                      // of an image; channels
};

KERNEL THREADS(256) patches(const Patches p) {
	u32 extra = p.cls != 0, c = block_y() * 256 + tid();
	if (c >= p.c)
		return;
	for (i64 r = block(); r < p.rows; r += blocks()) {
		u32 image = (u32)r / p.tokens, k = (u32)r % p.tokens;
		float v = p.position[k * p.c + c];
		if (k < extra)
			v += p.cls[c];
		else
			v += load(p.x, ((i64)image * (p.tokens - extra) + k - extra) * p.c + c) + p.bias[c];
		store(p.y, r * p.c + c, v);
	}
}

// Close copies rows of all tokens but the first of each image.
struct Close {
	Arr to, from; // of one type
	u64 rows;     // of to
	u32 tokens, c;
};

KERNEL THREADS(256) close(const Close p) {
	u32 c = block_y() * 256 + tid();
	if (c >= p.c)
		return;
	for (i64 r = block(); r < p.rows; r += blocks())
		store(p.to, r * p.c + c, load(p.from, (r + (u32)r / (p.tokens - 1) + 1) * p.c + c));
}

// One row for each sequence, rows [starts[i], starts[i+1]) of x: their mean, or the first.
struct Sequences {
	Arr y, x; // n × c, rows × c
	const int *starts;
	u32 c, first;
};

KERNEL THREADS(256) sequence_mean(const Sequences p) {
	SHARED float shares[8][32];
	u32 warp = tid() >> 5, c = block_y() * 32 + lane();
	int from = p.starts[block()], to = p.starts[block() + 1];
	if (p.first && to > from + 1)
		to = from + 1;
	float sum = 0;
	if (c < p.c) {
		for (int r = from + (int)warp; r < to; r += 8)
			sum += load(p.x, (i64)r * p.c + c);
	}
	shares[warp][lane()] = sum;
	sync();
	if (warp == 0 && c < p.c) {
		for (int w = 1; w < 8; w++)
			sum += shares[w][lane()];
		store(p.y, (i64)block() * p.c + c, to > from ? sum * (1 / (float)(to - from)) : 0);
	}
}

// The backward: x is the gradient that is written, y the one that is read.
KERNEL THREADS(256) sequence_mean_grad(const Sequences p) {
	u32 c = block_y() * 32 + lane();
	int from = p.starts[block()], to = p.starts[block() + 1];
	if (c >= p.c || from == to)
		return;
	float d = load(p.y, (i64)block() * p.c + c);
	if (!p.first)
		d *= 1 / (float)(to - from);
	for (int r = from + (int)(tid() >> 5); r < to; r += 8)
		store(p.x, (i64)r * p.c + c, p.first && r > from ? 0 : d);
}
