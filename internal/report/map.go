package report

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"vicreg/internal/atlas"
	"vicreg/internal/show"
)

// What of a map a report shows.
const (
	mapPoints     = 8000
	wallImages    = 8
	wallNeighbour = 8
	examples      = 12
)

// AddMap adds the map of the embedding that lies in the run's folder, if there is one, and says
// so where it is of other weights than those whose checksum weights returns; an empty one is not
// known. What of the map cannot be shown is a note.
func (r *Run) AddMap(folder string, weights func() string) {
	m, err := atlas.Read(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		r.Stale = r.outdated(m, weights)
		err = r.addMap(m, folder)
	}
	if err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("The map in %s is left out: %s", filepath.Base(folder), err))
	}
}

// outdated says whether a map is of what the run's encoder was and no longer is.
func (r *Run) outdated(m *atlas.Map, weights func() string) string {
	anew := fmt.Sprintf("vicreg map %s draws it anew", show.Name(r.Folder))
	if done := r.done(); m.Epochs > 0 && done > 0 && m.Epochs != done {
		return fmt.Sprintf("This is what it saw after epoch %d, and the run has come to epoch %d since; %s.", m.Epochs, done, anew)
	}
	if now := weights(); now != "" && m.Weights != now {
		return fmt.Sprintf("This is what an encoder of other weights saw than the run has now; %s.", anew)
	}
	return ""
}

// done is how many epochs the run has done.
func (r *Run) done() int {
	if r.Summary != nil {
		return r.Summary.Epochs
	}
	if n := len(r.Metrics.Epochs); n > 0 {
		return r.Metrics.Epochs[n-1].Epoch
	}
	return 0
}

func (r *Run) addMap(m *atlas.Map, folder string) (err error) {
	pictures := m.Pictures(folder)
	if r.Walls, err = atlas.Wall(m, pictures, m.Some(wallImages), wallNeighbour); err != nil {
		return err
	}
	if len(m.Clusters) > 0 {
		if r.Clusters, err = atlas.Clusters(m, pictures, examples); err != nil {
			return err
		}
	}
	r.Map = atlas.SVG(m, atlas.Drawing{Points: mapPoints})
	r.About = fmt.Sprintf("Each dot is one of %s of “%s”; images that the network describes alike lie near each other. Names stand in the midst of what they name.",
		show.Count(len(m.Points), "image"), show.Line(m.Dataset))
	if now, before, ok := m.Agreement(); ok {
		r.About += fmt.Sprintf(" Of the nearest neighbours %s are of the image's own class, and with the untrained network %s.",
			percent(now), percent(before))
	}
	if n := len(m.Duplicates); n > 0 {
		r.About += fmt.Sprintf(" %s show the same image more than once.", show.Plural(n, "group", "groups"))
	}
	for _, n := range m.Note {
		r.Notes = append(r.Notes, sentence(n)+".")
	}
	return nil
}
