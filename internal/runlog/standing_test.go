package runlog

import "testing"

// A warning that a new plan takes back does not stand; one of the same words after it does.
func TestStanding(t *testing.T) {
	m := Metrics{Warnings: []Warning{{Message: "few steps"}, {Message: "skipped"}, {Step: 20, Message: "few steps"}},
		Replans: []Replan{{Step: 10, Withdrawn: []string{"few steps"}}}}
	if got := m.Standing(); len(got) != 2 || got[0].Message != "skipped" || got[1].Step != 20 {
		t.Errorf("%+v", got)
	}
}

func TestCommonest(t *testing.T) {
	c := Classifier{Classes: []ClassScore{{Items: 10}, {Items: 30}}}
	if got := c.Commonest(); got != 0.75 {
		t.Errorf("%v", got)
	}
	if got := new(Classifier).Commonest(); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// Of an encoder that is taught classes there are no embeddings; of one that collapsed there are.
func TestEmbedded(t *testing.T) {
	for _, c := range []struct {
		e    Epoch
		want bool
	}{{Epoch{}, false}, {Epoch{EmbeddingStd: 0.1}, true}, {Epoch{Rank: 2}, true}, {Epoch{Collapsed: true}, true}} {
		if got := c.e.Embedded(); got != c.want {
			t.Errorf("%+v: %v", c.e, got)
		}
	}
}
