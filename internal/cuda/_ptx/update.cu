// Updates of all parameters at once. The members of a group are cut into pieces; a block
// takes one.
#include "kernel.h"

// Member is a parameter, as device.Member, and the copy in bfloat16 that products read.
struct Member {
	float *w, *g, *m, *v;
	u16 *copy; // or 0
	u64 n;
	u32 first; // its first piece
	u32 flags;
};
enum { DECAY = 1, STATIC = 2, FROZEN = 4, WIDE = 8 };

enum { PIECE = 8192 };

struct Group {
	const Member *members;
	const u32 *pieces; // whose each piece is
};

// Range is the part of a member that the block takes.
struct Range {
	i64 from, to, wide; // up to wide by four elements at a time
};

DEVICE Range range_of(const Member &x) {
	Range r;
	r.from = (i64)(block() - x.first) * PIECE;
	r.to = r.from + PIECE < (i64)x.n ? r.from + PIECE : (i64)x.n;
	r.wide = x.flags & WIDE ? r.from + (r.to - r.from) / 4 * 4 : r.from;
	return r;
}

struct alignas(16) Four {
	float v[4];
};

DEVICE Four four(const float *p, i64 i) { return *(const Four *)(p + i); }
DEVICE void put4(float *p, i64 i, const Four &v) { *(Four *)(p + i) = v; }

struct alignas(8) Two {
	u32 x, y;
};

DEVICE void copy4(u16 *p, i64 i, const Four &v) {
	Two t = {pack(v.v[0], v.v[1]), pack(v.v[2], v.v[3])};
	*(Two *)(p + i) = t;
}

DEVICE void copy1(u16 *p, i64 i, float v) { p[i] = (u16)pack(v, 0); }

// total adds v of all 256 threads in a fixed order and returns the sum to all.
DEVICE double total(double v, double *shared) {
	u32 t = tid();
	sync();
	shared[t] = v;
	for (u32 half = 128; half > 0; half >>= 1) {
		sync();
		if (t < half)
			shared[t] += shared[t + half];
	}
	sync();
	return shared[0];
}

// Sums leaves Σ w², Σ (g + decay·w)² and Σ g² of every piece. Of members without a ratio
// it leaves the last.
struct Sums {
	Group group;
	double *partial; // three of each piece
	float decay;
	u32 ratios; // there are any
};

KERNEL THREADS(256) update_sums(const Sums p) {
	SHARED double shared[256];
	const Member x = p.group.members[p.group.pieces[block()]];
	bool ratio = p.ratios && (x.flags & (DECAY | FROZEN)) == DECAY;
	Range r = range_of(x);
	float ww = 0, uu = 0, gg = 0;
	if (ratio) {
		UNROLL for (int k = 0; k < PIECE / 1024; k++) {
			i64 i = r.from + k * 1024 + tid() * 4;
			if (i < r.wide) {
				Four w = four(x.w, i), g = four(x.g, i);
				UNROLL for (int j = 0; j < 4; j++) {
					float u = __builtin_fmaf(p.decay, w.v[j], g.v[j]);
					ww += w.v[j] * w.v[j], uu += u * u, gg += g.v[j] * g.v[j];
				}
			}
		}
		for (i64 i = r.wide + tid(); i < r.to; i += 256) {
			float w = x.w[i], g = x.g[i], u = __builtin_fmaf(p.decay, w, g);
			ww += w * w, uu += u * u, gg += g * g;
		}
	} else {
		UNROLL for (int k = 0; k < PIECE / 1024; k++) {
			i64 i = r.from + k * 1024 + tid() * 4;
			if (i < r.wide) {
				Four g = four(x.g, i);
				UNROLL for (int j = 0; j < 4; j++)
					gg += g.v[j] * g.v[j];
			}
		}
		for (i64 i = r.wide + tid(); i < r.to; i += 256)
			gg += x.g[i] * x.g[i];
	}
	double s = total(gg, shared);
	if (tid() == 0)
		p.partial[3 * (u64)block() + 2] = s;
	if (!ratio)
		return;
	s = total(ww, shared);
	if (tid() == 0)
		p.partial[3 * (u64)block()] = s;
	s = total(uu, shared);
	if (tid() == 0)
		p.partial[3 * (u64)block() + 1] = s;
}

struct Ratio {
	float scale, decay;
};

// Ratios makes a member's sums of its pieces', and LARS's ratio of them; a block a member.
struct Ratios {
	Group group;
	const double *partial;
	Ratio *ratios;
	double *squares; // Σ g² of each member
	double decay, eta, eps;
	double lr[2]; // and of static members
	u32 has;      // there are any ratios
	u32 clip;
};

DEVICE double piece_sum(const Ratios &p, const Member &x, u32 which, double *shared) {
	u32 pieces = (u32)((x.n + PIECE - 1) / PIECE);
	double s = 0;
	for (u32 i = tid(); i < pieces; i += 256)
		s += p.partial[3 * (u64)(x.first + i) + which];
	return total(s, shared);
}

KERNEL THREADS(256) update_ratios(const Ratios p) {
	SHARED double shared[256];
	const Member x = p.group.members[block()];
	double gg = piece_sum(p, x, 2, shared);
	if (tid() == 0)
		p.squares[block()] = gg;
	if (!p.has || (x.flags & (DECAY | FROZEN)) != DECAY)
		return;
	double w = __nvvm_sqrt_rn_d(piece_sum(p, x, 0, shared)), g = __nvvm_sqrt_rn_d(piece_sum(p, x, 1, shared));
	if (tid() != 0)
		return;
	double q = 1, decay = p.decay;
	if (w == 0 || g == 0) {
		if (p.eps > 0)
			decay = 0;
	} else {
		q = p.eps > 0 ? p.eta * w / (g + p.decay * w + p.eps) : p.eta * w / g;
		if (p.clip) {
			q = q / (x.flags & STATIC ? p.lr[1] : p.lr[0]);
			q = q > 1 ? 1 : q;
		}
	}
	Ratio out = {(float)q, (float)decay};
	p.ratios[block()] = out;
}

// Norm is the length of all gradients, by one block.
struct Norm {
	const double *squares;
	double *norm;
	u32 members;
	u32 unused;
};

KERNEL THREADS(256) update_norm(const Norm p) {
	SHARED double shared[256];
	double s = 0;
	for (u32 i = tid(); i < p.members; i += 256)
		s += p.squares[i];
	s = total(s, shared);
	if (tid() == 0)
		*p.norm = __nvvm_sqrt_rn_d(s);
}

// Step changes the parameters.
struct Rates {
	float lr, decay;
	float keep, rate; // Adam's
};

struct Step {
	Group group;
	const Ratio *ratios;
	const double *norm;  // or 0; where it is not finite nothing is done
	Rates rates[4];      // by STATIC and DECAY
	float momentum;
	float beta1, rest1, beta2, rest2, root, eps;
	u32 has; // ratios count
};

DEVICE bool finite(const double *norm) { return !norm || *norm <= 1.7976931348623157e308; }

DEVICE Rates rates_of(const Step &p, const Member &x) {
	bool still = x.flags & STATIC, decays = x.flags & DECAY;
	Rates r;
	r.lr = still ? p.rates[1].lr : p.rates[0].lr;
	r.rate = still ? p.rates[1].rate : p.rates[0].rate;
	r.decay = decays ? p.rates[2].decay : p.rates[0].decay;
	r.keep = decays ? (still ? p.rates[3].keep : p.rates[2].keep) : (still ? p.rates[1].keep : p.rates[0].keep);
	return r;
}

enum { MOMENTUM, NESTEROV, ADAM };

// one changes one element.
template <int rule>
DEVICE void one(const Step &p, const Rates &r, float scale, float decay, float &w, float &m, float &v, float g) {
	if (rule == ADAM) {
		m = __builtin_fmaf(p.beta1, m, p.rest1 * g);
		v = __builtin_fmaf(p.beta2, v, p.rest2 * (g * g));
		w = r.keep * w - __nvvm_div_rn_f(r.rate * m, __builtin_fmaf(__nvvm_sqrt_rn_f(v), p.root, p.eps));
		return;
	}
	m = __builtin_fmaf(p.momentum, m, scale * __builtin_fmaf(decay, w, g));
	if (rule == NESTEROV) {
		w = __builtin_fmaf(-r.lr, g, w * (1 - r.lr * decay));
		w = __builtin_fmaf(-r.lr * p.momentum, m, w);
	} else {
		w = __builtin_fmaf(-r.lr, m, w);
	}
}

template <int rule>
DEVICE void step(const Step &p) {
	u32 member = p.group.pieces[block()];
	const Member x = p.group.members[member];
	if ((x.flags & FROZEN) || !finite(p.norm))
		return;
	const Rates rates = rates_of(p, x);
	float scale = 1, decay = rates.decay;
	if (rule == MOMENTUM) {
		const Ratio q = p.ratios[member];
		bool has = p.has && (x.flags & DECAY);
		scale = has ? q.scale : 1;
		decay = has ? q.decay : decay;
	}
	Range r = range_of(x);
	UNROLL for (int k = 0; k < PIECE / 1024; k++) {
		i64 i = r.from + k * 1024 + tid() * 4;
		if (i < r.wide) {
			Four w = four(x.w, i), m = four(x.m, i), g = four(x.g, i), v = {};
			if (rule == ADAM)
				v = four(x.v, i);
			UNROLL for (int j = 0; j < 4; j++)
				one<rule>(p, rates, scale, decay, w.v[j], m.v[j], v.v[j], g.v[j]);
			put4(x.w, i, w);
			put4(x.m, i, m);
			if (rule == ADAM)
				put4(x.v, i, v);
			if (x.copy)
				copy4(x.copy, i, w);
		}
	}
	for (i64 i = r.wide + tid(); i < r.to; i += 256) {
		float w = x.w[i], m = x.m[i], v = 0;
		if (rule == ADAM)
			v = x.v[i];
		one<rule>(p, rates, scale, decay, w, m, v, x.g[i]);
		x.w[i] = w, x.m[i] = m;
		if (rule == ADAM)
			x.v[i] = v;
		if (x.copy)
			copy1(x.copy, i, w);
	}
}

KERNEL THREADS(256) update_momentum(const Step p) { step<MOMENTUM>(p); }
KERNEL THREADS(256) update_nesterov(const Step p) { step<NESTEROV>(p); }
KERNEL THREADS(256) update_adam(const Step p) { step<ADAM>(p); }

// Blend: w = keep·w + take·g.
struct Blend {
	Group group;
	float keep, take;
};

KERNEL THREADS(256) update_blend(const Blend p) {
	const Member x = p.group.members[p.group.pieces[block()]];
	Range r = range_of(x);
	UNROLL for (int k = 0; k < PIECE / 1024; k++) {
		i64 i = r.from + k * 1024 + tid() * 4;
		if (i < r.wide) {
			Four w = four(x.w, i), g = four(x.g, i);
			UNROLL for (int j = 0; j < 4; j++)
				w.v[j] = __builtin_fmaf(p.keep, w.v[j], p.take * g.v[j]);
			put4(x.w, i, w);
			if (x.copy)
				copy4(x.copy, i, w);
		}
	}
	for (i64 i = r.wide + tid(); i < r.to; i += 256) {
		float w = __builtin_fmaf(p.keep, x.w[i], p.take * x.g[i]);
		x.w[i] = w;
		if (x.copy)
			copy1(x.copy, i, w);
	}
}

// Clear: g = 0.
struct Clear {
	Group group;
};

KERNEL THREADS(256) update_clear(const Clear p) {
	const Member x = p.group.members[p.group.pieces[block()]];
	Range r = range_of(x);
	for (i64 i = r.from + tid() * 4; i < r.wide; i += 1024) {
		Four zero = {};
		put4(x.g, i, zero);
	}
	for (i64 i = r.wide + tid(); i < r.to; i += 256)
		x.g[i] = 0;
}
