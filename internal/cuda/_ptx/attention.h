// What the two ways to compute attention share, see attention.cu and flash.cu.
#pragma once
#include "special.h"

// Rows of qkv hold q of all heads, then k, then v, c elements each. lse and dots have a value for
// each row and head: the logarithm of the softmax's denominator, and Σ do·o.
struct Attention {
	Arr qkv, o, dout, dqkv;
	float *lse, *dots;
	const int *starts;
	u32 c, heads;
	float factor; // 1/√(c/heads)
	u32 unused;
};
