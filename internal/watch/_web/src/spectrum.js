// The eigenvalues of the embedding's covariance, a curve for each of some epochs.
import { Panel } from './chart.js';

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function spectrum(element) {
  let panel = null;
  let last = [];
  const show = (spectra) => {
    last = spectra ?? [];
    if (!last.length) {
      element.textContent = 'None.';
      panel = null;
      return;
    }
    if (!panel) {
      element.textContent = '';
      panel = new Panel('eigenvalue', null);
      element.append(panel.element);
    }
    const n = last.length;
    const curves = last.map((s, i) => {
      const share = n > 1 ? Math.round(15 + (85 * i) / (n - 1)) : 100;
      const keep = s.values.map((v, k) => [s.ranks[k], v]).filter(([, v]) => v > 0);
      return { x: keep.map(([r]) => r), y: keep.map(([, v]) => v), width: i === n - 1 ? 2 : 1,
        stroke: `color-mix(in srgb, ${css('--accent')} ${share}%, ${css('--line')})`,
        label: i === 0 || i === n - 1 ? `epoch ${s.epoch}` : '' };
    }).filter((c) => c.x.length);
    if (curves.length) {
      panel.show({ curves, axis: 'rank', scales: { x: { distr: 3 }, y: { distr: 3 } } });
      panel.value.textContent = `${n > 1 ? `epochs ${last[0].epoch} to` : 'epoch'} ${last[n - 1].epoch}, by rank`;
    }
  };
  let width = 0;
  new ResizeObserver(() => {
    if (element.clientWidth !== width) {
      width = element.clientWidth;
      if (last.length) show(last);
    }
  }).observe(element);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => last.length && show(last));
  return show;
}
