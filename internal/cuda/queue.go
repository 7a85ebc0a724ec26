package cuda

import (
	"bytes"
	"fmt"
	"slices"
)

// queue is the way of the device's operations to the driver's compute stream.
//
// A step is some hundred operations, and queueing them one by one may take longer than the
// card takes to do them. So the queue collects operations up to the next place where the
// host or another stream has to know of them: a stretch. A stretch that comes again with
// the very same operations is recorded as a graph, and replayed as one from then on. What
// the card computes is the same either way.
type queue struct {
	collect bool
	now     stretch
	known   []*stretch // that came before, the newest last
	looks   int        // times that the host waited for the card
}

// stretch is a list of operations.
type stretch struct {
	commands []command
	args     []byte // of kernels, one after the other
	matmuls  []Matmul
	convs    []Convolution

	times int
	graph Graph
}

// command is one operation.
type command struct {
	kind            commandKind
	f               Function
	grid            [3]int
	threads, shared int
	to, from        uintptr
	n               int // of bytes of args, of values set, of bytes copied
	v               uint32
}

type commandKind uint8

const (
	launching commandKind = iota
	setting
	copying
	multiplying
	convolving
)

const (
	shortest    = 24 // operations; shorter stretches are not worth a graph
	graphAt     = 3  // times a stretch comes before it is recorded
	mostKnown   = 8
	looksNeeded = 6 // waits before the queue collects
)

func (s *stretch) clear() {
	s.commands, s.args, s.matmuls, s.convs = s.commands[:0], s.args[:0], s.matmuls[:0], s.convs[:0]
}

// same says that two stretches do the same.
func (s *stretch) same(t *stretch) bool {
	return slices.Equal(s.commands, t.commands) && bytes.Equal(s.args, t.args) && slices.Equal(s.matmuls, t.matmuls) &&
		slices.Equal(s.convs, t.convs)
}

func (s *stretch) clone() *stretch {
	return &stretch{commands: slices.Clone(s.commands), args: slices.Clone(s.args), matmuls: slices.Clone(s.matmuls),
		convs: slices.Clone(s.convs)}
}

// launch, set, copy, matmul and convolve queue an operation.

func (d *Device) launch(f Function, grid [3]int, threads, shared int, args []byte) {
	o := command{kind: launching, f: f, grid: grid, threads: threads, shared: shared, n: len(args)}
	if q := &d.queue; q.collect {
		q.now.commands, q.now.args = append(q.now.commands, o), append(q.now.args, args...)
		return
	}
	d.perform(o, args, nil, nil)
}

// set writes n values of four bytes.
func (d *Device) set(to uintptr, v uint32, n int) {
	d.await()
	o := command{kind: setting, to: to, v: v, n: n}
	if q := &d.queue; q.collect {
		q.now.commands = append(q.now.commands, o)
		return
	}
	d.perform(o, nil, nil, nil)
}

func (d *Device) copy(to, from uintptr, n int) {
	d.await()
	o := command{kind: copying, to: to, from: from, n: n}
	if q := &d.queue; q.collect {
		q.now.commands = append(q.now.commands, o)
		return
	}
	d.perform(o, nil, nil, nil)
}

func (d *Device) matmul(m Matmul) {
	d.await()
	o := command{kind: multiplying}
	if q := &d.queue; q.collect {
		q.now.commands, q.now.matmuls = append(q.now.commands, o), append(q.now.matmuls, m)
		return
	}
	d.one.m = m
	d.perform(o, nil, &d.one.m, nil)
}

func (d *Device) convolve(c Convolution) {
	d.await()
	o := command{kind: convolving}
	if q := &d.queue; q.collect {
		q.now.commands, q.now.convs = append(q.now.commands, o), append(q.now.convs, c)
		return
	}
	d.one.c = c
	d.perform(o, nil, nil, &d.one.c)
}

// perform hands an operation to the driver, with the arguments of a kernel, or the product,
// that it is about.
func (d *Device) perform(o command, args []byte, m *Matmul, c *Convolution) {
	if d.profile != nil {
		defer d.timed(d.label(o, m, c))()
	}
	var err error
	switch o.kind {
	case launching:
		err = d.driver.Launch(Compute, o.f, o.grid, o.threads, o.shared, args)
	case setting:
		err = d.driver.Set(Compute, o.to, o.v, o.n)
	case copying:
		err = d.driver.Copy(Compute, o.to, o.from, o.n)
	case multiplying:
		err = d.driver.Matmul(m)
	case convolving:
		err = d.driver.Convolve(c)
	}
	if err != nil {
		d.fail(err, d.inWords(o, m, c))
	}
}

// label names a kind of operation in a profile, inWords an operation in an error.
func (d *Device) label(o command, m *Matmul, c *Convolution) string {
	switch o.kind {
	case launching:
		return d.nameOf(o.f)
	case setting:
		return "fill"
	case copying:
		return "copy"
	case multiplying:
		return m.String()
	}
	return c.String()
}

func (d *Device) inWords(o command, m *Matmul, c *Convolution) string {
	switch o.kind {
	case launching:
		return "kernel " + d.nameOf(o.f)
	case setting:
		return "a fill"
	case copying:
		return "a copy on the card"
	case multiplying:
		return fmt.Sprintf("a product of %d × %d and %d × %d", m.M, m.K, m.K, m.N)
	}
	s := c.Shape
	return fmt.Sprintf("the %s of a %d × %d convolution of %d × %d × %d × %d to %d channels",
		c.Kind, s.R, s.S, s.N, s.H, s.W, s.C, s.K)
}

// issue hands all operations of a stretch to the driver.
func (d *Device) issue(s *stretch) {
	args, matmuls, convs := s.args, s.matmuls, s.convs
	for _, o := range s.commands {
		var m *Matmul
		var c *Convolution
		var a []byte
		switch o.kind {
		case launching:
			a, args = args[:o.n], args[o.n:]
		case multiplying:
			m, matmuls = &matmuls[0], matmuls[1:]
		case convolving:
			c, convs = &convs[0], convs[1:]
		}
		d.perform(o, a, m, c)
	}
}

// flush hands over what was collected. Whatever touches the driver's streams in another
// way than the operations above calls it first.
func (d *Device) flush() {
	d.await()
	q := &d.queue
	if len(q.now.commands) == 0 {
		return
	}
	defer q.now.clear()
	if len(q.now.commands) < shortest {
		d.issue(&q.now)
		return
	}
	i := slices.IndexFunc(q.known, q.now.same)
	if i < 0 {
		if len(q.known) == mostKnown {
			d.forget(q.known[0])
			q.known = slices.Delete(q.known, 0, 1)
		}
		q.known = append(q.known, q.now.clone())
		i = len(q.known) - 1
	}
	s := q.known[i]
	q.known = append(slices.Delete(q.known, i, i+1), s)
	if s.times++; s.times < graphAt {
		d.issue(s)
		return
	}
	if s.graph == 0 {
		d.check(d.driver.BeginCapture(), "a graph")
		d.issue(s)
		g, err := d.driver.EndCapture()
		d.check(err, fmt.Sprintf("a graph of %d operations", len(s.commands)))
		s.graph = g
	}
	d.check(d.driver.Replay(s.graph), "a graph")
}

func (d *Device) forget(s *stretch) {
	if s.graph != 0 {
		d.check(d.driver.FreeGraph(s.graph), "a graph")
	}
}

// waited counts that the host waited for the card. The first steps are queued as they come:
// the libraries meet shapes for the first time, and memory is still taken.
func (q *queue) waited() {
	if q.looks++; q.looks == looksNeeded {
		q.collect = true
	}
}

// Collect has the queue collect operations, or not; by itself it does after some steps.
func (d *Device) Collect(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flush()
	d.queue.collect, d.queue.looks = on, looksNeeded
}

// nameOf returns the name of a kernel, for messages.
func (d *Device) nameOf(f Function) string {
	if i := slices.Index(d.functions, f); i >= 0 {
		return declared[i].name
	}
	return "unknown"
}
