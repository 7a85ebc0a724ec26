// What stands at an axis.

// decimals is how many digits behind the point a number has.
function decimals(v) {
  let d = 0;
  while (d < 15 && Math.abs(v * 10 ** d - Math.round(v * 10 ** d)) > 1e-6) d++;
  return d;
}

// tickTexts writes the values of an axis, which are a step apart, with as many digits as tell them
// apart: shares in per cent, very large and very small ones by powers of ten.
export function tickTexts(values, step, share) {
  const scale = share ? 100 : 1;
  const most = Math.max(...values.map((v) => Math.abs(v ?? 0)));
  const plain = most * scale < 1e6 && step * scale >= 1e-5;
  const behind = plain ? decimals(step * scale) : decimals(step / 10 ** Math.floor(Math.log10(most || 1)));
  const write = (v) => {
    if (v === 0) return '0';
    return plain ? (v * scale).toFixed(behind) : (v * scale).toExponential(behind);
  };
  return values.map((v) => (v === null ? null : write(v) + (share ? '%' : '')));
}
