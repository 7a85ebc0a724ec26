package runlog

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// The plain types have the same fields and none of the methods below.
type (
	plainStep    Step
	plainEpoch   Epoch
	plainSummary Summary
)

func (s Step) MarshalJSON() ([]byte, error)    { return splice(plainStep(s), s.Terms) }
func (e Epoch) MarshalJSON() ([]byte, error)   { return splice(plainEpoch(e), e.Terms) }
func (s Summary) MarshalJSON() ([]byte, error) { return splice(plainSummary(s), s.Terms) }

func (s *Step) UnmarshalJSON(b []byte) (err error) {
	s.Terms, err = collect(b, (*plainStep)(s))
	return err
}

func (e *Epoch) UnmarshalJSON(b []byte) (err error) {
	e.Terms, err = collect(b, (*plainEpoch)(e))
	return err
}

func (s *Summary) UnmarshalJSON(b []byte) (err error) {
	s.Terms, err = collect(b, (*plainSummary)(s))
	return err
}

// splice writes v as a JSON object with the terms after its key "loss".
func splice(v any, terms Terms) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var t bytes.Buffer
	for _, x := range terms {
		pair, err := json.Marshal(map[string]float64{x.Name: x.Value})
		if err != nil {
			return nil, err
		}
		t.WriteByte(',')
		t.Write(pair[1 : len(pair)-1])
	}
	at := bytes.Index(raw, []byte(`"loss":`))
	at += bytes.IndexAny(raw[at:], ",}")
	return append(append(append([]byte{}, raw[:at]...), t.Bytes()...), raw[at:]...), nil
}

// collect decodes a JSON object into v and returns its other numbers, in order.
func collect(b []byte, v any) (Terms, error) {
	if err := json.Unmarshal(b, v); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v).Elem()) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		known[key] = true
	}
	var terms Terms
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil { // {
		return nil, err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if x, ok := value.(float64); ok && !known[key.(string)] {
			terms = append(terms, Term{key.(string), x})
		}
	}
	return terms, nil
}
