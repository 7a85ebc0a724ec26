// The page of a run.
import { Panels } from './chart.js';
import { spectrum } from './spectrum.js';
import { ask, listen, tellTimes, unhurried } from './live.js';

export function run(main) {
  const { id } = main.dataset;
  const get = (name) => document.getElementById(name);
  const panels = new Panels(get('panels'));
  const showSpectrum = spectrum(get('spectrum'));

  const fetchCurves = unhurried(900, async () => {
    const q = new URLSearchParams({ id, pixels: panels.pixels });
    const range = panels.steps(panels.runs[0]?.per);
    if (range) {
      q.set('from', range[0]);
      q.set('to', range[1]);
    }
    const c = await ask(`/curves?${q}`);
    if (!c) return;
    panels.runs = [c];
    panels.draw();
    showSpectrum(c.spectra);
    main.dataset.points = (c.step.x?.length ?? 0) + (c.epoch.x?.length ?? 0);
  });
  panels.onzoom = (range) => {
    panels.range = range;
    panels.draw();
    fetchCurves();
  };
  get('axis').addEventListener('change', (e) => {
    panels.axis = e.target.value;
    panels.range = null;
    panels.draw();
    fetchCurves();
  });
  fetchCurves();

  // The configuration against that of another run.
  const against = get('against');
  const only = get('only');
  const compare = async () => {
    const other = against?.value;
    const d = other ? await ask(`/settings?${new URLSearchParams([['id', id], ['id', other]])}`) : null;
    const table = get('settings').querySelector('table');
    if (!table) return;
    const by = new Map((d?.differences ?? []).map((x) => [x.key, x.values]));
    for (const old of table.querySelectorAll('.added, td.other')) old.remove();
    const head = table.querySelector('th.other');
    head.hidden = !d;
    head.textContent = d ? d.names[1] : '';
    const body = table.tBodies[0];
    for (const [key, values] of by) {
      if ([...body.rows].some((r) => r.dataset.key === key)) continue;
      const tr = body.insertRow();
      tr.className = 'added';
      tr.dataset.key = key;
      const th = document.createElement('th');
      th.scope = 'row';
      th.textContent = key;
      tr.append(th);
      tr.insertCell().textContent = values[0];
    }
    for (const tr of body.rows) {
      const values = by.get(tr.dataset.key);
      tr.classList.toggle('differs', Boolean(values));
      tr.hidden = Boolean(d) && only.checked && !values;
      if (!d) continue;
      const td = tr.insertCell();
      td.className = 'other';
      td.textContent = values ? values[1] : tr.cells[1].textContent;
    }
  };
  against?.addEventListener('change', compare);
  only.addEventListener('change', compare);

  let version = -1;
  listen(`/events?${new URLSearchParams({ id })}`, 'run', (c) => {
    if (c.gone) {
      get('head').textContent = 'This run is no longer there: its folder was moved or removed.';
      return;
    }
    for (const [part, html] of Object.entries(c.parts ?? {})) {
      const at = get(part);
      if (at.innerHTML === html) continue;
      at.innerHTML = html;
      tellTimes(at);
      if (part === 'settings') compare();
      if (part === 'tail') at.querySelector('pre')?.scrollTo(0, 1e9);
    }
    if (c.version !== version) {
      if (version !== -1) fetchCurves();
      version = c.version;
    }
  });
  get('tail').querySelector('pre')?.scrollTo(0, 1e9);
}
