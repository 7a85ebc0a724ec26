//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The command answers requests, and ends with 0 at the first signal, when the request that
// is there has been answered.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	if err := writeImages(filepath.Join(dir, "photos"), 24); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		append([]string{"pretrain", "--data", "photos", "--out", "run", "--quiet"}, tiny...),
		{"index", "run", "--data", "photos", "--out", "photos.index"},
	} {
		cmd, lines, stderr := begin(t, dir, args...)
		for lines.Scan() {
		}
		if cmd.Wait() != nil {
			t.Fatal(stderr)
		}
	}
	cmd, lines, stderr := begin(t, dir, "serve", "run", "--index", "photos.index", "--addr", "127.0.0.1:0")
	lines.Scan()
	m := regexp.MustCompile(`^Serving run at (http://127\.0\.0\.1:\d+): 24 images; Ctrl-C ends$`).FindStringSubmatch(lines.Text())
	if m == nil {
		t.Fatalf("%q, %s", lines.Text(), stderr)
	}
	image, err := os.ReadFile(filepath.Join(dir, "photos", "img005.png"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.Post(m[1]+"/v1/search?k=1", "image/png", bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if r.StatusCode != 200 || !strings.Contains(string(answer), `"name":"img005.png"`) {
		t.Errorf("%d %s", r.StatusCode, answer)
	}
	http.DefaultClient.CloseIdleConnections()

	// A request whose second half comes after the signal.
	c, err := net.Dial("tcp", strings.TrimPrefix(m[1], "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", len(image))
	c.Write(image[:len(image)/2])
	time.Sleep(200 * time.Millisecond) // until it has been taken
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	c.Write(image[len(image)/2:])
	answer, err = io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") || !strings.Contains(string(answer), `"features":[`) {
		t.Errorf("%v, %.300s", err, answer)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(stderr.String(), "answering 1 request; again to leave at once") {
		t.Errorf("%v, %s", err, stderr)
	}
}
