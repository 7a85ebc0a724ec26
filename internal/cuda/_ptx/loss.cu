// VICReg's loss, as package loss defines it. Matrices are n × d; of the centred embeddings
// Zc libraries make the m × m products Zc·Zcᵀ (m = n) or Zcᵀ·Zc (m = d).
#include "kernel.h"

struct Loss {
	Arr z[2];       // embeddings
	float *dz[2];   // their gradients, or 0
	float *zc[2];   // centred
	float *lo[2];   // what TF32 leaves of zc, which is then without it; or 0
	double *mean[2];
	float *coef[2]; // the hinge: this times zc is a part of the gradient
	float *diag[2]; // and this is to be subtracted for the diagonal of the covariance
	float *part[2]; // the m × m matrix, in parts to be added
	float *gram[2]; // and whole; scaled in the end
	float *gram_lo[2];
	double *strips;     // sums of each 32 columns
	double *squares[2]; // of each piece of the matrix
	double *again[2];   // of each 64 columns
	double *numbers;
	u32 *lost; // of a branch: too few digits are left

	double gamma, eps;
	double hinge[2]; // weight of the hinge's gradient
	double take[2];  // weight of the diagonal
	float scale[2];  // of the matrix
	float beta;      // of z − z'
	u32 n, d, m, parts;
	u32 columns; // the matrix is d × d
	u32 unused[2];
};

enum { SUMS = 7, MATRIX = 4096 };

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

// down adds v of the 16 threads of a column and returns the sum to all of them.
DEVICE double down(double v, double (*shared)[33]) {
	u32 x = tid() & 31, y = tid() >> 5;
	sync();
	shared[y][x] = v;
	sync();
	double s = 0;
	UNROLL for (int k = 0; k < 16; k++)
		s += shared[k][x];
	return s;
}

// Keeps v, or what TF32 keeps of it and the rest.
DEVICE void keep(float *hi, float *lo, u64 i, float v) {
	if (lo) {
		float h = from_bits((bits(v) + 0x1000u) & 0xffffe000u);
		hi[i] = h;
		lo[i] = v - h;
	} else {
		hi[i] = v;
	}
}

// Takes 32 columns of an embedding: means, variances, centred values, and all sums of
// terms; and of the first, the distance from the second. 512 threads, 16 rows at a time.
KERNEL BOUNDS(512, 2) loss_columns(const Loss p) {
	SHARED double shared[16][33];
	u32 x = tid() & 31, y = tid() >> 5, c = block() * 32 + x;
	bool in = c < p.d, second = block_y();
	const Arr z = second ? p.z[1] : p.z[0];
	double sum = 0, distance = 0;
	if (in) {
		if (second) {
			_Pragma("unroll 4") for (u32 i = y; i < p.n; i += 16)
				sum += load(z, (i64)i * p.d + c);
		} else {
			_Pragma("unroll 2") for (u32 i = y; i < p.n; i += 16) {
				double u = load(z, (i64)i * p.d + c), e = u - load(p.z[1], (i64)i * p.d + c);
				sum += u, distance += e * e;
			}
		}
	}
	double mean = down(sum, shared) / p.n;
	if (!second)
		distance = down(distance, shared);
	float *zc = second ? p.zc[1] : p.zc[0], *lo = second ? p.lo[1] : p.lo[0];
	sum = 0;
	if (in) {
		_Pragma("unroll 4") for (u32 i = y; i < p.n; i += 16) {
			i64 at = (i64)i * p.d + c;
			double u = load(z, at) - mean;
			sum += u * u;
			keep(zc, lo, at, (float)u);
		}
	}
	double v = down(sum, shared) / (p.n - 1);
	sync();
	if (y == 0) {
		double s = __nvvm_sqrt_rn_d(v + p.eps), below = p.gamma - s;
		shared[0][x] = in && !(below <= 0) ? below : 0;
		shared[1][x] = in ? __nvvm_sqrt_rn_d(v) : 0;
		shared[2][x] = in ? v * v : 0;
		shared[3][x] = in ? distance : 0;
		if (in) {
			(second ? p.mean[1] : p.mean[0])[c] = mean;
			double hinge = second ? p.hinge[1] : p.hinge[0], take = second ? p.take[1] : p.take[0];
			(second ? p.coef[1] : p.coef[0])[c] = s < p.gamma && s > 0 ? (float)(hinge / s) : 0;
			(second ? p.diag[1] : p.diag[0])[c] = (float)(take * v);
		}
	}
	sync();
	if (tid() < 4) { // the sums of a strip: three of each embedding, then the distance
		double s = 0;
		for (int k = 0; k < 32; k++)
			s += shared[tid()][k];
		u32 which = tid() + (second ? 3 : 0);
		if (tid() == 3)
			which = 6;
		if (tid() < 3 || !second)
			p.strips[(u64)block() * SUMS + which] = s;
	}
}

// Adds up the parts of the matrix and sums its squares; those of d × d lose the diagonal.
KERNEL THREADS(256) loss_squares(const Loss p) {
	SHARED double shared[256];
	u32 branch = block_y();
	const float *part = branch ? p.part[1] : p.part[0];
	float *gram = branch ? p.gram[1] : p.gram[0];
	u64 size = (u64)p.m * p.m;
	double sum = 0;
	for (u32 k = 0; k < MATRIX / 256; k++) {
		u64 i = (u64)block() * MATRIX + k * 256 + tid();
		if (i >= size)
			break;
		double v = 0;
		for (u32 j = 0; j < p.parts; j++)
			v += part[j * size + i];
		if (p.columns && i / p.m == i % p.m)
			v = 0;
		gram[i] = (float)v;
		sum += v * v;
	}
	sum = total(sum, shared);
	if (tid() == 0)
		(branch ? p.squares[1] : p.squares[0])[block()] = sum;
}

// Makes the numbers of the loss, and says whether they have enough digits. One block.
KERNEL THREADS(256) loss_terms(const Loss p) {
	SHARED double shared[256];
	double sums[SUMS];
	u32 strips = (p.d + 31) / 32;
	UNROLL for (int k = 0; k < SUMS; k++) {
		double s = 0;
		for (u32 i = tid(); i < strips; i += 256)
			s += p.strips[(u64)i * SUMS + k];
		sums[k] = total(s, shared);
	}
	u32 pieces = (u32)(((u64)p.m * p.m + MATRIX - 1) / MATRIX);
	UNROLL for (int b = 0; b < 2; b++) {
		double s = 0;
		for (u32 i = tid(); i < pieces; i += 256)
			s += p.squares[b][i];
		s = total(s, shared) / ((double)(p.n - 1) * (p.n - 1));
		if (tid() == 0) {
			u32 lost = 0;
			if (!p.columns) {
				double diagonal = sums[3 * b + 2];
				s -= diagonal;
				lost = s < diagonal / 32;
			}
			p.lost[b] = lost;
			p.numbers[1 + 3 * b] = sums[3 * b] / p.d;
			p.numbers[2 + 3 * b] = sums[3 * b + 1] / p.d;
			p.numbers[3 + 3 * b] = s / p.d;
		}
	}
	if (tid() == 0)
		p.numbers[0] = sums[6];
}

// Scales the matrix for the product that follows; one of too few digits adds nothing.
KERNEL THREADS(256) loss_scale(const Loss p) {
	u32 branch = block_y();
	float *gram = branch ? p.gram[1] : p.gram[0], *lo = branch ? p.gram_lo[1] : p.gram_lo[0];
	float scale = branch ? p.scale[1] : p.scale[0];
	bool lost = p.lost[branch];
	u64 size = (u64)p.m * p.m;
	for (u32 k = 0; k < MATRIX / 256; k++) {
		u64 i = (u64)block() * MATRIX + k * 256 + tid();
		if (i < size)
			keep(gram, lo, i, lost ? 0 : gram[i] * scale);
	}
}

// Everything of the gradients but products: 256 columns, 16 rows.
KERNEL THREADS(256) loss_pull(const Loss p) {
	u32 c = block() * 256 + tid();
	if (c >= p.d)
		return;
	double mean_a = p.mean[0][c], mean_b = p.mean[1][c];
	float a = p.coef[0][c], b = p.coef[1][c];
	if (!p.columns) {
		a -= p.lost[0] ? 0 : p.diag[0][c];
		b -= p.lost[1] ? 0 : p.diag[1][c];
	}
	u32 from = block_y() * 16;
	UNROLL for (u32 r = 0; r < 16; r++) {
		if (from + r < p.n) {
			i64 i = (i64)(from + r) * p.d + c;
			float u = load(p.z[0], i), v = load(p.z[1], i);
			p.dz[0][i] = __builtin_fmaf(a, (float)(u - mean_a), p.beta * (u - v));
			p.dz[1][i] = __builtin_fmaf(b, (float)(v - mean_b), p.beta * (v - u));
		}
	}
}

DEVICE float centred(const float *zc, const float *lo, u32 row, u32 column, const Loss &p) {
	if (row >= p.n || column >= p.d)
		return 0;
	u64 i = (u64)row * p.d + column;
	return lo ? zc[i] + lo[i] : zc[i];
}

// The covariance through d × d, 64 columns a block, where n × n has lost too many digits.
KERNEL THREADS(256) loss_again(const Loss p) {
	SHARED float left[16][65], right[16][65], tile[64][65], rows[64][65];
	SHARED double shared[256];
	u32 branch = block_y();
	if (!p.lost[branch])
		return;
	const float *zc = branch ? p.zc[1] : p.zc[0], *lo = branch ? p.lo[1] : p.lo[0];
	float *dz = branch ? p.dz[1] : p.dz[0];
	float scale = branch ? p.scale[1] : p.scale[0];
	u32 to = block() * 64, x = tid() & 15, y = tid() >> 4;
	double sum = 0;
	for (u32 from = 0; from < p.d; from += 64) {
		float acc[4][4] = {};
		for (u32 r = 0; r < p.n; r += 16) {
			sync();
			UNROLL for (u32 k = 0; k < 4; k++) {
				u32 i = k * 4 + (tid() >> 6), j = tid() & 63;
				left[i][j] = centred(zc, lo, r + i, from + j, p);
				right[i][j] = centred(zc, lo, r + i, to + j, p);
			}
			sync();
			for (u32 k = 0; k < 16; k++)
				UNROLL for (u32 i = 0; i < 4; i++)
					UNROLL for (u32 j = 0; j < 4; j++)
						acc[i][j] = __builtin_fmaf(left[k][y * 4 + i], right[k][x * 4 + j], acc[i][j]);
		}
		UNROLL for (u32 i = 0; i < 4; i++)
			UNROLL for (u32 j = 0; j < 4; j++) {
				float v = from + y * 4 + i == to + x * 4 + j ? 0 : acc[i][j];
				sum += (double)v * v;
				tile[y * 4 + i][x * 4 + j] = v * scale;
			}
		if (!dz)
			continue;
		for (u32 r = 0; r < p.n; r += 64) {
			sync();
			UNROLL for (u32 k = 0; k < 16; k++) {
				u32 i = k * 4 + (tid() >> 6), j = tid() & 63;
				rows[i][j] = centred(zc, lo, r + i, from + j, p);
			}
			sync();
			float out[4][4] = {};
			for (u32 k = 0; k < 64; k++)
				UNROLL for (u32 i = 0; i < 4; i++)
					UNROLL for (u32 j = 0; j < 4; j++)
						out[i][j] = __builtin_fmaf(rows[y * 4 + i][k], tile[k][x * 4 + j], out[i][j]);
			UNROLL for (u32 i = 0; i < 4; i++)
				UNROLL for (u32 j = 0; j < 4; j++) {
					u32 row = r + y * 4 + i, column = to + x * 4 + j;
					if (row < p.n && column < p.d)
						dz[(u64)row * p.d + column] += out[i][j];
				}
		}
	}
	sum = total(sum, shared);
	if (tid() == 0)
		(branch ? p.again[1] : p.again[0])[block()] = sum;
}

// The number of the covariance that loss_again has summed. One block.
KERNEL THREADS(256) loss_again_terms(const Loss p) {
	SHARED double shared[256];
	UNROLL for (int b = 0; b < 2; b++) {
		if (p.lost[b]) {
			double s = 0;
			for (u32 i = tid(); i < (p.d + 63) / 64; i += 256)
				s += p.again[b][i];
			s = total(s, shared);
			if (tid() == 0)
				p.numbers[3 + 3 * b] = s / ((double)(p.n - 1) * (p.n - 1)) / p.d;
		}
	}
}
