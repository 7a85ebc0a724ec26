package watch

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"vicreg/internal/atlas"
	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// mapPolicy is the policy of a map's page. What draws points makes functions of text, and
// looks for the point under the mouse in a worker.
const mapPolicy = "default-src 'none'; script-src 'self' 'unsafe-eval'; worker-src blob:; style-src 'self'; " +
	"connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// keptMap is the map that was looked at last.
type keptMap struct {
	id string
	at time.Time
	*atlas.Map
}

// atlas returns the map of a run, and its folder.
func (s *server) atlas(id string) (*atlas.Map, string, error) {
	s.look(time.Now())
	s.mu.Lock()
	r := s.runs[id]
	if r == nil {
		s.mu.Unlock()
		return nil, "", fault{http.StatusNotFound, "there is no such run; it may have been moved or removed"}
	}
	dir, at := filepath.Join(r.dir, atlas.Folder), r.mapAt
	s.mu.Unlock()
	if at.IsZero() {
		return nil, "", fault{http.StatusNotFound, "there is no map of what this run's encoder sees; vicreg map makes one"}
	}
	s.mapMu.Lock()
	defer s.mapMu.Unlock()
	if s.kept.Map == nil || s.kept.id != id || !s.kept.at.Equal(at) {
		m, err := atlas.Read(dir)
		if err != nil {
			return nil, "", fault{http.StatusInternalServerError, err.Error()}
		}
		s.kept = keptMap{id, at, m}
	}
	return s.kept.Map, dir, nil
}

// mapPage is what the page of a map shows at once.
type mapPage struct {
	ID, Name string
	*atlas.Map
	Stale    string // that the run has gone on since
	Wordings []string
}

// chart answers with the page of a map.
func (s *server) chart(w http.ResponseWriter, req *http.Request) error {
	id := req.URL.Query().Get("id")
	m, _, err := s.atlas(id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", mapPolicy)
	p := mapPage{ID: id, Map: m}
	s.mu.Lock()
	if r := s.runs[id]; r != nil {
		p.Name = r.name()
		if done := int(r.done()); m.Epochs > 0 && done > m.Epochs {
			p.Stale = fmt.Sprintf("The run has come to epoch %d since; vicreg map %s draws it anew.", done, show.Name(r.dir))
		}
	}
	s.mu.Unlock()
	for _, note := range m.Note {
		p.Wordings = append(p.Wordings, show.Text(note))
	}
	if now, before, ok := m.Agreement(); ok {
		p.Wordings = append(p.Wordings, fmt.Sprintf("Of the nearest neighbours %s are of the same class, with the encoder untrained %s.",
			share(now), share(before)))
	}
	return render(w, "map", p)
}

// mapData is a map as its page draws it, a value for each point in turn.
type mapData struct {
	Names      []string `json:"names"`
	PCA        numbers  `json:"pca"`  // x and y in turn
	TSNE       numbers  `json:"tsne"` // likewise
	Class      []int    `json:"class"`
	Cluster    []int    `json:"cluster"`
	Classes    []string `json:"classes"`
	Variance   numbers  `json:"variance"`
	Groups     []group  `json:"groups"`
	Duplicates [][]int  `json:"duplicates"`
	Outliers   []int    `json:"outliers"`
	Side       int      `json:"side"`
	Columns    int      `json:"columns"`
	Rows       int      `json:"rows"`
	Sheets     int      `json:"sheets"`
}

type group struct {
	Size     int    `json:"size"`
	About    string `json:"about"`
	Examples []int  `json:"examples"`
}

const (
	mostExamples   = 24 // of a cluster
	mostDuplicates = 60 // groups
	mostOutliers   = 60
)

func (s *server) mapData(w http.ResponseWriter, req *http.Request) error {
	m, _, err := s.atlas(req.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	d := mapData{Classes: m.Classes, Side: m.Sheets.Side, Columns: m.Sheets.Columns, Rows: m.Sheets.Rows,
		Sheets: len(m.Sheets.Files), Outliers: m.Outliers[:min(len(m.Outliers), mostOutliers)],
		Duplicates: m.Duplicates[:min(len(m.Duplicates), mostDuplicates)]}
	for _, v := range m.Variance {
		d.Variance = append(d.Variance, float64(v))
	}
	for i := range m.Points {
		p := &m.Points[i]
		d.Names = append(d.Names, p.Name)
		d.Class, d.Cluster = append(d.Class, p.Class), append(d.Cluster, p.Cluster)
		for k := range 2 {
			d.PCA, d.TSNE = append(d.PCA, float64(p.PCA[k])), append(d.TSNE, float64(p.TSNE[k]))
		}
	}
	for i, c := range m.Clusters {
		g := group{Size: c.Size, About: show.Count(c.Size, "image"), Examples: c.Examples[:min(len(c.Examples), mostExamples)]}
		if class, of := m.Mostly(i); class >= 0 {
			g.About += fmt.Sprintf(", %.0f%% %s", 100*of, m.Classes[class])
		}
		d.Groups = append(d.Groups, g)
	}
	return answer(w, d)
}

// neighbours answers with the nearest neighbours of a point.
func (s *server) neighbours(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	m, _, err := s.atlas(q.Get("id"))
	if err != nil {
		return err
	}
	i, err := strconv.Atoi(q.Get("point"))
	if err != nil || i < 0 || i >= len(m.Points) {
		return fault{http.StatusNotFound, "there is no such point"}
	}
	p := &m.Points[i]
	return answer(w, map[string]any{"now": p.Neighbours, "before": p.Before, "outlier": p.Outlier})
}

// sheet answers with a sheet of thumbnails.
func (s *server) sheet(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	m, dir, err := s.atlas(q.Get("id"))
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(q.Get("n"))
	if err != nil || n < 0 || n >= len(m.Sheets.Files) {
		return fault{http.StatusNotFound, "there is no such sheet"}
	}
	name := m.Sheets.Files[n]
	if name != filepath.Base(name) {
		return fault{http.StatusInternalServerError, "the map names a sheet outside of its folder"}
	}
	f, err := durable.OpenRegular(filepath.Join(dir, name))
	if err != nil {
		return fault{http.StatusNotFound, "the sheet is missing; vicreg map makes it anew"}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	http.ServeContent(w, req, "", st.ModTime(), f)
	return nil
}
