// Rows of tables by their numbers, and the gradients of the tables.
#include "kernel.h"

// ids holds a row of the table and one of the positions for each token.
struct Lookup {
	Arr y;
	const int *ids;
	const float *table, *position;
	u64 rows;
	u32 c;
	u32 unused;
};

KERNEL THREADS(256) lookup(const Lookup p) {
	u32 c = block_y() * 256 + tid();
	if (c >= p.c)
		return;
	for (i64 r = block(); r < p.rows; r += blocks()) {
		i64 id = p.ids[2 * r], place = p.ids[2 * r + 1];
		store(p.y, r * p.c + c, p.table[id * p.c + c] + p.position[place * p.c + c]);
	}
}

// The gradient of a table adds up the rows of each number in the order of the tokens. For that
// tokens are sorted by their numbers, without changing the order within one: in chunks of 1024, a
// token's rank among the equal ones of its chunk is counted; how many of each number a chunk has
// becomes how many there are in the chunks before; and the numbers' totals become where each
// begins.
struct Sort {
	const int *ids; // every second one
	int *rank;      // n
	int *counts;    // chunks × size; zeros at first
	int *starts;    // size + 1
	int *order;     // n: tokens, by their numbers
	u32 n, size;    // tokens, rows of the table
};

KERNEL THREADS(1024) sort_rank(const Sort p) {
	SHARED int ids[1024];
	u32 first = block() * 1024, i = first + tid();
	u32 here = p.n - first < 1024 ? p.n - first : 1024;
	int id = i < p.n ? p.ids[2 * i] : -1;
	ids[tid()] = id;
	sync();
	if (i >= p.n)
		return;
	int before = 0, all = 0;
	for (u32 j = 0; j < here; j++) {
		int equal = ids[j] == id;
		all += equal;
		before += j < tid() ? equal : 0;
	}
	p.rank[i] = before;
	if (before == all - 1)
		p.counts[(i64)block() * p.size + id] = all;
}

KERNEL THREADS(256) sort_before(const Sort p) {
	u32 id = block() * 256 + tid();
	if (id >= p.size)
		return;
	int before = 0;
	for (u32 chunk = 0; chunk * 1024 < p.n; chunk++) {
		int *at = p.counts + (i64)chunk * p.size + id, n = *at;
		*at = before;
		before += n;
	}
	p.starts[id] = before;
}

// One block: the totals become where each number begins.
KERNEL THREADS(1024) sort_starts(const Sort p) {
	SHARED int sums[2][1024];
	int begin = 0;
	for (u32 first = 0; first < p.size; first += 1024) {
		u32 id = first + tid();
		int n = id < p.size ? p.starts[id] : 0;
		int now = 0;
		sums[0][tid()] = n;
		sync();
		for (u32 d = 1; d < 1024; d *= 2, now ^= 1) {
			sums[now ^ 1][tid()] = sums[now][tid()] + (tid() >= d ? sums[now][tid() - d] : 0);
			sync();
		}
		if (id < p.size)
			p.starts[id] = begin + sums[now][tid()] - n;
		begin += sums[now][1023];
		sync();
	}
	if (tid() == 0)
		p.starts[p.size] = begin;
}

KERNEL THREADS(256) sort_place(const Sort p) {
	u32 i = block() * 256 + tid();
	if (i >= p.n)
		return;
	int id = p.ids[2 * i];
	p.order[p.starts[id] + p.counts[(i64)(i / 1024) * p.size + id] + p.rank[i]] = (int)i;
}

// TableGrad adds the rows of d up by their numbers, 64 of the sorted ones a block. What lies
// within a block is added to the table at once; of a number that comes in from the block before,
// or goes on into the next, the sum is kept in edges, two a block.
struct TableGrad {
	Arr d;
	float *table; // size × c
	float *edges; // blocks × 2 × c
	const int *ids, *starts, *order;
	u32 n, size, c;
	u32 unused;
};

KERNEL THREADS(128) table_grad(const TableGrad p) {
	u32 c = block_y() * 128 + tid();
	if (c >= p.c)
		return;
	u32 from = block() * 64, to = from + 64 < p.n ? from + 64 : p.n;
	for (u32 i = from; i < to;) {
		int id = p.ids[2 * p.order[i]];
		u32 begin = p.starts[id], end = p.starts[id + 1];
		u32 stop = end < to ? end : to;
		float sum = 0;
		for (; i < stop; i++)
			sum += load(p.d, (i64)p.order[i] * p.c + c);
		if (begin < from)
			p.edges[(i64)block() * 2 * p.c + c] = sum;
		else if (end > to)
			p.edges[((i64)block() * 2 + 1) * p.c + c] = sum;
		else
			p.table[(i64)id * p.c + c] += sum;
	}
}

// A block has a number: what its edges hold.
KERNEL THREADS(256) table_edges(const TableGrad p) {
	SHARED float shares[8][32];
	u32 id = block(), warp = tid() >> 5, c = block_y() * 32 + lane();
	u32 begin = p.starts[id], end = p.starts[id + 1];
	if (begin == end || begin / 64 == (end - 1) / 64)
		return;
	float sum = 0;
	if (c < p.c) {
		for (u32 b = begin / 64 + warp; b <= (end - 1) / 64; b += 8)
			sum += p.edges[((i64)b * 2 + (begin >= b * 64)) * p.c + c];
	}
	shares[warp][lane()] = sum;
	sync();
	if (warp == 0 && c < p.c) {
		for (int w = 1; w < 8; w++)
			sum += shares[w][lane()];
		p.table[(i64)id * p.c + c] += sum;
	}
}
