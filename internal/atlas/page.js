"use strict";
const d = JSON.parse(document.getElementById("data").textContent);
const canvas = document.getElementById("map"), how = document.getElementById("how"), panel = document.getElementById("point");
const pictures = URL.createObjectURL(new Blob([Uint8Array.from(atob(sprite), c => c.charCodeAt(0))], {type: "image/jpeg"}));
const n = d.names.length, view = {x: 0, y: 0, zoom: 1};
let chosen = -1, group = [], names = [];

// Where the picture of a point is in the sprite; -1: it is not kept.
function picture(i) {
  const s = Math.ceil(i * d.pictures / n);
  return d.pictures > 0 && s < d.pictures && Math.floor(s * n / d.pictures) === i ? s : -1;
}
function colour(g) { return g < 0 ? "#8c8c8c" : d.palette[g % d.palette.length]; }
function style(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function place(i) {
  const at = d[how.elements.places.value], half = canvas.clientWidth / 2, scale = (half - 14) * view.zoom;
  return [half + (at[2 * i] / 1000 - view.x) * scale, half - (at[2 * i + 1] / 1000 - view.y) * scale];
}

function regroup() {
  const by = how.elements.by.value, only = how.elements.only;
  group = by === "none" ? [] : d[by];
  names = by === "class" ? d.classes : by === "cluster" ? Array.from({length: d.clusters}, (_, i) => String(i + 1)) : [];
  only.replaceChildren(new Option("all", -1), ...names.map((name, i) => new Option(by === "cluster" ? "cluster " + name : name, i)));
  document.getElementById("only").hidden = names.length === 0;
  draw();
}

function draw() {
  const size = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, size, size);
  const only = Number(how.elements.only.value);
  const dot = Math.min(8, (n > 6000 ? 2.4 : n > 1000 ? 3.4 : 5) * Math.sqrt(view.zoom)) * Math.max(0.75, size / 720);
  const xs = names.map(() => []), ys = names.map(() => []);
  for (const on of [false, true]) { // those that are meant lie above the others
    for (let i = 0; i < n; i++) {
      const g = group.length ? group[i] : -1, meant = only < 0 || g === only;
      if (meant !== on) continue;
      const [x, y] = place(i);
      if (on && g >= 0) { xs[g].push(x); ys[g].push(y); }
      c.globalAlpha = on ? 0.8 : 0.12;
      c.fillStyle = group.length ? colour(g) : d.palette[0];
      c.beginPath();
      c.arc(x, y, dot / 2, 0, 7);
      c.fill();
    }
  }
  c.globalAlpha = 1;
  label(c, xs, ys, size);
  if (chosen >= 0) {
    const [x, y] = place(chosen);
    c.lineWidth = 2;
    c.strokeStyle = style("--ink");
    c.beginPath();
    c.arc(x, y, dot / 2 + 4, 0, 7);
    c.stroke();
  }
}

// Names stand in the midst of the largest groups, none upon another.
function label(c, xs, ys, size) {
  const high = 16, placed = [];
  const order = names.map((_, g) => g).filter(g => xs[g].length > 0).sort((a, b) => xs[b].length - xs[a].length).slice(0, 24);
  c.font = "600 13px system-ui, sans-serif";
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.lineJoin = "round";
  c.lineWidth = 4;
  for (const g of order) {
    const text = names[g].length > 24 ? names[g].slice(0, 23) + "…" : names[g], wide = c.measureText(text).width / 2 + 3;
    let x = xs[g].sort((a, b) => a - b)[xs[g].length >> 1], y = ys[g].sort((a, b) => a - b)[ys[g].length >> 1];
    if (x < 0 || x > size || y < 0 || y > size) continue; // zoomed away
    x = Math.max(wide, Math.min(size - wide, x));
    for (let s = 0; s < 12; s++) {
      const at = y + Math.ceil(s / 2) * (s % 2 ? -high : high);
      if (placed.every(p => Math.abs(p.x - x) > p.wide + wide || Math.abs(p.y - at) >= high)) { y = at; break; }
    }
    placed.push({x, y, wide});
    c.strokeStyle = style("--paper");
    c.strokeText(text, x, y);
    c.fillStyle = style("--ink");
    c.fillText(text, x, y);
  }
}

function pic(i, side) {
  const s = picture(i), e = document.createElement("span"), scale = side / d.side;
  e.className = "pic";
  e.title = d.names[i];
  e.setAttribute("role", "img");
  e.setAttribute("aria-label", s < 0 ? "picture not kept" : d.names[i]);
  e.style.width = e.style.height = side + "px";
  if (s >= 0) {
    e.style.backgroundImage = `url(${pictures})`;
    e.style.backgroundSize = `${d.columns * side}px auto`;
    e.style.backgroundPosition = `${-(s % d.columns) * d.side * scale}px ${-Math.floor(s / d.columns) * d.side * scale}px`;
  }
  return e;
}

function line(text, strong) {
  const p = document.createElement("p"), e = strong ? document.createElement("strong") : p;
  e.textContent = text;
  if (strong) p.append(e);
  return p;
}

function choose(i) {
  if (i === chosen) return;
  chosen = i;
  draw();
  if (i < 0) return;
  panel.replaceChildren();
  if (picture(i) >= 0) panel.append(pic(i, 128));
  panel.append(line(d.names[i], true));
  if (d.class && d.class[i] >= 0) panel.append(line(d.classes[d.class[i]]));
  panel.append(line("cluster " + (d.cluster[i] + 1)));
  if (picture(i) < 0 && d.pictures > 0) panel.append(line("Its picture is not kept in this file."));
  const near = d.near.slice(i * d.k, (i + 1) * d.k).filter(j => picture(j) >= 0);
  if (near.length) {
    const all = document.createElement("div");
    all.className = "near";
    all.append(...near.map(j => pic(j, 56)));
    panel.append(line(near.length < d.k ? "Nearest, as far as kept here:" : "Nearest:"), all);
  }
}

// The point nearest to a place on the canvas, those with a picture first.
function at(x, y, within) {
  let best = -1, far = within * within, kept = false;
  for (let i = 0; i < n; i++) {
    const [px, py] = place(i), f = (px - x) ** 2 + (py - y) ** 2, has = picture(i) >= 0;
    if (f > within * within || kept && !has) continue;
    if (has && !kept || f < far) { best = i; far = f; kept = has; }
  }
  return best;
}

let drag = null;
canvas.addEventListener("pointermove", e => {
  if (drag) {
    const scale = (canvas.clientWidth / 2 - 14) * view.zoom;
    view.x = drag.x - (e.offsetX - drag.px) / scale;
    view.y = drag.y + (e.offsetY - drag.py) / scale;
    draw();
    return;
  }
  choose(at(e.offsetX, e.offsetY, 14));
});
canvas.addEventListener("pointerdown", e => {
  choose(at(e.offsetX, e.offsetY, 20));
  if (e.pointerType !== "touch") { drag = {x: view.x, y: view.y, px: e.offsetX, py: e.offsetY}; canvas.setPointerCapture(e.pointerId); }
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drag = null; });
function zoom(by, x, y) {
  const half = canvas.clientWidth / 2, before = (half - 14) * view.zoom;
  view.zoom = Math.max(1, Math.min(40, view.zoom * by));
  const after = (half - 14) * view.zoom;
  view.x += (x - half) * (1 / before - 1 / after);
  view.y -= (y - half) * (1 / before - 1 / after);
  if (view.zoom === 1) view.x = view.y = 0;
  draw();
}
canvas.addEventListener("wheel", e => { e.preventDefault(); zoom(Math.exp(-e.deltaY / 300), e.offsetX, e.offsetY); }, {passive: false});
canvas.addEventListener("keydown", e => {
  const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key];
  const half = canvas.clientWidth / 2;
  if (way) {
    e.preventDefault();
    if (chosen < 0) return choose(Math.max(0, at(half, half, half)));
    const [x, y] = place(chosen);
    let best = -1, least = Infinity;
    for (let i = 0; i < n; i++) { // the nearest of those that lie that way, sideways counting twice
      const [px, py] = place(i), on = (px - x) * way[0] + (py - y) * way[1], side = Math.abs((px - x) * way[1]) + Math.abs((py - y) * way[0]);
      if (on > 2 && side <= on && on + 2 * side < least) { best = i; least = on + 2 * side; }
    }
    if (best >= 0) choose(best);
  } else if (e.key === "+" || e.key === "=") zoom(1.4, half, half);
  else if (e.key === "-") zoom(1 / 1.4, half, half);
  else if (e.key === "Escape") { view.zoom = 1; view.x = view.y = 0; draw(); }
});
how.addEventListener("change", e => {
  if (e.target.name === "by") regroup();
  else draw();
});
how.addEventListener("submit", e => e.preventDefault());
new ResizeObserver(draw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
regroup();
