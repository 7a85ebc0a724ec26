package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"vicreg/internal/imagefile"
	"vicreg/internal/index"
	"vicreg/internal/show"
)

// work gives a request its place among those at work, and its time.
func (s *Server) work(r *http.Request) (context.Context, func(), error) {
	select {
	case s.working <- struct{}{}:
	default:
		return nil, nil, busy(fmt.Sprintf("%d requests are at work already", s.o.Concurrency))
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	return ctx, func() {
		cancel()
		<-s.working
	}, nil
}

// features returns those of images, each with the bits that it has alone.
func (s *Server) features(ctx context.Context, files []file) ([][]float32, error) {
	out := make([][]float32, len(files))
	errs := make(chan error, len(files))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, f := range files {
		go func() {
			var err error
			out[i], err = s.feature(ctx, f)
			errs <- err
		}()
	}
	var first error
	for range files {
		if err := <-errs; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	if first != nil {
		return nil, s.late(first)
	}
	return out, nil
}

// late is an error of work that may have run out of time.
func (s *Server) late(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return busy(fmt.Sprintf("the request was not done after %v", s.o.Timeout))
	}
	return err
}

// feature decodes an image and takes it through the network.
func (s *Server) feature(ctx context.Context, f file) (y []float32, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errInternal
		}
	}()
	select {
	case s.decoding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	img, err := s.model.Decode(f.data, imagefile.Limits{Pixels: s.o.Pixels})
	if err != nil {
		<-s.decoding
		s.stats.bad.Add(1)
		return nil, faultf(http.StatusUnprocessableEntity, "bad_image", "%s: %v", show.Name(f.name), err)
	}
	values := s.model.Prepare(nil, img)
	img = imagefile.Image{}
	y, err = s.queue.embed(ctx, values, func() { <-s.decoding })
	if err != nil && ctx.Err() == nil && !errors.Is(err, errInternal) {
		return nil, faultf(http.StatusUnprocessableEntity, "bad_features", "%s: %v", show.Name(f.name), err)
	}
	return y, err
}

func (s *Server) embed(w http.ResponseWriter, r *http.Request) error {
	files, release, err := s.files(w, r)
	if err != nil {
		return err
	}
	defer release()
	ctx, done, err := s.work(r)
	if err != nil {
		return err
	}
	defer done()
	all, err := s.features(ctx, files)
	if err != nil {
		return err
	}
	a := embedAnswer{Model: s.about}
	for i, y := range all {
		a.Embeddings = append(a.Embeddings, embedding{files[i].name, y})
	}
	answer(w, http.StatusOK, a)
	return nil
}

func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	if s.index == nil {
		return faultf(http.StatusNotFound, "no_index", "this server has no index to search in; vicreg serve takes one by --index")
	}
	o := wanted{k: 12}
	err := o.parameters(r)
	if err != nil {
		return err
	}
	var vector []float32
	var files []file
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		body := http.MaxBytesReader(w, r.Body, min(s.o.Bytes, 4096+64*int64(s.index.D)))
		vector, err = parseVector(body, s.index.D, &o)
	} else {
		var release func()
		files, release, err = s.files(w, r)
		defer release()
	}
	if err == nil {
		err = o.check(s.index)
	}
	if err != nil {
		return err
	}
	ctx, done, err := s.work(r)
	if err != nil {
		return err
	}
	defer done()
	queries, names := vector, []string{"vector"}
	if vector == nil {
		all, err := s.features(ctx, files)
		if err != nil {
			return err
		}
		names = nil
		for i, y := range all {
			queries, names = append(queries, y...), append(names, files[i].name)
		}
	}
	found, err := s.index.Search(ctx, queries, index.Options{K: o.k, Probe: o.probe})
	if err != nil {
		return s.late(err)
	}
	var a searchAnswer
	for i, all := range found {
		res := result{names[i], []match{}}
		for _, m := range all {
			name, class := s.index.Items[m.Item].Name, s.index.Class(m.Item)
			res.Matches = append(res.Matches, match{m.Item, name, class, m.Cosine})
		}
		a.Results = append(a.Results, res)
	}
	answer(w, http.StatusOK, a)
	return nil
}

// thumbnailSize is the longer side of a thumbnail, in pixels.
const thumbnailSize = 240

func (s *Server) thumbnail(w http.ResponseWriter, r *http.Request) error {
	item, err := strconv.Atoi(r.PathValue("item"))
	if s.index == nil || err != nil || item < 0 || item >= len(s.index.Items) {
		return faultf(http.StatusNotFound, "no_such_item", "there is no such image in the index")
	}
	ctx, done, err := s.work(r)
	if err != nil {
		return err
	}
	defer done()
	select {
	case s.decoding <- struct{}{}:
		defer func() { <-s.decoding }()
	case <-ctx.Done():
		return s.late(ctx.Err())
	}
	m, err := s.pictures.Image(item)
	if err != nil {
		return faultf(http.StatusNotFound, "no_picture", "the image is not where it was when the index was made")
	}
	b, err := index.Thumbnail(m, thumbnailSize)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "private, max-age=3600")
	send(w, http.StatusOK, "image/jpeg", b)
	return nil
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	a := healthAnswer{Status: "ok", Version: s.o.Version, Model: s.about}
	if s.index != nil {
		a.Images = len(s.index.Items)
	}
	answer(w, http.StatusOK, a)
	return nil
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	send(w, http.StatusOK, "application/json", openapi)
	return nil
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) error {
	var b bytes.Buffer
	s.stats.write(&b, s)
	send(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", b.Bytes())
	return nil
}
