package batch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vicreg/internal/durable"
	"vicreg/internal/ledger"
	"vicreg/internal/show"
)

// keptLeast is how many images there must be for a Scan's findings to be kept.
var keptLeast = 100_000

// keptScan is what is kept of a Scan.
type keptScan struct {
	Version int
	Key     string
	Report  Report
	Bad     []keptBad
	Notes   []string
}

type keptBad struct{ Name, Reason string }

const keptVersion = 2

// keptAt is the file that a Scan's findings are kept in, and the key that it must hold;
// empty: they are not kept. Key stands for all that they depend on.
func (s *Source) keptAt(o ScanOptions) (path, key string) {
	folder := ledger.Folder("scans")
	if o.Key == "" || len(s.data.Items) < keptLeast || folder == "" {
		return "", ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s\x00%d\x00%+v\x00%d", keptVersion, o.Key, s.data.Fingerprint(),
		s.channels, s.limits, o.Decode))
	key = hex.EncodeToString(sum[:])
	return filepath.Join(folder, key[:24]+".json"), key
}

// recall takes what an earlier Scan found of the same images. It is false if there was
// none, or if an image that was bad no longer is.
func (s *Source) recall(path, key string, o ScanOptions) (*Report, bool, error) {
	raw, err := os.ReadFile(path)
	if path == "" || err != nil {
		return nil, false, nil
	}
	var k keptScan
	if json.Unmarshal(raw, &k) != nil || k.Version != keptVersion || k.Key != key ||
		len(k.Report.Mean) != k.Report.Channels {
		return nil, false, nil
	}
	ledger.Used(path)
	at := make(map[string]int, len(k.Bad))
	for i, b := range k.Bad {
		at[b.Name] = i
	}
	var bad []int
	r := k.Report
	r.Bad = nil
	for i := range s.data.Items {
		name := s.data.Items[i].Name
		b, ok := at[name]
		if !ok {
			continue
		}
		var f found
		if s.look(i, &f, true); f.err == nil {
			return nil, false, nil
		}
		bad = append(bad, i)
		r.Bad = append(r.Bad, Bad{Name: name, Err: errors.New(k.Bad[b].Reason)})
	}
	if len(bad) != len(k.Bad) {
		return nil, false, nil
	}
	tally := o.Tally
	if tally == nil {
		tally = &Tally{Total: len(s.data.Items), Most: s.most}
	}
	if err := tally.Add(len(s.data.Items), r.Bad); err != nil {
		return nil, true, err
	}
	n := len(s.data.Items)
	s.channels, s.raw = r.Channels, r.Raw
	s.remove(bad)
	s.data.Notes = append(s.data.Notes, k.Notes...)
	s.data.Notes = append(s.data.Notes, fmt.Sprintf("the %d images are not looked at again, as none has another name or size than when they were; take away %s to have them looked at", n, show.Name(path)))
	return &r, true, nil
}

// retain keeps what a Scan found, and notes where. Notes are those that it added.
func (s *Source) retain(path, key string, r *Report, notes []string) {
	if path == "" {
		return
	}
	k := keptScan{Version: keptVersion, Key: key, Report: *r, Notes: notes}
	k.Report.Bad = nil
	for _, b := range r.Bad {
		k.Bad = append(k.Bad, keptBad{b.Name, b.Err.Error()})
	}
	raw, err := json.Marshal(k)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o777)
	}
	if err == nil {
		err = durable.WriteFile(path, raw)
	}
	if err == nil {
		ledger.Prune(filepath.Dir(path))
	}
	if err != nil {
		s.data.Notes = append(s.data.Notes, fmt.Sprintf("what a look at the images found cannot be kept, so that they are looked at each time: %s: %v", show.Name(path), durable.Reason(err)))
	}
}
