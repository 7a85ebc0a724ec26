//go:build linux

package watch

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/atlas"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
)

// writeMap writes a map of n points in ten classes, each in a place of its own.
func writeMap(t *testing.T, dir string, n int) {
	t.Helper()
	const side, columns, rows = 16, 100, 100
	r := rng.New(7)
	m := &atlas.Map{Model: "runs/live/model.safetensors", Weights: "0", Method: "vicreg", Arch: "resnet18", Epochs: 3,
		Dataset: "shapes", Images: n, Sheets: atlas.Sheets{Side: side, Columns: columns, Rows: rows}}
	for c := range 10 {
		m.Classes = append(m.Classes, fmt.Sprintf("shape %d", c))
		m.Clusters = append(m.Clusters, atlas.Cluster{Size: n / 10, Cosine: 0.8, Examples: []int{c, c + 10, c + 20}})
	}
	for i := range n {
		c := i % 10
		sin, cos := math.Sincos(float64(c) / 10 * 2 * math.Pi)
		at := func(spread float64) [2]float32 {
			return [2]float32{float32(0.6*cos + spread*r.NormFloat64()), float32(0.6*sin + spread*r.NormFloat64())}
		}
		clip := func(p [2]float32) [2]float32 { return [2]float32{max(-1, min(1, p[0])), max(-1, min(1, p[1]))} }
		p := atlas.Point{Name: fmt.Sprintf("%d/%05d.png", c, i), PCA: clip(at(0.2)), TSNE: clip(at(0.07)), Class: c, Cluster: c}
		for k := 1; k <= 8; k++ {
			p.Neighbours, p.Before = append(p.Neighbours, (i+10*k)%n), append(p.Before, (i+7*k)%n)
		}
		m.Points = append(m.Points, p)
	}
	m.Duplicates, m.Outliers = [][]int{{1, 11}}, []int{5, 6}
	var sheets [][]byte
	for s := range (n + columns*rows - 1) / (columns * rows) {
		sheet := image.NewRGBA(image.Rect(0, 0, side*columns, side*rows))
		m.Sheets.Files = append(m.Sheets.Files, fmt.Sprintf("thumbs-%d.jpg", s))
		for i := s * columns * rows; i < min(n, (s+1)*columns*rows); i++ {
			_, x, y := m.Sheets.Thumb(i)
			ink := color.RGBA{uint8(25 * (i % 10)), uint8(255 - 25*(i%10)), 128, 255}
			for k := range side * side {
				if dx, dy := k%side-8, k/side-8; dx*dx+dy*dy < 20+4*(i%10) {
					sheet.Set(x+k%side, y+k/side, ink)
				}
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, sheet, nil); err != nil {
			t.Fatal(err)
		}
		sheets = append(sheets, b.Bytes())
	}
	if err := m.Write(filepath.Join(dir, atlas.Folder), sheets); err != nil {
		t.Fatal(err)
	}
}

// serveRuns shows what lies below a folder until the test ends, and returns the address.
func serveRuns(t *testing.T, root string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- New(root).Serve(ctx, l, "") }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// basics are what every page must have: a value for each that it lacks.
const basics = `(() => {
	const bad = [];
	const lum = (c) => {
		const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const rgba = (text) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = text;
		canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const back = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor);
			if (c[3] > 200) return c.slice(0, 3);
		}
		return [255, 255, 255];
	};
	if (!document.documentElement.lang) bad.push('no language');
	if (!document.title) bad.push('no title');
	if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
	for (const e of document.querySelectorAll('input, select, button, a, [role=img], [role=region], progress, canvas')) {
		const label = e.getAttribute('aria-label') || e.title || e.labels?.[0]?.textContent || e.textContent ||
			(e.matches('canvas') && e.closest('[aria-label], [aria-hidden]') && 'canvas');
		if (!String(label ?? '').trim()) bad.push('no label: ' + e.outerHTML.slice(0, 90));
	}
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let t = walk.nextNode(); t; t = walk.nextNode()) {
		const e = t.parentElement;
		if (!t.textContent.trim() || !e.checkVisibility() || e.closest('noscript, [aria-hidden=true], .skip, .unseen, option')) continue;
		const [a, b] = [lum(rgba(getComputedStyle(e).color).slice(0, 3)), lum(back(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.push('contrast ' + ratio.toFixed(2) + ': ' + e.className + ' ' + t.textContent.trim().slice(0, 40));
	}
	if (document.documentElement.scrollWidth > innerWidth) bad.push('scrolls sideways');
	return [...new Set(bad)].slice(0, 12);
})()`

// look is how a page is looked at.
type look struct {
	theme string
	width int
}

// looks are both themes and both widths; each with each for pictures.
func looks() []look {
	all := []look{{"light", 1280}, {"dark", 390}}
	if os.Getenv("VICREG_SCREENSHOTS") != "" {
		all = append(all, look{"dark", 1280}, look{"light", 390})
	}
	return all
}

// Pages of runs that go on, in a real browser.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("it opens a browser")
	}
	b := openChromium(t)
	root := t.TempDir()
	live := filepath.Join(root, "live")
	l := testRun(t, live, strings.Replace(smallConfig, "epochs: 10", "epochs: 400", 1))
	unlock, err := runlog.Lock(live)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	write := func(log *testLog, from, to int, level float64) {
		var text strings.Builder
		for e := from; e < to; e++ {
			wave := level + 10/math.Sqrt(float64(e)) + 0.4*math.Sin(float64(e)*1.7)
			for s := range 5 {
				text.WriteString(stepLine(e, 50*(e-1)+10*(s+1), wave+0.3*float64(s%3)))
			}
			line := epochLine(e, 50*e, wave, 0.4+0.4*(1-1/math.Sqrt(float64(e))))
			values := []string{}
			for k := range 3 {
				values = append(values, fmt.Sprintf("%.3g", math.Exp(-float64(k)*3/math.Sqrt(float64(e)))))
			}
			text.WriteString(strings.Replace(line, "[3,2,1]", "["+strings.Join(values, ",")+"]", 1))
		}
		log.write(text.String())
	}
	write(l, 1, 40, 12)
	l.write(`{"event":"warning","epoch":40,"step":1950,"message":"2 images could not be read and were left out"}` + "\n")
	other := testRun(t, filepath.Join(root, "sweep/other"), strings.Replace(smallConfig, "lambda: 25", "lambda: 10", 1))
	write(other, 1, 11, 15)
	writeMap(t, live, 10_000)
	host := serveRuns(t, root)
	base := "http://" + host

	t.Run("table", func(t *testing.T) {
		for _, look := range looks() {
			p := b.open(base, look.width, look.theme)
			p.await("document.querySelectorAll('#runs tbody tr').length", "2")
			if got := p.eval(basics); got != "[]" {
				t.Errorf("%s, %d: %s", look.theme, look.width, got)
			}
			p.eval("document.querySelectorAll('#runs input').forEach((x) => x.click())")
			p.await("document.querySelector('main').dataset.drawn", `"2"`)
			p.await("document.querySelectorAll('#panels canvas').length > 8", "true")
			p.await("document.querySelector('#difference').innerText.includes('loss.lambda')", "true")
			if got := p.eval(basics); got != "[]" {
				t.Errorf("with runs chosen, %s, %d: %s", look.theme, look.width, got)
			}
			p.picture(fmt.Sprintf("table-%s-%d", look.theme, look.width))
			p.fine(host)
		}
		p := b.open(base, 1280, "light")
		p.await("document.querySelectorAll('#runs tbody tr').length", "2")
		heads := "[...document.querySelectorAll('#runs thead th')].filter((x) => x.checkVisibility()).map((x) => x.innerText).join(' ')"
		p.await(heads+".includes('loss') && !"+heads+".includes('recall')", "true") // a figure that no run has
		shown := "[...document.querySelectorAll('#runs tbody tr')].filter((x) => x.checkVisibility()).map((x) => x.dataset.id)"
		filter := func(text string) {
			p.eval(fmt.Sprintf("(() => { const f = document.getElementById('filter'); f.value = %q; "+
				"f.dispatchEvent(new Event('input')); })()", text))
		}
		filter("LAMBDA=10 vicreg")
		p.await(shown, `["sweep/other"]`)
		filter("nothing of the kind")
		p.await(shown, `[]`)
		filter("")
		// By keyboard: sort by a column, choose a run.
		p.eval("document.querySelector('#runs thead button[data-column=\"1\"]').focus()")
		p.key("Enter", "\r")
		p.await(shown, `["live","sweep/other"]`)
		p.key("Enter", "\r")
		p.await(shown, `["sweep/other","live"]`)
		p.eval("document.querySelector('tr[data-id=live] input').focus()")
		p.key(" ", " ")
		p.await("document.querySelector('main').dataset.drawn", `"1"`)
		p.await("location.hash", `"#run=live"`)
		// What comes and goes does so without a reload, and what is chosen stays.
		testRun(t, filepath.Join(root, "late"), smallConfig)
		p.await("document.querySelector('tr[data-id=late]') !== null", "true")
		write(other, 11, 12, 15)
		p.await("document.querySelector('tr[data-id=\"sweep/other\"] .done span').textContent", `"11 of 10"`)
		p.await("document.querySelector('tr[data-id=live] input').checked", "true")
		p.fine(host)
	})

	t.Run("run", func(t *testing.T) {
		for _, look := range looks() {
			p := b.open(base+"/run?id=live", look.width, look.theme)
			p.await("document.querySelectorAll('#panels canvas').length > 8", "true")
			p.await("document.querySelectorAll('#spectrum canvas').length", "1")
			if got := p.eval(basics); got != "[]" {
				t.Errorf("%s, %d: %s", look.theme, look.width, got)
			}
			p.picture(fmt.Sprintf("run-%s-%d", look.theme, look.width))
			p.fine(host)
		}
		p := b.open(base+"/run?id=live", 1280, "light")
		p.await("Number(document.querySelector('main').dataset.points)", fmt.Sprint(39*6))
		// The curves grow as the run goes on.
		write(l, 40, 60, 12)
		p.await("Number(document.querySelector('main').dataset.points)", fmt.Sprint(59*6))
		p.await("document.querySelector('#head').innerText.includes('epoch 59 of 400')", "true")
		p.await("document.querySelector('#tail').innerText.includes('\"step\":2950')", "true")
		// A mark tells what happened, and the mouse reads a value.
		box := "document.querySelector('[data-name=loss] .u-over').getBoundingClientRect()"
		var x, y, width float64
		fmt.Sscan(p.eval(box+".x")+" "+p.eval(box+".y")+" "+p.eval(box+".width"), &x, &y, &width)
		p.mouse(x+width*(1950-10)/(2950-10), y+50, false)
		p.await("document.querySelector('[data-name=loss] .value').textContent.includes('2 images could not be read')", "true")
		// By keyboard: read values, zoom in and out.
		p.eval("document.querySelector('[data-name=loss] .plot').focus()")
		p.key("Home", "")
		p.await("document.querySelector('[data-name=loss] .value').textContent.includes('at step 10')", "true")
		p.key("+", "+")
		p.await("Number(document.querySelector('main').dataset.points) < 59 * 6", "true")
		p.key("0", "0")
		p.await("Number(document.querySelector('main').dataset.points)", fmt.Sprint(59*6))
		// The configuration against another run's.
		p.eval("(() => { const s = document.getElementById('against'); s.value = 'sweep/other'; " +
			"s.dispatchEvent(new Event('change')); })()")
		p.await("[...document.querySelectorAll('#settings tr.differs')].map((x) => x.innerText.replace(/\\s+/g, ' ').trim())",
			`["epochs 400 10","loss.lambda 25 10"]`)
		p.fine(host)
	})

	t.Run("map", func(t *testing.T) {
		for _, look := range looks() {
			p := b.open(base+"/map?id=live", look.width, look.theme)
			p.await("Number(document.querySelector('main').dataset.drawn)", "10000")
			if got := p.eval(basics); got != "[]" {
				t.Errorf("%s, %d: %s", look.theme, look.width, got)
			}
			p.eval("document.querySelector('#clusters button').click()")
			p.await("document.querySelectorAll('#near .picture').length", "16")
			p.picture(fmt.Sprintf("map-%s-%d", look.theme, look.width))
			p.fine(host)
		}
		p := b.open(base+"/map?id=live", 1280, "light")
		p.await("Number(document.querySelector('main').dataset.drawn)", "10000")
		if got := p.eval("document.querySelectorAll('#regions span:not([hidden])').length"); got != "10" {
			t.Errorf("%s regions have names", got)
		}
		// Points are where they are said to be: the mouse over one shows its image.
		var x, y float64
		at := func(part string) string {
			return "(() => { const r = document.querySelector('#regions span').getBoundingClientRect(); return r." + part + "; })()"
		}
		fmt.Sscan(p.eval(at("x + r.width / 2"))+" "+p.eval(at("y + r.height / 2")), &x, &y)
		for range 50 { // the search for the point is built in a worker
			p.mouse(x-3, y, false)
			p.mouse(x, y, false)
			if p.eval("document.getElementById('tip').hidden") == "false" {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		p.await("document.getElementById('tip').innerText.includes('shape 0')", "true")
		if got := p.eval("document.querySelector('#tip .thumb').style.backgroundImage"); !strings.Contains(got, "/map/sheet?id=live") {
			t.Errorf("the image is %s", got)
		}
		if got := p.eval("document.querySelector('#tip .thumb').style.backgroundSize"); got != `"9600px"` && got != `"9600px auto"` {
			t.Errorf("the sheet is scaled to %s", got) // a sheet that is not full has fewer rows than others
		}
		p.mouse(x, y, true)
		p.await("document.querySelectorAll('#near .picture').length", "16")
		p.await("document.querySelectorAll('#near .picture.same').length >= 8", "true")
		// Places and colours change; images are found by name, and by keyboard from one to the next.
		p.eval("(() => { const s = document.getElementById('places'); s.value = 'pca'; s.dispatchEvent(new Event('change')); })()")
		p.eval("(() => { const s = document.getElementById('colours'); s.value = ''; s.dispatchEvent(new Event('change')); })()")
		p.await("document.querySelectorAll('#regions span').length", "0")
		p.eval("(() => { const f = document.getElementById('image'); f.value = '7/00017'; f.dispatchEvent(new Event('input')); })()")
		p.await("document.getElementById('near').dataset.point", `"17"`)
		p.eval("document.querySelector('#near .picture').focus()")
		p.key("Enter", "\r")
		p.await("document.getElementById('near').dataset.point", `"27"`)
		p.fine(host)
	})
}

// The figure of a run of one epoch is that of the epoch, not of its last step, and the texts at an
// axis are told apart.
func TestBrowserOneEpoch(t *testing.T) {
	if testing.Short() {
		t.Skip("it opens a browser")
	}
	b := openChromium(t)
	root := t.TempDir()
	testRun(t, filepath.Join(root, "once"), smallConfig).write(stepLine(1, 10, 20.5) + epochLine(1, 10, 20.8, 1))
	host := serveRuns(t, root)
	p := b.open("http://"+host+"/run?id=once", 1280, "light")
	p.await("document.querySelectorAll('#panels canvas').length > 8", "true")
	for name, want := range map[string]string{"loss": `"20.8"`, "kNN": `"100.0%"`} {
		p.await("document.querySelector('[data-name="+name+"] .value').textContent", want)
	}
	source, err := os.ReadFile("_web/src/axis.js")
	if err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		"[0, 0.0005, 0.001, 0.0015], 0.0005, true":      `["0%","0.05%","0.10%","0.15%"]`,
		"[0.5, 0.75, 1], 0.25, true":                    `["50%","75%","100%"]`,
		"[20.8, 20.825, null], 0.025, false":            `["20.800","20.825",null]`,
		"[0, 2e6, 4e6], 2e6, false":                     `["0","2e+6","4e+6"]`,
		"[0.0000005, 0.000001, 0.0000015], 5e-7, false": `["5.0e-7","1.0e-6","1.5e-6"]`,
	} {
		script := fmt.Sprintf("(() => { %s; return tickTexts(%s); })()", strings.Replace(string(source), "export ", "", 1), call)
		if got := p.eval(script); got != want {
			t.Errorf("%s: %s, want %s", call, got, want)
		}
	}
	p.picture("once")
	p.fine(host)
}
