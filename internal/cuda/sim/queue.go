package sim

import (
	"math"

	"vicreg/internal/cuda"
)

// queue is a stream: what was queued and is not done yet, and how much is done.
type queue struct {
	list []operation
	done int
}

// operation is one of a stream. queued is called when it is, and may be nil.
type operation struct {
	run    func() error
	queued func(s cuda.Stream, n int)
}

// mark is a place in a stream: behind its first n operations.
type mark struct {
	s cuda.Stream
	n int
}

// do queues an operation, and does it unless it may come late; or records it.
func (d *Driver) do(s cuda.Stream, f func() error) error { return d.queue(s, operation{run: f}) }

func (d *Driver) queue(s cuda.Stream, o operation) error {
	if d.capture != nil && s == cuda.Compute {
		*d.capture = append(*d.capture, o)
		return nil
	}
	q := &d.streams[s]
	q.list = append(q.list, o)
	if o.queued != nil {
		o.queued(s, q.done+len(q.list))
	}
	if d.o.Late {
		return nil
	}
	return d.flush(mark{s, q.done + len(q.list)})
}

// flush does what stands before a mark.
func (d *Driver) flush(m mark) error {
	q := &d.streams[m.s]
	for q.done < m.n && len(q.list) > 0 {
		o := q.list[0]
		q.list[0] = operation{}
		if q.list = q.list[1:]; len(q.list) == 0 {
			q.list = nil
		}
		q.done++
		d.now += 0.001
		if err := o.run(); err != nil {
			if d.o.Late { // the call that queued it has returned
				d.broken = err
			}
			return err
		}
	}
	return nil
}

// drain does all that is queued on streams.
func (d *Driver) drain(streams ...cuda.Stream) error {
	for _, s := range streams {
		if err := d.flush(mark{s, math.MaxInt}); err != nil {
			return err
		}
	}
	return nil
}

// begin is call for what cannot be captured.
func (d *Driver) begin(call string, s cuda.Stream) error {
	if err := d.call(call); err != nil {
		return err
	}
	if d.capture != nil && s == cuda.Compute {
		return fail(call, 900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "")
	}
	return nil
}

func (d *Driver) Wait(s cuda.Stream) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("cuStreamSynchronize", s); err != nil {
		return err
	}
	return d.drain(s)
}

// event is a place in a stream, and when the card came past it.
type event struct {
	at   mark
	time float64 // -1: not recorded
}

func (d *Driver) NewEvent() (cuda.Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("cuEventCreate"); err != nil {
		return 0, err
	}
	e := cuda.Event(d.handle())
	d.events[e] = &event{time: -1}
	return e, nil
}

// event returns what stands behind a handle.
func (d *Driver) event(call string, e cuda.Event) (*event, error) {
	if err := d.call(call); err != nil {
		return nil, err
	}
	v := d.events[e]
	if v == nil {
		return nil, fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	return v, nil
}

func (d *Driver) Record(e cuda.Event, s cuda.Stream) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.event("cuEventRecord", e)
	if err != nil {
		return err
	}
	return d.queue(s, operation{
		run:    func() error { v.time = d.now; return nil },
		queued: func(s cuda.Stream, n int) { v.at = mark{s, n} },
	})
}

func (d *Driver) Follow(s cuda.Stream, e cuda.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.event("cuStreamWaitEvent", e)
	if err != nil {
		return err
	}
	var at mark
	return d.queue(s, operation{
		run:    func() error { return d.flush(at) },
		queued: func(cuda.Stream, int) { at = v.at },
	})
}

func (d *Driver) WaitEvent(e cuda.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.event("cuEventSynchronize", e)
	if err != nil {
		return err
	}
	return d.flush(v.at)
}

func (d *Driver) Elapsed(a, b cuda.Event) (float64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuEventElapsedTime"
	from, err := d.event(call, a)
	if err != nil {
		return 0, err
	}
	to := d.events[b]
	if to == nil {
		return 0, fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	if err := d.flush(to.at); err != nil {
		return 0, err
	}
	if from.time < 0 || to.time < 0 {
		return 0, fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "an event that was not recorded")
	}
	return to.time - from.time, nil
}
