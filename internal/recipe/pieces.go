package recipe

import "fmt"

// Piece returns how many items of a batch go through the network together: all of them,
// unless it is cut into pieces.
func (c *Config) Piece() int {
	if c.Pieces() {
		return c.MicroBatch
	}
	return c.Batch
}

// Pieces reports whether a batch is cut into pieces.
func (c *Config) Pieces() bool { return c.MicroBatch > 0 && c.MicroBatch < c.Batch }

// InPieces is what follows the size of a batch for people: in which pieces it goes through,
// or nothing.
func (c *Config) InPieces() string {
	if !c.Pieces() {
		return ""
	}
	return fmt.Sprintf(" in pieces of %d", c.MicroBatch)
}

// Ahead returns how many batches are made ahead; 0: as many as usual. A step in pieces takes
// long, so one is enough.
func (c *Config) Ahead() int {
	if c.Pieces() {
		return 1
	}
	return 0
}

func (c *Config) validatePieces() error {
	switch m := c.MicroBatch; {
	case m < 0 || m == 1:
		return fmt.Errorf("micro_batch is %d, but must be 0, for batches that go through whole, or at least 2, as batch normalisation takes its statistics of a piece", m)
	case m > most:
		return fmt.Errorf("micro_batch is %d, but must be at most %d", m, most)
	case c.Pieces() && c.Batch%m == 1:
		return fmt.Errorf("a batch of %d in pieces of %d leaves a last piece of one, of which batch normalisation can take no statistics; take pieces of another size", c.Batch, m)
	}
	return nil
}
