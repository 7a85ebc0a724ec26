package atlas

import (
	"testing"
	"time"

	"vicreg/internal/check"
)

// What is accepted comes out of encode again as it was; whatever a file claims, it takes no
// more memory than its length justifies.
func FuzzRead(f *testing.F) {
	m, _ := fixture()
	f.Add(m.encode())
	m.Points, m.Clusters, m.Classes, m.Duplicates, m.Outliers = m.Points[:1], nil, nil, nil, nil
	m.Points[0] = Point{Name: "a", Class: -1, Cluster: -1}
	f.Add(m.encode())
	f.Add([]byte(`{"format":"vicreg map 1","points":{"names":["a"],"k":1000000000}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		check.Bounded(t, 2+len(b)>>14, 2*time.Second, func() {
			m, what := parse(b)
			if what != "" {
				if len(what) > 300 {
					t.Errorf("a message of %d bytes", len(what))
				}
				return
			}
			if _, what := parse(m.encode()); what != "" {
				t.Errorf("written again it is refused: %s", what)
			}
		})
	})
}
