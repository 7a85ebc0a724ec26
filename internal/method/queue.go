package method

import (
	"math/rand/v2"

	"vicreg/internal/kernel/vector"
	"vicreg/internal/loss"
	"vicreg/internal/nn"
)

// queue holds the embeddings of the last steps, as unit rows. New ones overwrite the
// oldest. It is in the memory of the host, as the losses that read it are the host's.
type queue struct {
	size, d int
	rows    *nn.Param // size × d
	at      *nn.Param // one value: rows pushed so far, up to size and then from 0 again, plus size once it is full
}

// queueNames are those of the views.
var queueNames = [2]string{"queue.1", "queue.2"}

func newQueue(name string, size, d int) *queue {
	return &queue{size, d, nn.NewBuffer(name, size, d), nn.NewBuffer(name+".at", 1)}
}

func (q *queue) state() []*nn.Param { return []*nn.Param{q.rows, q.at} }

// random fills the queue with random directions.
func (q *queue) random(r *rand.Rand) {
	q.rows.Draw(r.NormFloat64)
	var u loss.Units
	q.rows.Change(func(v []float32) { copy(v, u.Forward(v, q.size, q.d)) })
}

// push takes in n × d; n divides size.
func (q *queue) push(rows []float32) {
	at := q.at.Number()
	vector.RingRows(q.rows.Value.Host(), rows, q.d, at%q.size)
	if at += len(rows) / q.d; at == 2*q.size {
		at = q.size
	}
	q.at.SetNumber(at)
}

// full says whether every row has been pushed.
func (q *queue) full() bool { return q.at.Number() >= q.size }
