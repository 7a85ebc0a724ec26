package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// listening is a server that answers real connections until the test ends.
func listening(t testing.TB, s *Server) (url string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, nil) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	return "http://" + l.Addr().String(), stop
}

var minute = flag.Duration("load", 2*time.Second, "how long TestManyAtOnce lasts")

// Two hundred clients at once, some of whom send what is no image: every answer is the
// right one, and nothing is left when they are gone.
func TestManyAtOnce(t *testing.T) {
	const clients = 200
	s := started(t, 50, Options{})
	url, stop := listening(t, s)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients}}
	post := func(path string, body []byte) (int, []byte, error) {
		r, err := client.Post(url+path, "image/png", bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		defer r.Body.Close()
		answer, err := io.ReadAll(r.Body)
		return r.StatusCode, answer, err
	}
	files := make([][]byte, 50)
	want := make([]string, len(files))
	for i := range files {
		files[i] = picture(i, 20, 18)
		_, answer, err := post("/v1/embed", files[i])
		if err != nil {
			t.Fatal(err)
		}
		want[i] = string(answer)
	}
	client.CloseIdleConnections()
	time.Sleep(50 * time.Millisecond)
	before, memory := runtime.NumGoroutine(), resident()
	var asked, wrong atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	end := time.Now().Add(*minute)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := c; time.Now().Before(end); i++ {
				began := time.Now()
				var status int
				var answer []byte
				var err error
				good := true
				switch k := i % len(files); {
				case i%10 == 9:
					status, answer, err = post("/v1/embed", files[k][:len(files[k])/2])
					good = status == 422
				case i%10 == 8:
					status, answer, err = post("/v1/search?k=3", files[k])
					good = status == 200 && strings.Contains(string(answer), fmt.Sprintf(`"matches":[{"item":%d,`, k))
				default:
					status, answer, err = post("/v1/embed", files[k])
					good = status == 200 && string(answer) == want[k]
				}
				if asked.Add(1); err != nil || !good {
					if wrong.Add(1) < 5 {
						t.Errorf("status %d, error %v, answer %.200s", status, err, answer)
					}
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
	left := runtime.NumGoroutine()
	for deadline := time.Now().Add(3 * time.Second); left > before+5 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
		left = runtime.NumGoroutine()
	}
	if left > before+5 {
		t.Errorf("%d goroutines are left, of %d before", left, before)
	}
	if s.room.Load() != s.o.room || len(s.working) != 0 || len(s.decoding) != 0 {
		t.Errorf("%d bytes, %d places and %d decoders are still taken", s.o.room-s.room.Load(), len(s.working), len(s.decoding))
	}
	slices.Sort(took)
	t.Logf("%d requests of %d clients in %v, %d wrong; half within %v, 99%% within %v, all within %v; %d images in %d batches; goroutines %d then %d; resident %d MiB then %d MiB",
		asked.Load(), clients, *minute, wrong.Load(), took[len(took)/2], took[len(took)*99/100], took[len(took)-1],
		s.queue.images.Load(), s.queue.batches.Load(), before, left, memory>>20, resident()>>20)
	if asked.Load() < clients || wrong.Load() > 0 {
		t.Errorf("%d of %d requests went wrong", wrong.Load(), asked.Load())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Clients that send a byte now and then, of the head or of the body, keep nobody else
// waiting, and are sent away.
func TestSlowClients(t *testing.T) {
	s := started(t, 0, Options{Reading: 300 * time.Millisecond, header: 300 * time.Millisecond, Concurrency: 4})
	url, _ := listening(t, s)
	const slow = 100
	ends := make(chan string, slow)
	for i := range slow {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text := "POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
		if i%2 == 0 {
			text = "POST /v1/embed HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
		}
		go func() {
			io.WriteString(c, text)
			for range 100 {
				time.Sleep(20 * time.Millisecond)
				if _, err := io.WriteString(c, "x"); err != nil {
					break
				}
			}
		}()
		go func() {
			line, _ := bufio.NewReader(c).ReadString('\n')
			ends <- line
		}()
	}
	time.Sleep(50 * time.Millisecond)
	for range 5 {
		began := time.Now()
		r, err := http.Post(url+"/v1/embed", "image/png", bytes.NewReader(picture(1, 20, 20)))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if took := time.Since(began); r.StatusCode != 200 || took > 2*time.Second {
			t.Errorf("status %d after %v beside slow clients", r.StatusCode, took)
		}
	}
	deadline := time.After(5 * time.Second)
	late := 0
	for range slow {
		select {
		case line := <-ends:
			if strings.Contains(line, "408") {
				late++
			}
		case <-deadline:
			t.Fatal("slow clients are still there")
		}
	}
	if late < slow/2 {
		t.Errorf("%d of %d bodies that did not come were answered with 408", late, slow/2)
	}
	if s.room.Load() != s.o.room {
		t.Errorf("%d bytes are still taken", s.o.room-s.room.Load())
	}
}

// Who is there when the server ends is answered; who comes later is not let in.
func TestShutdown(t *testing.T) {
	s := started(t, 0, Options{})
	url, stop := listening(t, s)
	silent, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for range cap(s.decoding) {
		s.decoding <- struct{}{} // the request waits for a place
	}
	answered := make(chan int, 1)
	go func() {
		r, err := http.Post(url+"/v1/embed", "image/png", bytes.NewReader(picture(1, 20, 20)))
		if err != nil {
			answered <- -1
			return
		}
		answered <- r.StatusCode
	}()
	for len(s.working) == 0 {
		time.Sleep(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for {
		if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err != nil {
			break // it listens no more
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-ended:
		t.Fatalf("it ended before the request was answered: %v", err)
	case status := <-answered:
		t.Fatalf("answered too early: %d", status)
	default:
	}
	for range cap(s.decoding) {
		<-s.decoding
	}
	if status := <-answered; status != 200 {
		t.Errorf("status %d", status)
	}
	began := time.Now()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a silent connection kept the server for %v", took)
	}
}

// Without a token it listens on this machine alone.
func TestListensHere(t *testing.T) {
	s := started(t, 0, Options{})
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context(), l, nil); err == nil || !strings.Contains(err.Error(), "there is no token") {
		t.Error(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is open: %v", err)
	}
}
