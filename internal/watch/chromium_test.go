//go:build linux

package watch

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// chromium is a headless Chromium that a test drives by the DevTools protocol, over two pipes:
// an object of JSON each way, ended by a zero byte. That is all of it that a test needs of a
// library, so there is none.
type chromium struct {
	t     *testing.T
	in    *os.File
	mu    sync.Mutex
	last  int
	calls map[int]chan reply
	tabs  map[string]*tab // by session
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// tab is a page. What its console complained of, and where it sent requests to, is kept.
type tab struct {
	*chromium
	session string

	said  []string // warnings and errors
	hosts map[string]bool
	sizes int64 // bytes that it received
}

// openChromium starts Chromium: the one that VICREG_CHROMIUM names, which must be there then,
// or the system's.
func openChromium(t *testing.T) *chromium {
	t.Helper()
	program := os.Getenv("VICREG_CHROMIUM")
	if program == "" {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if at, err := exec.LookPath(name); err == nil {
				program = at
				break
			}
		}
		if program == "" {
			t.Skip("there is no Chromium; install it, or name it by VICREG_CHROMIUM")
		}
	}
	toRead, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--user-data-dir="+home,
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-default-apps",
		"--disable-dev-shm-usage", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{toRead, toWrite} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	toWrite.Close()
	b := &chromium{t: t, in: in, calls: map[int]chan reply{}, tabs: map[string]*tab{}}
	ended := make(chan struct{})
	go func() {
		b.read(out)
		close(ended)
	}()
	t.Cleanup(func() {
		b.send("", "Browser.close", nil)
		in.Close()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
		}
		cmd.Wait()
	})
	return b
}

func (b *chromium) read(out *os.File) {
	defer out.Close()
	lines := bufio.NewReader(out)
	for {
		raw, err := lines.ReadBytes(0)
		if err != nil {
			b.mu.Lock()
			for id, c := range b.calls {
				close(c)
				delete(b.calls, id)
			}
			b.mu.Unlock()
			return
		}
		var m struct {
			ID        int
			SessionID string
			Method    string
			Params    json.RawMessage
			reply
		}
		if json.Unmarshal(bytes.TrimSuffix(raw, []byte{0}), &m) != nil {
			continue
		}
		b.mu.Lock()
		if c := b.calls[m.ID]; m.ID > 0 && c != nil {
			delete(b.calls, m.ID)
			c <- m.reply
		} else if p := b.tabs[m.SessionID]; p != nil {
			p.event(m.Method, m.Params)
		}
		b.mu.Unlock()
	}
}

// event takes in what happened on a page.
func (p *tab) event(method string, params json.RawMessage) {
	var e struct {
		Type      string
		Args      []struct{ Value, Description any }
		Entry     struct{ Level, Text, URL string }
		Request   struct{ URL string }
		Exception struct {
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
		DataLength int64
	}
	if json.Unmarshal(params, &e) != nil {
		return
	}
	switch method {
	case "Runtime.consoleAPICalled":
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.said = append(p.said, fmt.Sprint(e.Type, ": ", e.Args))
		}
	case "Runtime.exceptionThrown":
		p.said = append(p.said, "exception: "+e.Exception.Exception.Description)
	case "Log.entryAdded":
		driver := strings.Contains(e.Entry.Text, "GL Driver Message") // a software renderer is slow
		if (e.Entry.Level == "error" || e.Entry.Level == "warning") && !driver {
			p.said = append(p.said, e.Entry.Level+": "+e.Entry.Text+" "+e.Entry.URL)
		}
	case "Network.requestWillBeSent":
		if u, err := url.Parse(e.Request.URL); err == nil && u.Scheme != "data" && u.Scheme != "blob" {
			p.hosts[u.Host] = true
		}
	case "Network.dataReceived":
		p.sizes += e.DataLength
	}
}

var errClosed = errors.New("chromium has ended")

func (b *chromium) send(session, method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	b.mu.Lock()
	b.last++
	id, answer := b.last, make(chan reply, 1)
	b.calls[id] = answer
	raw, err := json.Marshal(struct {
		ID        int    `json:"id"`
		SessionID string `json:"sessionId,omitempty"`
		Method    string `json:"method"`
		Params    any    `json:"params"`
	}{id, session, method, params})
	if err == nil {
		_, err = b.in.Write(append(raw, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case r, ok := <-answer:
		if !ok {
			return nil, errClosed
		}
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("%s: no answer in a minute", method)
	}
}

type object map[string]any

// open opens a page of a width, in a theme, light or dark.
func (b *chromium) open(address string, width int, theme string) *tab {
	b.t.Helper()
	ask := func(session, method string, params object, into any) {
		b.t.Helper()
		raw, err := b.send(session, method, params)
		if err == nil && into != nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	var target struct{ TargetID string }
	ask("", "Target.createTarget", object{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	ask("", "Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &session)
	p := &tab{chromium: b, session: session.SessionID, hosts: map[string]bool{}}
	b.mu.Lock()
	b.tabs[p.session] = p
	b.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		ask(p.session, domain+".enable", nil, nil)
	}
	ask(p.session, "Emulation.setDeviceMetricsOverride",
		object{"width": width, "height": 850, "deviceScaleFactor": 1, "mobile": false}, nil)
	ask(p.session, "Emulation.setEmulatedMedia",
		object{"features": []object{{"name": "prefers-color-scheme", "value": theme}}}, nil)
	ask(p.session, "Page.navigate", object{"url": address}, nil)
	p.await("document.readyState", `"complete"`)
	return p
}

// eval is the JSON of an expression's value, or of what its promise comes to.
func (p *tab) eval(expression string) string {
	p.t.Helper()
	raw, err := p.send(p.session, "Runtime.evaluate",
		object{"expression": expression, "returnByValue": true, "awaitPromise": true})
	var r struct {
		Result    struct{ Value json.RawMessage }
		Exception *struct {
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err == nil && r.Exception != nil {
		err = errors.New(r.Exception.Exception.Description)
	}
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return string(r.Result.Value)
}

// await waits until an expression has a value.
func (p *tab) await(expression, want string) {
	p.t.Helper()
	got := ""
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if got = p.eval(expression); got == want {
			return
		}
	}
	p.t.Fatalf("%s is %s, not %s; the console says %q", expression, got, want, p.said)
}

// mouse moves the mouse to a place of the view, and clicks there.
func (p *tab) mouse(x, y float64, click bool) {
	p.t.Helper()
	kinds := []string{"mouseMoved"}
	if click {
		kinds = append(kinds, "mousePressed", "mouseReleased")
	}
	for _, kind := range kinds {
		e := object{"type": kind, "x": x, "y": y, "button": "none"}
		if kind != "mouseMoved" {
			e["button"], e["clickCount"] = "left", 1
		}
		if _, err := p.send(p.session, "Input.dispatchMouseEvent", e); err != nil {
			p.t.Fatal(err)
		}
	}
}

// key presses a key.
func (p *tab) key(name, text string) {
	p.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36}
	for _, kind := range []string{"keyDown", "keyUp"} {
		e := object{"type": kind, "key": name, "windowsVirtualKeyCode": codes[name]}
		if kind == "keyDown" && text != "" {
			e["text"] = text
		}
		if _, err := p.send(p.session, "Input.dispatchKeyEvent", e); err != nil {
			p.t.Fatal(err)
		}
	}
}

// fine fails if the page complained, or asked anybody but host.
func (p *tab) fine(host string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) > 0 {
		p.t.Errorf("the console says %q", p.said)
	}
	for h := range p.hosts {
		if h != host {
			p.t.Errorf("the page asked %s", h)
		}
	}
}

// picture writes what a page looks like into the folder that VICREG_SCREENSHOTS names.
func (p *tab) picture(name string) {
	p.t.Helper()
	folder := os.Getenv("VICREG_SCREENSHOTS")
	if folder == "" {
		return
	}
	time.Sleep(time.Second) // until all is drawn
	raw, err := p.send(p.session, "Page.captureScreenshot", object{"format": "png"})
	var r struct{ Data string }
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	png, decoded := base64.StdEncoding.DecodeString(r.Data)
	if err := errors.Join(err, decoded, os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644)); err != nil {
		p.t.Fatal(err)
	}
}
