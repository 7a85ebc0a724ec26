// The page of all runs: sorting, filtering, and curves of those that are chosen.
import { Panels, colour } from './chart.js';
import { ask, listen, tellTimes, unhurried } from './live.js';

const most = 8; // runs that can be told apart by colour

export function table(main) {
  const get = (name) => document.getElementById(name);
  const body = get('runs').tBodies[0];
  const rows = new Map([...body.rows].map((tr) => [tr.dataset.id, tr]));
  let order = [...rows.keys()];
  let sort = null; // column and direction
  let chosen = []; // ids

  const arrange = () => {
    const list = order.map((id) => rows.get(id)).filter(Boolean);
    if (sort) {
      const key = (tr) => tr.cells[sort.column].dataset.sort ?? '';
      list.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if ((x === '') !== (y === '')) return x === '' ? 1 : -1; // those without a value come last
        const d = x !== '' && y !== '' && !Number.isNaN(Number(x)) && !Number.isNaN(Number(y)) ? x - y : x.localeCompare(y);
        return sort.up ? d : -d;
      });
    }
    list.forEach((tr, i) => { if (body.rows[i] !== tr) body.insertBefore(tr, body.rows[i] ?? null); });
  };
  // thin leaves out the figures that no run has, so that the others fit the page.
  const thin = () => {
    for (const th of get('runs').tHead.rows[0].cells) {
      if (!th.matches('.figure') || th.contains(document.activeElement)) continue;
      const cells = [...rows.values()].map((tr) => tr.cells[th.cellIndex]);
      const blank = cells.every((td) => !td.textContent.trim());
      for (const cell of [th, ...cells]) cell.classList.toggle('blank', blank);
    }
  };
  for (const button of get('runs').querySelectorAll('thead button')) {
    button.addEventListener('click', () => {
      const column = Number(button.dataset.column);
      const numbers = button.closest('th').classList.contains('figure');
      if (sort?.column !== column) sort = { column, up: !numbers };
      else if (sort.up !== numbers) sort = { column, up: numbers };
      else sort = null;
      for (const th of get('runs').querySelectorAll('thead th')) th.removeAttribute('aria-sort');
      if (sort) button.closest('th').setAttribute('aria-sort', sort.up ? 'ascending' : 'descending');
      arrange();
    });
  }

  const filter = get('filter');
  const sift = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const tr of rows.values()) {
      tr.hidden = !words.every((w) => tr.dataset.text.includes(w));
      if (!tr.hidden) shown++;
    }
    get('shown').textContent = words.length ? `${shown} of ${rows.size}` : '';
  };

  // What is chosen and the filter stand in the address, so that a page can be kept and sent.
  const remember = () => {
    const q = new URLSearchParams();
    for (const id of chosen) q.append('run', id);
    if (filter.value) q.set('filter', filter.value);
    history.replaceState(null, '', q.size ? `#${q}` : location.pathname);
  };
  filter.addEventListener('input', () => { sift(); remember(); });

  const panels = new Panels(get('panels'));
  const curves = new Map();
  const stale = new Set();
  const fetchCurves = unhurried(900, async () => {
    for (const id of chosen) {
      if (curves.has(id) && !stale.has(id)) continue;
      stale.delete(id);
      const q = new URLSearchParams({ id, pixels: panels.pixels });
      const range = panels.steps(curves.get(id)?.per);
      if (range) {
        q.set('from', range[0]);
        q.set('to', range[1]);
      }
      const c = await ask(`/curves?${q}`);
      if (c) curves.set(id, c);
    }
    panels.runs = chosen.map((id) => curves.get(id)).filter(Boolean);
    if (!axisChosen) get('axis').value = panels.axis = panels.runs.every((r) => r.per) ? 'epoch' : 'step';
    panels.draw();
    main.dataset.drawn = panels.runs.length;
  });
  panels.onzoom = (range) => {
    panels.range = range;
    panels.draw();
    for (const id of chosen) stale.add(id);
    fetchCurves();
  };
  let axisChosen = false; // by hand; else epochs where they are known, as steps of runs differ
  get('axis').addEventListener('change', (e) => {
    axisChosen = true;
    panels.axis = e.target.value;
    panels.onzoom(null);
  });

  // short leaves five digits of a number that has more behind its point.
  const short = (v) => v.replace(/\d+\.\d{5,}(e[-+]?\d+)?/g, (x) => String(Number(Number(x).toPrecision(5))));
  const difference = async () => {
    const at = get('difference');
    const ids = [...chosen];
    const d = await ask(`/settings?${new URLSearchParams(ids.map((id) => ['id', id]))}`);
    if (!d || ids.join('\n') !== chosen.join('\n')) return;
    const t = document.createElement('table');
    t.className = 'plain differences';
    const head = t.createTHead().insertRow();
    const cell = (tr, text, scope) => {
      const c = document.createElement(scope ? 'th' : 'td');
      if (scope) c.scope = scope;
      c.textContent = text;
      tr.append(c);
      return c;
    };
    cell(head, ids.length > 1 ? 'settings that differ' : 'run', 'col');
    d.names.forEach((name, i) => {
      const c = cell(head, '', 'col');
      const swatch = document.createElement('span');
      swatch.className = 'swatch';
      swatch.style.background = ids.length > 1 ? colour(i) : 'var(--accent)';
      c.append(swatch, name);
    });
    const rows = t.createTBody();
    for (const { key, values } of d.differences ?? []) {
      const tr = rows.insertRow();
      cell(tr, key, 'row');
      values.forEach((v) => {
        const c = cell(tr, short(v));
        if (c.textContent !== v) c.title = v;
        c.classList.toggle('differs', v !== values[0]);
      });
    }
    if (ids.length > 1 && !d.differences?.length) {
      const c = rows.insertRow().insertCell();
      c.colSpan = ids.length + 1;
      c.textContent = 'Their settings are the same.';
    }
    at.replaceChildren(t);
  };

  const choose = () => {
    for (const [id, tr] of rows) {
      const at = chosen.indexOf(id);
      const box = tr.querySelector('input');
      box.checked = at >= 0;
      box.disabled = at < 0 && chosen.length >= most;
      tr.classList.toggle('chosen', at >= 0);
      tr.querySelector('.choose').style.boxShadow = at >= 0 ? `inset 3px 0 ${chosen.length > 1 ? colour(at) : 'var(--accent)'}` : '';
    }
    get('chosen').hidden = !chosen.length;
    get('chosen-title').textContent = chosen.length === most ? `Chosen runs (${most}, as many as can be told apart)` : 'Chosen runs';
    remember();
    if (!chosen.length) return;
    panels.range = null;
    difference();
    fetchCurves();
  };
  body.addEventListener('change', (e) => {
    const id = e.target.closest('tr').dataset.id;
    chosen = e.target.checked ? [...chosen, id].slice(0, most) : chosen.filter((x) => x !== id);
    choose();
  });
  get('unchoose').addEventListener('click', () => {
    chosen = [];
    choose();
    filter.focus();
  });

  listen('/events', 'table', (c) => {
    const fresh = document.createElement('template');
    for (const [id, html] of Object.entries(c.rows ?? {})) {
      fresh.innerHTML = html;
      const tr = fresh.content.querySelector('tr');
      tellTimes(tr);
      const old = rows.get(id);
      if (old?.contains(document.activeElement)) {
        const focus = document.activeElement.matches('input') ? 'input' : 'a';
        old.replaceWith(tr);
        tr.querySelector(focus)?.focus();
      } else if (old) old.replaceWith(tr);
      else body.append(tr);
      rows.set(id, tr);
      stale.add(id);
    }
    for (const id of c.gone ?? []) {
      rows.get(id)?.remove();
      rows.delete(id);
      curves.delete(id);
    }
    if (c.order) order = c.order;
    get('notes').innerHTML = c.notes;
    thin();
    arrange();
    sift();
    const left = chosen.filter((id) => rows.has(id));
    if (left.length !== chosen.length) {
      chosen = left;
      choose();
    } else if (chosen.length) {
      mark();
      if (chosen.some((id) => stale.has(id))) fetchCurves();
    }
  });
  // mark puts the signs of what is chosen on rows that came anew.
  const mark = () => {
    chosen.forEach((id, at) => {
      const tr = rows.get(id);
      tr.querySelector('input').checked = true;
      tr.classList.add('chosen');
      tr.querySelector('.choose').style.boxShadow = `inset 3px 0 ${chosen.length > 1 ? colour(at) : 'var(--accent)'}`;
    });
  };

  const q = new URLSearchParams(location.hash.slice(1));
  filter.value = q.get('filter') ?? '';
  chosen = q.getAll('run').filter((id) => rows.has(id)).slice(0, most);
  thin();
  sift();
  choose();
}
