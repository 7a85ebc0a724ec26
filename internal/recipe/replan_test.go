package recipe

import (
	"reflect"
	"strings"
	"testing"
)

func TestReplan(t *testing.T) {
	c, err := Load("quick")
	if err != nil {
		t.Fatal(err)
	}
	c.Epochs = 10
	first := c
	c.Replan(30, 50, 5) // when all is done
	second := c
	c.Replan(20, 77, 5)
	if want := []Replan{{10, 50, 2}, {30, 77, 0.46}}; c.Epochs != 20 || !reflect.DeepEqual(c.Replanned, want) {
		t.Errorf("%d epochs after %+v, want 20 after %+v", c.Epochs, c.Replanned, want)
	}
	for step, want := range map[int]int{0: 10, 49: 10, 50: 30, 76: 30, 77: 20, 99: 20} {
		if got := c.PlannedFor(step); got != want {
			t.Errorf("at step %d there were %d epochs planned, want %d", step, got, want)
		}
	}
	for i, want := range []Config{first, second} {
		if got := c.Before(i); !reflect.DeepEqual(got, want) {
			t.Errorf("before change %d: %+v, want %+v", i, got, want)
		}
	}
	raw, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again := base()
	if err := again.merge(raw, "again"); err != nil || !reflect.DeepEqual(again.Replanned, c.Replanned) {
		t.Errorf("read again: %+v, %v", again.Replanned, err)
	}
	if UsualPassage(500) != 10 || UsualPassage(30) != 3 {
		t.Errorf("the passage in 500 epochs takes %v, in 30 %v", UsualPassage(500), UsualPassage(30))
	}
	for want, r := range map[string][]Replan{
		"replanned[0].epochs is 0":                          {{0, 5, 1}},
		"replanned[0].step is -1":                           {{5, -1, 1}},
		"replanned[1].step is 4, but the change before was": {{5, 5, 1}, {6, 4, 1}},
		"replanned[0].passage is -1":                        {{5, 5, -1}},
		"more changes than a run can have":                  make([]Replan, 0, 1),
	} {
		bad := first
		if bad.Replanned = r; len(r) == 0 {
			for range mostReplans + 1 {
				bad.Replanned = append(bad.Replanned, Replan{5, 5, 1})
			}
		}
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
