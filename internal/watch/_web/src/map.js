// The map of what an encoder sees: points, drawn by regl-scatterplot, and walls of images.
import createScatterplot from 'regl-scatterplot';
import { ask } from './live.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// shades are n colours that can be told apart, as #rrggbb: the few of the style, then others.
function shades(n) {
  const few = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => css(`--c${i}`));
  if (n <= few.length) return few.slice(0, n);
  const light = matchMedia('(prefers-color-scheme: dark)').matches ? 68 : 40;
  return Array.from({ length: n }, (_, i) => hsl((i * 137.508) % 360, 65, light + ((i % 3) - 1) * 9));
}

function hsl(h, s, l) {
  const a = (s * Math.min(l, 100 - l)) / 10000;
  const part = (k) => {
    const x = (k + h / 30) % 12;
    return Math.round(255 * (l / 100 - a * Math.max(-1, Math.min(x - 3, 9 - x, 1)))).toString(16).padStart(2, '0');
  };
  return `#${part(0)}${part(8)}${part(4)}`;
}

export async function map(main) {
  const { id } = main.dataset;
  const get = (name) => document.getElementById(name);
  const query = (more) => new URLSearchParams({ id, ...more });
  const fail = (text) => {
    get('failed').textContent = text;
    get('failed').hidden = false;
  };
  const d = await ask(`/map/data?${query()}`);
  if (!d) {
    fail('The map cannot be read.');
    return;
  }
  const n = d.names.length;
  const classOf = (i) => (d.class?.[i] >= 0 ? d.classes[d.class[i]] : '');
  const aboutOf = (i) => [d.names[i], classOf(i)].filter(Boolean).join(', ');

  // thumb is the picture of a point, of so many pixels: a part of a sheet.
  const each = d.columns * d.rows;
  const thumb = (i, size) => {
    const span = document.createElement('span');
    span.className = 'thumb';
    const at = i % each;
    const s = span.style;
    s.width = s.height = `${size}px`;
    s.backgroundImage = `url("/map/sheet?${query({ n: Math.floor(i / each) })}")`;
    s.backgroundSize = `${d.columns * size}px auto`; // the last sheet may have fewer rows
    s.backgroundPosition = `${-(at % d.columns) * size}px ${-Math.floor(at / d.columns) * size}px`;
    return span;
  };
  // picture is a button that chooses a point.
  const picture = (i, size, like = -1) => {
    const b = document.createElement('button');
    b.className = 'picture';
    b.title = aboutOf(i);
    b.setAttribute('aria-label', aboutOf(i));
    if (like >= 0 && d.class?.[like] >= 0) b.classList.add(d.class[i] === d.class[like] ? 'same' : 'other');
    b.append(thumb(i, size));
    b.addEventListener('click', () => choose(i, true));
    return b;
  };
  const wall = (title, about, points, size, like) => {
    const div = document.createElement('div');
    const h = document.createElement('h3');
    h.textContent = title;
    const p = document.createElement('p');
    p.className = 'quiet';
    p.textContent = about;
    const row = document.createElement('div');
    row.className = 'wall';
    row.append(...points.map((i) => picture(i, size, like)));
    div.append(h, ...(about ? [p] : []), row);
    return div;
  };

  get('clusters').append(...(d.groups ?? []).map((g, k) => wall(`Cluster ${k + 1}`, g.about, g.examples ?? [], 48)));
  get('duplicates')?.append(...(d.duplicates ?? []).map((g) => wall(`${g.length} images`, g.slice(0, 3).map((i) => d.names[i]).join(', '), g.slice(0, 12), 48)));
  get('outliers')?.append(...(d.outliers ?? []).map((i) => picture(i, 56)));

  // The map itself.
  const plane = get('plane');
  const canvas = get('points');
  const size = () => ({ width: plane.clientWidth, height: plane.clientHeight });
  let plot = null;
  let places = 'tsne';
  let by = get('colours').value;
  let chosen = -1;
  try {
    plot = createScatterplot({ canvas, ...size(), pointSize: n > 5000 ? 3 : 5, pointSizeSelected: 4, opacity: n > 5000 ? 0.7 : 0.85,
      lassoInitiator: false, backgroundColor: rgb(css('--raised')), pointColorHover: css('--front'), pointColorActive: css('--front') });
    await plot.isSupported;
  } catch (e) {
    fail(`The map cannot be drawn: this browser has no WebGL (${e.message ?? e}).`);
  }

  const values = () => (by === 'class' ? d.class : by === 'cluster' ? d.cluster : null);
  let drawing = Promise.resolve(); // one drawing waits for the other
  const draw = (move) => {
    drawing = drawing.then(() => drawNow(move));
    return drawing;
  };
  const drawNow = async (move) => {
    if (!plot) return;
    const at = d[places];
    const v = values();
    const few = v ? Math.max(...v, 0) + 2 : 1;
    const inner = 0.92; // the outermost points are to be seen whole
    const x = Float32Array.from({ length: n }, (_, i) => inner * at[2 * i]);
    const y = Float32Array.from({ length: n }, (_, i) => inner * at[2 * i + 1]);
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    plot.set({ backgroundColor: rgb(css('--raised')), pointColorHover: css('--front'), pointColorActive: css('--front'),
      colorBy: v ? 'category' : null, pointColor: v ? [dark ? '#666c73' : '#a5abb1', ...shades(few - 1)] : css('--accent') });
    await plot.draw({ x, y, ...(v ? { z: v.map((k) => k + 1) } : {}) }, { zDataType: 'categorical', transition: Boolean(move),
      transitionDuration: matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 600 });
    main.dataset.drawn = plot.get('points')?.length ?? n;
    regions();
    if (chosen >= 0) plot.select([chosen], { preventEvent: true });
  };

  // regions writes the name of each class, or the number of each cluster, where it lies: at the
  // point of it that is nearest to the middle of all.
  let middles = [];
  const regions = () => {
    const v = values();
    const names = by === 'class' ? d.classes : by === 'cluster' ? (d.groups ?? []).map((_, k) => `${k + 1}`) : [];
    middles = [];
    if (v && names.length <= 40) {
      const at = d[places];
      const colours = shades(names.length + (Math.max(...v, 0) + 1 > names.length ? 1 : 0));
      names.forEach((name, k) => {
        let [sx, sy, m] = [0, 0, 0];
        for (let i = 0; i < n; i++) if (v[i] === k) { sx += at[2 * i]; sy += at[2 * i + 1]; m++; }
        if (!m) return;
        let best = -1;
        let least = Infinity;
        for (let i = 0; i < n; i++) {
          if (v[i] !== k) continue;
          const far = (at[2 * i] - sx / m) ** 2 + (at[2 * i + 1] - sy / m) ** 2;
          if (far < least) [best, least] = [i, far];
        }
        const span = document.createElement('span');
        span.textContent = name;
        span.style.color = colours[k];
        middles.push({ i: best, span });
      });
    }
    get('regions').replaceChildren(...middles.map((m) => m.span));
    settle();
  };
  // settle puts the names where their points are now, or as far below as other names need.
  const settle = () => {
    const seen = [];
    for (const { i, span } of middles) {
      const at = plot?.getScreenPosition(i);
      span.hidden = !at || at[0] < 0 || at[1] < 0 || at[0] > plane.clientWidth || at[1] > plane.clientHeight;
      if (!span.hidden) seen.push({ span, x: at[0], y: at[1] });
    }
    for (const s of seen) [s.w, s.h] = [s.span.offsetWidth, s.span.offsetHeight];
    seen.sort((a, b) => a.y - b.y);
    seen.forEach((s, k) => {
      for (const t of seen.slice(0, k)) {
        if (Math.abs(s.x - t.x) < (s.w + t.w) / 2 && Math.abs(s.y - t.y) < (s.h + t.h) / 2) s.y = t.y + (s.h + t.h) / 2;
      }
      s.span.style.transform = `translate(${s.x}px, ${s.y}px) translate(-50%, -50%)`;
    });
    hint();
  };

  // The image under the mouse.
  let over = -1;
  const hint = () => {
    const tip = get('tip');
    tip.hidden = over < 0;
    if (over < 0) return;
    const at = plot.getScreenPosition(over) ?? [0, 0];
    const text = document.createElement('span');
    text.textContent = aboutOf(over);
    tip.replaceChildren(thumb(over, 96), text);
    const { width, height } = size();
    tip.style.left = `${Math.min(Math.max(0, at[0] + 14), Math.max(0, width - 150))}px`;
    tip.style.top = `${at[1] > height - 150 ? at[1] - 140 : at[1] + 14}px`;
  };
  plot?.subscribe('pointover', (i) => { over = i; hint(); });
  plot?.subscribe('pointout', () => { over = -1; hint(); });
  plot?.subscribe('view', settle);
  plot?.subscribe('select', ({ points }) => { if (points.length) choose(points[0], false); });
  plot?.subscribe('deselect', () => { chosen = -1; });

  // choose shows the neighbours of a point.
  async function choose(i, tellPlot) {
    chosen = i;
    if (tellPlot) plot?.select([i], { preventEvent: true });
    const near = await ask(`/map/neighbours?${query({ point: i })}`);
    if (!near || chosen !== i) return;
    const head = document.createElement('div');
    head.className = 'chosen-image';
    const text = document.createElement('p');
    text.textContent = aboutOf(i);
    head.append(thumb(i, 112), text);
    const parts = [head, wall('Nearest now', '', near.now ?? [], 56, i)];
    if (near.before?.length) parts.push(wall('Nearest to the untrained encoder', '', near.before, 56, i));
    get('near').replaceChildren(...parts);
    get('near').dataset.point = i;
  }

  get('places').addEventListener('change', (e) => {
    places = e.target.value;
    draw(true);
  });
  get('colours').addEventListener('change', (e) => {
    by = e.target.value;
    draw(false);
  });
  get('random').addEventListener('click', () => choose(Math.floor(Math.random() * n), true));
  const image = get('image');
  image.addEventListener('input', () => {
    const part = image.value.toLowerCase();
    const found = [];
    for (let i = 0; i < n && found.length < 20; i++) if (part && d.names[i].toLowerCase().includes(part)) found.push(i);
    get('names').replaceChildren(...found.map((i) => {
      const o = document.createElement('option');
      o.value = d.names[i];
      return o;
    }));
    if (found.length === 1 || d.names[found[0]] === image.value) choose(found[0], true);
  });
  image.addEventListener('keydown', (e) => {
    if (e.key !== 'Enter') return;
    const part = image.value.toLowerCase();
    const i = d.names.findIndex((name) => name.toLowerCase().includes(part));
    if (part && i >= 0) choose(i, true);
  });
  new ResizeObserver(() => {
    plot?.set(size());
    settle();
  }).observe(plane);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => draw(false));
  await draw(false);
}

// rgb is a colour #rrggbb as numbers from 0 to 1.
function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
}
