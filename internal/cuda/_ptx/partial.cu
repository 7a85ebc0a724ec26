// Sums of what the pieces of a product left.
#include "mma.h"

// Fold: to = sums of each 64 rows of partials, pieces × n. A block has 32 of the columns.
struct Fold {
	const float *partials;
	double *to;
	u32 pieces, n;
};

KERNEL THREADS(256) fold(const Fold p) {
	SHARED double part[8][32];
	u32 x = tid() & 31, y = tid() >> 5, col = block() * 32 + x, chunk = block_y();
	u32 end = chunk * 64 + 64 < p.pieces ? chunk * 64 + 64 : p.pieces;
	double v = 0;
	if (col < p.n) {
		_Pragma("unroll 8") for (u32 i = chunk * 64 + y; i < end; i += 8)
			v += p.partials[(u64)i * p.n + col];
	}
	part[y][x] = v;
	sync();
	if (y != 0 || col >= p.n)
		return;
	v = 0;
	UNROLL for (int i = 0; i < 8; i++)
		v += part[i][x];
	p.to[(u64)chunk * p.n + col] = v;
}

// AddWeights: to += sums of the rows of partials, pieces × n. n is a multiple of 4; a block
// has 128 of the columns.
struct AddWeights {
	const float *partials;
	float *to;
	u64 n;
	u32 pieces;
	u32 unused;
};

KERNEL THREADS(256) add_weights(const AddWeights p) {
	SHARED Quad part[256];
	u32 x = tid() & 31, y = tid() >> 5;
	u64 col = (u64)block() * 128 + x * 4;
	float v[4] = {0, 0, 0, 0};
	if (col < p.n) {
_Pragma("unroll 4") for (u32 i = y; i < p.pieces; i += 8) {
			Quad q = global_load((const char *)(p.partials + i * p.n + col));
			v[0] += from_bits(q.x), v[1] += from_bits(q.y), v[2] += from_bits(q.z), v[3] += from_bits(q.w);
		}
	}
	part[tid()] = {bits(v[0]), bits(v[1]), bits(v[2]), bits(v[3])};
	sync();
	if (y != 0 || col >= p.n)
		return;
	Quad q = global_load((const char *)(p.to + col));
	float w[4] = {0, 0, 0, 0};
	UNROLL for (int i = 0; i < 8; i++) {
		Quad r = part[i * 32 + x];
		w[0] += from_bits(r.x), w[1] += from_bits(r.y), w[2] += from_bits(r.z), w[3] += from_bits(r.w);
	}
	global_store((char *)(p.to + col), {bits(from_bits(q.x) + w[0]), bits(from_bits(q.y) + w[1]),
	                                    bits(from_bits(q.z) + w[2]), bits(from_bits(q.w) + w[3])});
}
