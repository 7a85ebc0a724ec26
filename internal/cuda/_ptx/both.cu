// Both gradients of a 1 × 1 convolution of few weights at once, which read the gradient of its
// output once: a block has all weights in shared memory and goes through a piece of the pixels.
#include "tile.h"

// Both: dx = g·wᵀ, finished with add, which may be dx, and zero where the source x reads 0 or
// less if masked; sums of it and of it times dot of each piece to sums; and xᵀ·g of each piece to
// partials, pieces × c × k. All arrays of values are bfloat16.
struct Both {
	Grad g;
	Source x;
	const char *w; // c × k
	char *dx;
	const char *add; // or 0
	const char *dot; // with sums
	Partials sums;
	float *partials;
	u32 rows; // pixels of a piece, a multiple of 64
	u32 m;    // pixels
	u32 masked;
	u32 unused;
};

// both is for c = C and k = K. DM × DN warps share a product for dx, WM × WN one for the
// weights.
template <int C, int K, int DM, int DN, int WM, int WN> DEVICE void both(const Both &p) {
	constexpr int T = 512;
	static_assert(32 * DM * DN == T && 32 * WM * WN == T, "warps");
	constexpr u32 X = 64 * C * 2, G = 64 * K * 2, STAGE = X + 2 * G, WEIGHTS = 2 * STAGE, OUT = WEIGHTS + C * K * 2;
	// A row has so many chunks; a thread has the same chunk of some rows, so many apart.
	constexpr int XC = C / 8, XR = T / XC, XV = 64 / XR, GC = K / 8, GR = T / GC, GV = 64 / GR;
	u32 smem = shared(), t = tid();
	u32 begin = block() * p.rows, end = begin + p.rows < p.m ? begin + p.rows : p.m;
	u32 x_row = t / XC, x_col = t % XC * 8, g_row = t / GC, g_col = t % GC * 8;
	u32 x_at = (x_col >> 6) * 8192 + place(x_row, t % XC & 7);
	u32 g_at = X + (g_col >> 6) * 8192 + place(g_row, t % GC & 7);

	auto copy = [&](u32 slot, u32 m) INLINE {
		u32 at = smem + slot * STAGE;
		UNROLL for (int i = 0; i < XV; i++) {
			u32 r = m + x_row + i * XR;
			copy16<false>(at + x_at + i * XR * 128, p.x.x.p + 2 * ((u64)r * C + x_col), r < end);
		}
		UNROLL for (int i = 0; i < GV; i++) {
			u32 r = m + g_row + i * GR;
			u64 from = 2 * ((u64)r * K + g_col);
			copy16<false>(at + g_at + i * GR * 128, p.g.d.p + from, r < end);
			copy16<false>(at + g_at + G + i * GR * 128, p.g.y.p + from, r < end);
		}
	};
	float floor = p.x.relu ? 0 : from_bits(0xff800000);
	auto make = [&](u32 slot, u32 m) INLINE {
		u32 at = smem + slot * STAGE;
		if (p.x.scale || p.x.relu) {
			float scale[8], shift[8];
			if (p.x.scale) {
				eight(p.x.scale, x_col, scale);
				eight(p.x.shift, x_col, shift);
			} else {
				UNROLL for (int e = 0; e < 8; e++)
					scale[e] = 1, shift[e] = 0;
			}
			UNROLL for (int i = 0; i < XV; i++) {
				float v[8];
				unpack(shared_load(at + x_at + i * XR * 128), v);
				UNROLL for (int e = 0; e < 8; e++) {
					v[e] = __builtin_fmaf(v[e], scale[e], shift[e]);
					v[e] = v[e] > floor ? v[e] : floor;
				}
				Quad q = packed(v);
				if (m + x_row + i * XR >= end)
					q = {0, 0, 0, 0};
				shared_store(at + x_at + i * XR * 128, q);
			}
		}
		float ka[8], kb[8], kk[8];
		eight(p.g.a, g_col, ka);
		eight(p.g.b, g_col, kb);
		eight(p.g.k, g_col, kk);
		TWICE for (int i = 0; i < GV; i++) {
			float v[8], y[8];
			unpack(shared_load(at + g_at + i * GR * 128), v);
			unpack(shared_load(at + g_at + G + i * GR * 128), y);
			UNROLL for (int e = 0; e < 8; e++)
				v[e] = __builtin_fmaf(ka[e], v[e], __builtin_fmaf(kb[e], y[e], kk[e]));
			shared_store(at + g_at + i * GR * 128, packed(v));
		}
	};

	auto dpart = Part<64, C, DM, DN>::mine();
	auto wpart = Part<C, K, WM, WN>::mine();
	Factors<false, true, 64, C, DM, DN> dfactors(dpart);
	Factors<true, false, C, K, WM, WN> wfactors(wpart);
	float w[wpart.STRIPS][wpart.N / 8][4];
	clear(w);
	Columns sums = {{0, 0, 0, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0, 0, 0}};

	// The weights: a panel for every 64 of k, of C rows.
	UNROLL for (int i = 0; i < C * GC / T; i++)
		copy16<false>(smem + WEIGHTS + (g_col >> 6) * C * 128 + place(g_row + i * GR, t % GC & 7),
		              p.w + 2 * ((u64)(g_row + i * GR) * K + g_col), true);
	copy(0, begin);
	commit();
	u32 slot = 0;
	ROLLED for (u32 m = begin; m < end; m += 64) {
		arrived<0>();
		make(slot, m);
		barrier();
		if (m + 64 < end) {
			copy(slot ^ 1, m + 64);
			// What the end of the next round reads comes near.
			UNROLL for (int v = 0; v < C * 64 / 64; v += T) {
				u32 r = m + 64 + (t + v) / (C / 64);
				u64 at = 2 * ((u64)r * C + (t + v) % (C / 64) * 64);
				if (t + v < C && r < end) {
					if (p.add)
						near(p.add + at);
					if (p.sums.any() && p.dot != p.x.x.p)
						near(p.dot + at);
				}
			}
		}
		commit();
		u32 at = smem + slot * STAGE;
		{
			float d[dpart.STRIPS][dpart.N / 8][4];
			clear(d);
			ROLLED for (int q = 0; q < K / 64; q++)
				dfactors.multiply(at + X + q * 8192, smem + WEIGHTS + q * C * 128, d);
			stage<C, true, dpart.APART>(smem + OUT, dpart.m, dpart.n, d);
		}
		wfactors.multiply(at, at + X, w);
		barrier();
		UNROLL for (int i = 0; i < XV; i++) {
			u32 r = m + x_row + i * XR;
			bool in = r < end;
			u64 o = 2 * ((u64)r * C + x_col);
			Quad add = {0, 0, 0, 0}, dot = {0, 0, 0, 0};
			if (p.add && in)
				add = global_load(p.add + o);
			if (p.sums.any() && in)
				dot = global_load(p.dot + o);
			float v[8], u[8];
			staged_full(smem + OUT + (x_row + i * XR) * Staged<C>::full + x_col * 4, v);
			unpack(add, u);
			UNROLL for (int e = 0; e < 8; e++)
				v[e] += u[e];
			if (p.masked) {
				unpack(shared_load(at + x_at + i * XR * 128), u);
				UNROLL for (int e = 0; e < 8; e++)
					v[e] = u[e] > 0 ? v[e] : 0;
			}
			Quad q = packed(v);
			if (in)
				global_store(p.dx + o, q);
			else
				q = {0, 0, 0, 0};
			add_columns(sums, q, dot);
		}
		slot ^= 1;
	}
	barrier();
	if (p.sums.any())
		sum_columns<C, T>(smem, sums, p.sums, block(), 0, C);
	u32 l = lane(), c = wpart.m + (l >> 2), k = wpart.n + (l & 3) * 2;
	float *to = p.partials + ((u64)block() * C + c) * K + k;
	UNROLL for (int i = 0; i < wpart.STRIPS; i++)
		UNROLL for (int h = 0; h < 2; h++)
			UNROLL for (int j = 0; j < wpart.N / 8; j++)
				*(Pair *)(to + (i * wpart.APART + h * 8) * K + j * 8) = {w[i][j][2 * h], w[i][j][2 * h + 1]};
}

KERNEL BOUNDS(512, 1) both_64x64(const Both p) { both<64, 64, 4, 4, 4, 4>(p); }
KERNEL BOUNDS(512, 1) both_64x256(const Both p) { both<64, 256, 4, 4, 2, 8>(p); }
