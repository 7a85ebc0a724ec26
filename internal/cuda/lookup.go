package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// Tables, and the sums of their gradients.

// lookupParams, sortParams and tableParams are those of lookup.cu.
type lookupParams struct {
	y               arr
	ids             uint64
	table, position uint64
	rows            uint64
	c               uint32
	_               uint32
}

type sortParams struct {
	ids, rank, counts, starts, order uint64
	n, size                          uint32
}

type tableParams struct {
	d                  arr
	table, edges       uint64
	ids, starts, order uint64
	n, size, c         uint32
	_                  uint32
}

var (
	lookup     = declare[lookupParams]("lookup", "lookup", 0)
	sortRank   = declare[sortParams]("lookup", "sort_rank", 0)
	sortBefore = declare[sortParams]("lookup", "sort_before", 0)
	sortStarts = declare[sortParams]("lookup", "sort_starts", 0)
	sortPlace  = declare[sortParams]("lookup", "sort_place", 0)
	tableGrad  = declare[tableParams]("lookup", "table_grad", 0)
	tableEdges = declare[tableParams]("lookup", "table_edges", 0)
)

const (
	sortChunk = 1024 // tokens
	tableRows = 64   // sorted tokens of a block
)

func (d *Device) Lookup(y device.Array, c int, ids, table, position device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := tokensOf(y, c, ids)
	if rows == 0 {
		return
	}
	lookup.launch(d, d.gridRows(rows, c, 256), 256, 0, lookupParams{y: d.arr(y), ids: d.i32(ids), table: d.f32(table),
		position: d.f32(position), rows: uint64(rows), c: uint32(c)})
}

func (d *Device) LookupGrad(dd device.Array, c int, ids, dTable, dPosition device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := tokensOf(dd, c, ids)
	if rows == 0 {
		return
	}
	d.tableGrad(dTable, dd, c, d.i32(ids), rows)
	d.tableGrad(dPosition, dd, c, d.i32(ids)+4, rows)
}

// tokensOf returns how many tokens there are, with two numbers each.
func tokensOf(y device.Array, c int, ids device.Array) int {
	if y.Len() != ids.Len()/2*c {
		panic(fmt.Sprintf("cuda: %d numbers and places meet tokens of %d, %d elements", ids.Len(), c, y.Len()))
	}
	return ids.Len() / 2
}

// tableGrad adds row r of dd to row ids[2r] of a table.
func (d *Device) tableGrad(table, dd device.Array, c int, ids uint64, n int) {
	if table.None() {
		return
	}
	size, chunks, blocks := table.Len()/c, (n+sortChunk-1)/sortChunk, (n+tableRows-1)/tableRows
	counts := d.room(forPartials, 4*(chunks*size+2*n+size+1+2*blocks*c))
	rank := counts + uintptr(4*chunks*size)
	order := rank + uintptr(4*n)
	starts := order + uintptr(4*n)
	edges := starts + uintptr(4*(size+1))
	d.set(counts, 0, chunks*size)
	p := sortParams{ids: ids, rank: uint64(rank), counts: uint64(counts), starts: uint64(starts),
		order: uint64(order), n: uint32(n), size: uint32(size)}
	sortRank.launch(d, [3]int{chunks, 1, 1}, sortChunk, 0, p)
	sortBefore.launch(d, [3]int{over(size, 256), 1, 1}, 256, 0, p)
	sortStarts.launch(d, [3]int{1, 1, 1}, sortChunk, 0, p)
	sortPlace.launch(d, [3]int{over(n, 256), 1, 1}, 256, 0, p)
	q := tableParams{d: d.arr(dd), table: d.f32(table), edges: uint64(edges), ids: ids, starts: uint64(starts),
		order: uint64(order), n: uint32(n), size: uint32(size), c: uint32(c)}
	tableGrad.launch(d, [3]int{blocks, (c + 127) / 128, 1}, 128, 0, q)
	tableEdges.launch(d, [3]int{size, over(c, 32), 1}, 256, 0, q)
}
