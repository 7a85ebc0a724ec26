// Panels of curves, drawn by uPlot.
import uPlot from 'uplot';
import { tickTexts } from './axis.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// colour is the i-th of a few colours that can be told apart in both themes.
export const colour = (i) => css(`--c${(i % 8) + 1}`);

export function digits(v) {
  if (v === null || v === undefined) return '–';
  const a = Math.abs(v);
  if (a !== 0 && (a < 0.001 || a >= 1e6)) return v.toExponential(2);
  if (a >= 100) return v.toFixed(0);
  return String(Number(v.toPrecision(3)));
}
const percent = (v) => (v === null || v === undefined ? '–' : `${(100 * v).toFixed(1)}%`);
export const shares = new Set(['kNN', 'top 1', 'views found', 'time waited']);
export const textOf = (name) => (shares.has(name) ? percent : digits);

// The names of figures, and the titles of those whose names do not say what they are of.
const titles = { std: 'embedding std', correlation: 'embedding correlation', rank: 'embedding rank' };
const titleOf = (name) => titles[name] ?? name.replace(/^term /, '');

const height = 190;
const font = '12px system-ui, sans-serif';

// labels writes the name of each curve at its end, none over another.
function labels(u, curves) {
  const c = u.ctx;
  const ratio = devicePixelRatio;
  const ends = [];
  for (let s = 1; s < u.data.length; s++) {
    if (!curves[s - 1].label) continue;
    const y = u.data[s];
    const x = u.data[0];
    let i = y.length - 1;
    while (i >= 0 && (y[i] === null || y[i] === undefined || x[i] > u.scales.x.max)) i--;
    if (i < 0 || x[i] < u.scales.x.min) continue;
    ends.push({ x: u.valToPos(x[i], 'x', true), y: u.valToPos(y[i], 'y', true), s });
  }
  ends.sort((a, b) => a.y - b.y);
  const line = 13 * ratio;
  for (let i = 1; i < ends.length; i++) ends[i].y = Math.max(ends[i].y, ends[i - 1].y + line);
  const below = u.bbox.top + u.bbox.height;
  for (let i = ends.length - 1, y = below; i >= 0; i--, y -= line) ends[i].y = Math.min(ends[i].y, y);
  c.save();
  c.font = `${11 * ratio}px system-ui, sans-serif`;
  c.textBaseline = 'middle';
  c.textAlign = 'left';
  for (const e of ends) {
    c.fillStyle = curves[e.s - 1].stroke;
    const room = u.ctx.canvas.width - e.x - 6 * ratio;
    let text = curves[e.s - 1].label;
    while (text.length > 3 && c.measureText(text).width > room) text = `${text.slice(0, -2).trimEnd()}…`;
    c.fillText(text, Math.min(e.x + 5 * ratio, u.ctx.canvas.width - c.measureText(text).width), e.y);
  }
  c.restore();
}

// marked draws a line where something happened.
function marked(u, marks) {
  const c = u.ctx;
  const ratio = devicePixelRatio;
  c.save();
  c.strokeStyle = css('--warn');
  c.fillStyle = css('--warn');
  c.lineWidth = ratio;
  c.setLineDash([3 * ratio, 3 * ratio]);
  for (const m of marks) {
    if (m.x < u.scales.x.min || m.x > u.scales.x.max) continue;
    const x = Math.round(u.valToPos(m.x, 'x', true));
    c.beginPath();
    c.moveTo(x, u.bbox.top);
    c.lineTo(x, u.bbox.top + u.bbox.height);
    c.stroke();
    c.beginPath();
    c.moveTo(x - 4 * ratio, u.bbox.top);
    c.lineTo(x + 4 * ratio, u.bbox.top);
    c.lineTo(x, u.bbox.top + 6 * ratio);
    c.fill();
  }
  c.restore();
}

// Panel is one figure's curves. show draws them; zoom is called with a range, or null for all.
export class Panel {
  constructor(name, zoom) {
    this.name = name;
    this.zoom = zoom;
    this.text = textOf(name);
    this.element = document.createElement('figure');
    this.element.className = 'panel';
    this.element.dataset.name = name;
    this.caption = document.createElement('figcaption');
    const title = document.createElement('span');
    title.className = 'title';
    title.textContent = titleOf(name);
    this.value = document.createElement('span');
    this.value.className = 'value';
    this.caption.append(title, ' ', this.value);
    this.plot = document.createElement('div');
    this.plot.className = 'plot';
    this.plot.tabIndex = 0;
    this.plot.setAttribute('role', 'img');
    this.element.append(this.caption, this.plot);
    this.plot.addEventListener('keydown', (e) => this.key(e));
    this.shape = '';
  }

  // show draws curves, each with x, y, stroke, width and perhaps a label, and marks.
  show({ curves, marks = [], axis = 'step', range = null, scales = {} }) {
    this.curves = curves;
    this.marks = marks;
    this.axis = axis;
    this.range = range;
    const data = curves.length === 1 ? [curves[0].x, curves[0].y] : uPlot.join(curves.map((c) => [c.x, c.y]));
    const wide = this.plot.clientWidth || 300;
    const shape = JSON.stringify([curves.map((c) => [c.label, c.stroke, c.width]), axis, wide, scales]);
    this.points = data[0].length;
    if (this.u && shape === this.shape) {
      this.u.setData(data, false);
      this.rescale();
    } else {
      this.u?.destroy();
      this.shape = shape;
      this.u = new uPlot(this.options(wide, scales), data, this.plot);
      this.u.over.addEventListener('dblclick', () => this.zoom?.(null));
      this.rescale();
    }
    this.tell();
  }

  rescale() {
    const xs = this.u.data[0];
    const from = this.range?.[0] ?? (xs.length > 2 || this.axis === 'rank' ? xs[0] : 0);
    let to = this.range?.[1] ?? xs[xs.length - 1] ?? 1;
    if (!(to > from)) to = from + 1;
    this.u.batch(() => this.u.setScale('x', { min: from, max: to }));
  }

  options(width, scales) {
    const ink = css('--quiet');
    const grid = { stroke: css('--line'), width: 1 };
    const powers = (u, values) => values.map((v) => (Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9 ? v : null));
    const ruled = (scale) => (scale?.distr === 3 ? { ...grid, filter: powers } : grid);
    const few = (u, values, axis, room, step) => (scales.y?.distr === 3
      ? values.map((v) => (v === null ? null : this.text(v).replace('.00e', 'e'))) : tickTexts(values, step, shares.has(this.name)));
    const whole = (u, values, axis, room, step) => {
      if (scales.x?.distr === 3) return values.map((v) => (v === null ? null : digits(v)));
      const thousands = step >= 100 && values.some((v) => v >= 10000) ? 1000 : 1;
      return tickTexts(values.map((v) => v / thousands), step / thousands, false).map((t) => (thousands === 1 || t === '0' ? t : `${t}k`));
    };
    // wide is the width of the longest label, so that none is cut off, and at least what lines panels up.
    const wide = (u, values, axis) => {
      u.ctx.font = u.axes[axis].font[0];
      return Math.max(52, Math.ceil(Math.max(0, ...(values ?? []).map((t) => u.ctx.measureText(t ?? '').width)) / devicePixelRatio) + 18);
    };
    const labelled = this.curves.some((c) => c.label);
    return {
      width,
      height,
      legend: { show: false },
      padding: [8, labelled ? 84 : 20, 0, 0],
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 },
        sync: this.zoom ? { key: 'page', setSeries: false } : undefined },
      scales: { x: { time: false, auto: false, ...scales.x }, y: { ...scales.y } },
      axes: [
        { stroke: ink, font, grid: ruled(scales.x), ticks: ruled(scales.x), values: whole, size: 30, space: 60 },
        { stroke: ink, font, grid: ruled(scales.y), ticks: ruled(scales.y), values: few, size: wide, space: 34 },
      ],
      series: [{}, ...this.curves.map((c) => ({ stroke: c.stroke, width: c.width ?? 1.5, spanGaps: true,
        points: { show: c.x.length < 3, size: 5, fill: c.stroke } }))],
      hooks: {
        draw: [(u) => { marked(u, this.marks); labels(u, this.curves); }],
        setCursor: [(u) => this.tell(u.cursor.idx)],
        setSelect: [(u) => {
          if (u.select.width < 4) return;
          const [a, b] = [u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')];
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          this.zoom?.([a, b]);
        }],
      },
    };
  }

  // tell says beside the title what the curves are at a place, or at their ends.
  tell(at) {
    const u = this.u;
    if (!u) return;
    const [xs, ...ys] = u.data;
    const near = (y, i) => {
      for (let d = 0; d < y.length; d++) {
        if (y[i - d] !== null && y[i - d] !== undefined) return y[i - d];
        if (y[i + d] !== null && y[i + d] !== undefined) return y[i + d];
      }
      return null;
    };
    const there = at !== null && at !== undefined;
    const i = there ? at : xs.length - 1;
    const labelled = this.curves.some((c) => c.label);
    const values = ys.filter((y, s) => !labelled || this.curves[s].label).map((y) => this.text(near(y, i)));
    const shown = labelled ? values.join(' · ') : values[values.length - 1];
    let text = shown ?? '';
    if (there && xs.length) {
      text += ` at ${this.axis} ${digits(xs[i])}`;
      const mark = this.marks.find((m) => Math.abs(u.valToPos(m.x, 'x') - u.cursor.left) < 6);
      if (mark) text += `: ${mark.text}`;
    }
    this.value.textContent = text;
    this.value.title = text;
    if (!there) {
      this.plot.setAttribute('aria-label', `${titleOf(this.name)}: ${this.points} points up to ${this.axis} ${
        xs.length ? digits(xs[xs.length - 1]) : 0}, last ${shown ?? 'none'}. Arrow keys read values, plus and minus zoom.`);
    }
  }

  // key moves the cursor by arrow keys and zooms by plus, minus and 0.
  key(e) {
    const u = this.u;
    if (!u || e.ctrlKey || e.metaKey || e.altKey) return;
    const xs = u.data[0];
    const i = u.cursor.idx ?? xs.length - 1;
    const jump = Math.max(1, Math.round(xs.length / 100));
    const go = { ArrowLeft: i - jump, ArrowRight: i + jump, Home: 0, End: xs.length - 1 }[e.key];
    if (go !== undefined && xs.length) {
      const to = Math.min(xs.length - 1, Math.max(0, go));
      u.setCursor({ left: u.valToPos(xs[to], 'x'), top: 10 });
      this.tell(to);
      e.preventDefault();
      return;
    }
    if (!this.zoom || !['+', '=', '-', '0'].includes(e.key)) return;
    const { min, max } = u.scales.x;
    const middle = u.cursor.idx != null ? xs[u.cursor.idx] : (min + max) / 2;
    const half = (max - min) * (e.key === '-' ? 1 : 0.25);
    this.zoom(e.key === '0' || (e.key === '-' && half * 2 >= xs[xs.length - 1] - xs[0]) ? null
      : [Math.max(0, middle - half), middle + half]);
    e.preventDefault();
  }

  destroy() {
    this.u?.destroy();
    this.element.remove();
  }
}

// order of the panels, as far as their names are known; others come between.
const order = ['loss', 'term ', 'std', 'correlation', 'rank', 'kNN', 'top 1', 'views found', '', 'learning rate',
  'gradient norm', 'images a second', 'time waited'];
const place = (name) => {
  const at = order.findIndex((o) => o && (o === name || (o === 'term ' && name.startsWith(o))));
  return at < 0 ? order.indexOf('') : at;
};

// Panels are the panels of some runs, one for each figure that a run has.
export class Panels {
  constructor(element) {
    this.element = element;
    this.panels = new Map();
    this.range = null;
    this.axis = 'step';
    this.runs = [];
    let width = 0;
    new ResizeObserver(() => {
      if (element.clientWidth !== width) {
        width = element.clientWidth;
        this.draw();
      }
    }).observe(element);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  // pixels is how wide a panel's curves are.
  get pixels() { return Math.max(200, Math.round(((this.element.querySelector('.plot')?.clientWidth ?? 400) - 60) * devicePixelRatio)); }

  // steps is the range in steps of what is seen, for a run.
  steps(per) {
    if (!this.range) return null;
    return this.axis === 'epoch' ? (per ? this.range.map((x) => x * per) : null) : this.range;
  }

  draw() {
    const several = this.runs.length > 1;
    const names = new Set();
    for (const r of this.runs) for (const n of [...(r.step.names ?? []), ...(r.epoch.names ?? [])]) names.add(n);
    const sorted = [...names].sort((a, b) => place(a) - place(b));
    for (const [name, p] of this.panels) {
      if (!names.has(name)) {
        p.destroy();
        this.panels.delete(name);
      }
    }
    sorted.forEach((name, i) => {
      let p = this.panels.get(name);
      if (!p) {
        p = new Panel(name, (range) => this.onzoom?.(range));
        this.panels.set(name, p);
      }
      if (this.element.children[i] !== p.element) this.element.insertBefore(p.element, this.element.children[i] ?? null);
    });
    for (const name of sorted) {
      const curves = this.runs.flatMap((r, i) => this.curves(r, name, several, several ? colour(i) : css('--accent')));
      const marks = several ? [] : (this.runs[0]?.marks ?? []).map((m) => ({ x: this.at(this.runs[0], m.x), text: m.text }))
        .filter((m) => m.x !== null);
      if (curves.length) this.panels.get(name).show({ curves, marks, axis: this.axis, range: this.range });
    }
  }

  at(run, x) {
    if (this.axis === 'step') return x;
    return run.per ? x / run.per : null;
  }

  // curves are those of a figure of a run: its steps, faint, and its epochs. Of several runs the
  // steps are left out where there are epochs enough for a line, or too few steps for one.
  curves(run, name, several, stroke) {
    const of = (part) => {
      const k = part.names?.indexOf(name) ?? -1;
      if (k < 0) return null;
      const x = [];
      const y = [];
      part.x.forEach((v, i) => {
        const at = this.at(run, v);
        if (at !== null && part.y[k][i] !== null) {
          x.push(at);
          y.push(part.y[k][i]);
        }
      });
      return x.length ? { x, y } : null;
    };
    const step = of(run.step);
    const epoch = of(run.epoch);
    const label = several ? run.name : '';
    const bold = epoch;
    const list = [];
    if (step && !(several && bold && (bold.x.length > 1 || step.x.length < 3))) {
      list.push({ ...step, stroke: bold ? `color-mix(in srgb, ${stroke} 35%, transparent)` : stroke, width: bold ? 1 : 1.5, label: bold ? '' : label });
    }
    if (bold) list.push({ ...bold, stroke, width: 2, label });
    return list;
  }
}
