// Batch normalisation: from sums of channels to what reads the raw tensor. All in float64,
// as the CPU does it.
#include "kernel.h"

// Sums of c channels: a and b hold them, or they are still those of pieces, which are then
// added up and left there.
struct Sums {
	double *a, *b;
	const double *partials; // pieces × 2 × c, or 0
	u32 pieces, c;
};

// A block takes four channels of both sums: STRIPS threads for each, which take every
// STRIPS-th piece.
enum { CHANNELS = 4, STRIPS = 64, SOME = 8, SUMMING = 2 * CHANNELS * STRIPS };

// sums gives the first threads of a block the sums of a channel each, and says whether a
// thread is one of them. The order of all additions is fixed.
DEVICE bool sums(const Sums &s, u32 &c, double &a, double &b) {
	SHARED double part[STRIPS][2 * CHANNELS], some[STRIPS / SOME][2 * CHANNELS];
	u32 t = tid(), j = t % CHANNELS, column = t % (2 * CHANNELS), strip = t / (2 * CHANNELS);
	c = block() * CHANNELS + j;
	if (s.partials) {
		double sum = 0;
		if (c < s.c) {
			const double *from = s.partials + column / CHANNELS * s.c + c;
			u64 apart = 2 * (u64)s.c;
			_Pragma("unroll 8") for (u32 p = strip; p < s.pieces; p += STRIPS)
				sum += from[p * apart];
		}
		part[strip][column] = sum;
		sync();
		if (strip < STRIPS / SOME) {
			sum = 0;
			UNROLL for (u32 k = 0; k < SOME; k++)
				sum += part[strip * SOME + k][column];
			some[strip][column] = sum;
		}
		sync();
	}
	if (t >= CHANNELS || c >= s.c)
		return false;
	if (!s.partials) {
		a = s.a[c], b = s.b[c];
		return true;
	}
	a = b = 0;
	UNROLL for (u32 k = 0; k < STRIPS / SOME; k++) {
		a += some[k][j];
		b += some[k][CHANNELS + j];
	}
	s.a[c] = a, s.b[c] = b;
	return true;
}

// AddPieces leaves the sums of all pieces.
struct AddPieces {
	Sums sums;
};

KERNEL THREADS(SUMMING) add_pieces(const AddPieces p) {
	u32 c;
	double a, b;
	sums(p.sums, c, a, b);
}

// BatchNorm is device.BatchNorm.
struct BatchNorm {
	const float *gamma, *beta;
	float *run_mean, *run_var, *batches;
	const float *bias; // or 0
	double eps, momentum;
	double *mean, *rstd;
	float *scale, *shift;
};

DEVICE void set_scale(const BatchNorm &n, u32 c, double mean, double rstd) {
	n.mean[c] = mean;
	n.rstd[c] = rstd;
	float scale = (float)((double)n.gamma[c] * rstd);
	n.scale[c] = scale;
	n.shift[c] = (float)((double)n.beta[c] - mean * (double)scale); // y = mean gives β
}

DEVICE double inverse_root(double v) { return __nvvm_div_rn_d(1, __nvvm_sqrt_rn_d(v)); }

struct Statistics {
	Sums sums;
	BatchNorm norm;
	double count; // values a channel
};

KERNEL THREADS(SUMMING) statistics(const Statistics p) {
	u32 c;
	double a, b;
	if (block() == 0 && tid() == 0)
		p.norm.batches[0] += 1;
	if (!sums(p.sums, c, a, b))
		return;
	const BatchNorm &n = p.norm;
	double mean = a / p.count, var = b / p.count - mean * mean;
	var = var < 0 ? 0 : var;
	set_scale(n, c, mean, inverse_root(var + n.eps));
	if (n.bias)
		mean += (double)n.bias[c];
	n.run_mean[c] = (float)((1 - n.momentum) * (double)n.run_mean[c] + n.momentum * mean);
	n.run_var[c] = (float)((1 - n.momentum) * (double)n.run_var[c] + n.momentum * (var * p.count / (p.count - 1)));
}

struct Running {
	BatchNorm norm;
	u32 c;
	u32 unused;
};

KERNEL THREADS(256) running(const Running p) {
	u32 c = block() * 256 + tid();
	if (c >= p.c)
		return;
	const BatchNorm &n = p.norm;
	double mean = n.run_mean[c];
	if (n.bias)
		mean -= (double)n.bias[c];
	set_scale(n, c, mean, inverse_root((double)n.run_var[c] + n.eps));
}

struct NormBackward {
	Sums sums;
	const double *mean, *rstd;
	const float *gamma;
	float *dgamma, *dbeta; // added to; or 0
	float *a, *b, *k;
	double count;
};

KERNEL THREADS(SUMMING) norm_backward(const NormBackward p) {
	u32 c;
	double dbeta, dot;
	if (!sums(p.sums, c, dbeta, dot))
		return;
	double mean = p.mean[c], rstd = p.rstd[c];
	double dgamma = rstd * (dot - mean * dbeta);
	if (p.dgamma) {
		p.dbeta[c] += (float)dbeta;
		p.dgamma[c] += (float)dgamma;
	}
	double a = (double)p.gamma[c] * rstd;
	float b = (float)(-a * rstd * dgamma / p.count);
	p.a[c] = (float)a;
	p.b[c] = b;
	p.k[c] = (float)(-a * dbeta / p.count - (double)b * mean);
}

// AddSums: x += sums.
struct AddSums {
	float *x;
	const double *sums;
	u32 n;
	u32 unused;
};

KERNEL THREADS(256) add_sums(const AddSums p) {
	u32 i = block() * 256 + tid();
	if (i < p.n)
		p.x[i] += (float)p.sums[i];
}
