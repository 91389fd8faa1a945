"use strict";
// A montage in tiles: level 0 is one tile, each further level has twice the pixels.
// Positions are pixels of the last level; `scale` is CSS pixels for each of them.

const byId = (id) => document.getElementById(id);
const kinds = JSON.parse(byId("data").textContent).kinds;
const canvas = byId("canvas");
const pen = canvas.getContext("2d");
const MOST_SCALE = 8;
const MOST_TILES = 400;
const LABEL_PIXELS = 18;
const WORDS = { missing: "no picture", unreadable: "cannot be read" };

let kind = kinds[0];
let view = { x: 0, y: 0, scale: 1 };
let fitted = true;
let over = null; // the site under the pointer, or in the middle after a key
let selected = null; // the site that was clicked
let waiting = false;
const images = new Map();

const size = () => kind.levels[kind.levels.length - 1];
const named = (site) => `${site.well}, site\u00a0${site.site}`;

function fitScale() {
  const [across, down] = size();
  return Math.min(canvas.clientWidth / across, canvas.clientHeight / down);
}

function fit() {
  const [across, down] = size();
  const scale = fitScale();
  view = {
    scale,
    x: (across - canvas.clientWidth / scale) / 2,
    y: (down - canvas.clientHeight / scale) / 2,
  };
  fitted = true;
  redraw();
}

function bound(value, whole, seen) {
  if (seen >= whole) return (whole - seen) / 2;
  return Math.min(Math.max(value, 0), whole - seen);
}

function moveTo(x, y, scale) {
  const least = fitScale();
  scale = Math.min(Math.max(scale, least), Math.max(MOST_SCALE, least));
  const [across, down] = size();
  view = {
    scale,
    x: bound(x, across, canvas.clientWidth / scale),
    y: bound(y, down, canvas.clientHeight / scale),
  };
  fitted = scale === least;
  redraw();
}

// Zoom so that the point under (left, top), in CSS pixels, stays where it is.
function zoom(factor, left, top) {
  const least = fitScale();
  const most = Math.max(MOST_SCALE, least);
  const scale = Math.min(Math.max(view.scale * factor, least), most);
  const x = view.x + left / view.scale - left / scale;
  const y = view.y + top / view.scale - top / scale;
  moveTo(x, y, scale);
}

function zoomMiddle(factor) {
  zoom(factor, canvas.clientWidth / 2, canvas.clientHeight / 2);
}

function showSite(site) {
  const scale = Math.min(
    canvas.clientWidth / (1.5 * kind.well[0]),
    canvas.clientHeight / (1.5 * kind.well[1]),
  );
  const x = site.at[0] + kind.tile[0] / 2 - canvas.clientWidth / scale / 2;
  const y = site.at[1] + kind.tile[1] / 2 - canvas.clientHeight / scale / 2;
  moveTo(x, y, scale);
}

function siteAt(left, top) {
  const x = view.x + left / view.scale;
  const y = view.y + top / view.scale;
  const inside = (site) =>
    x >= site.at[0] && x < site.at[0] + kind.tile[0] &&
    y >= site.at[1] && y < site.at[1] + kind.tile[1];
  return kind.sites.find(inside) || null;
}

// Drawing

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function image(level, x, y) {
  const source = `${encodeURIComponent(kind.kind)}/tiles/${level}/${x}_${y}.jpg`;
  let found = images.get(source);
  if (found) {
    images.delete(source); // and again below: the oldest comes first
  } else {
    found = new Image();
    found.onload = redraw;
    found.src = source;
  }
  images.set(source, found);
  if (images.size > MOST_TILES) images.delete(images.keys().next().value);
  return found;
}

function drawLevel(level, dots) {
  const [across, down] = kind.levels[level];
  const factor = 2 ** (kind.levels.length - 1 - level);
  const side = kind.side * factor;
  const right = view.x + canvas.width / dots;
  const bottom = view.y + canvas.height / dots;
  const columns = Math.ceil(across / kind.side);
  const rows = Math.ceil(down / kind.side);
  const first = (value) => Math.max(0, Math.floor(value / side));
  for (let y = first(view.y); y < rows && y * side < bottom; y++) {
    for (let x = first(view.x); x < columns && x * side < right; x++) {
      const tile = image(level, x, y);
      if (!tile.complete || !tile.naturalWidth) continue;
      const x0 = Math.round((x * side - view.x) * dots);
      const y0 = Math.round((y * side - view.y) * dots);
      const x1 = Math.round((x * side + tile.naturalWidth * factor - view.x) * dots);
      const y1 = Math.round((y * side + tile.naturalHeight * factor - view.y) * dots);
      pen.drawImage(tile, x0, y0, x1 - x0, y1 - y0);
    }
  }
}

function outline(site, colour, dots) {
  if (!site) return;
  const width = 2 * devicePixelRatio;
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.strokeRect(
    (site.at[0] - view.x) * dots,
    (site.at[1] - view.y) * dots,
    kind.tile[0] * dots,
    kind.tile[1] * dots,
  );
}

function draw() {
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  const dots = view.scale * devicePixelRatio;
  pen.imageSmoothingEnabled = dots < 2;
  pen.imageSmoothingQuality = "high";
  const last = kind.levels.length - 1;
  const enough = last + Math.ceil(Math.log2(dots) - 0.2);
  const level = Math.min(Math.max(enough, 0), last);
  drawLevel(0, dots);
  if (level > 0) drawLevel(level, dots);
  outline(over, "#ffffff", dots);
  outline(selected, "#ffd000", dots);
  drawLabels();
}

function drawLabels() {
  const named = over || selected;
  labels(byId("across"), kind.columns, 0, "left", "width", named && named.column);
  labels(byId("down"), kind.rows, 1, "top", "height", named && named.row);
}

function labels(strip, texts, axis, start, extent, current) {
  const pitch = (kind.well[axis] + kind.gap) * view.scale;
  const every = Math.ceil(LABEL_PIXELS / pitch);
  const from = axis ? view.y : view.x;
  const room = axis ? canvas.clientHeight : canvas.clientWidth;
  while (strip.children.length < texts.length) {
    strip.append(document.createElement("span"));
  }
  [...strip.children].forEach((label, number) => {
    label.hidden = number >= texts.length || (number % every && number !== current);
    if (label.hidden) return;
    label.textContent = texts[number];
    label.className = number === current ? "current" : "";
    const at = kind.gap + number * (kind.well[axis] + kind.gap) - from;
    const first = Math.max(0, at * view.scale); // of the part that is in sight
    const last = Math.min(room, (at + kind.well[axis]) * view.scale);
    label.hidden = last <= first;
    label.style[start] = `${first}px`;
    label.style[extent] = `${last - first}px`;
  });
}

// Words

function link(file, short) {
  const made = document.createElement(file.href ? "a" : "span");
  if (file.href) made.href = file.href;
  made.textContent = short ? file.path.split("/").pop() : file.path;
  made.title = file.path;
  return made;
}

function files(site, short = false) {
  const parts = site.files.flatMap((file) => [link(file, short), ", "]).slice(0, -1);
  const why = WORDS[site.state];
  if (why) parts.push(parts.length ? ` (${why})` : why);
  return parts;
}

function tell() {
  const site = selected || over;
  const info = byId("info");
  if (info.dataset.site === (site ? named(site) : "")) return;
  info.dataset.site = site ? named(site) : "";
  info.replaceChildren();
  if (!site) return;
  const name = document.createElement("b");
  name.textContent = named(site);
  info.append(name, " ", ...files(site));
}

function point(site) {
  if (site !== over) {
    over = site;
    redraw();
  }
  tell();
}

function tip(site, left, top) {
  const box = byId("tip");
  box.hidden = !site;
  if (!site) return;
  const why = WORDS[site.state];
  box.textContent = named(site) + (why ? `: ${why}` : "");
  const most = canvas.clientWidth - box.offsetWidth;
  box.style.left = `${Math.min(left + 14, most)}px`;
  box.style.top = `${Math.max(0, top - 30)}px`;
}

function counts() {
  const of = (state) => kind.sites.filter((site) => site.state === state).length;
  const wells = new Set(kind.sites.map((site) => site.well)).size;
  const parts = [`${wells} ${wells === 1 ? "well" : "wells"}`];
  parts.push(`${of("shown")} of ${kind.sites.length} pictures`);
  if (of("missing")) parts.push(`${of("missing")} missing`);
  if (of("unreadable")) parts.push(`${of("unreadable")} cannot be read`);
  return parts.join(", ");
}

function legend() {
  return kind.channels.map((channel) => {
    const entry = document.createElement("span");
    entry.className = "channel";
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = channel.colour;
    const short = (value) => Number(value.toPrecision(4)).toString();
    entry.append(
      swatch,
      `${channel.name} ${short(channel.low)} to ${short(channel.high)} grey levels `,
    );
    return entry;
  });
}

function list() {
  const body = byId("sites");
  if (!byId("list").open || body.dataset.kind === kind.kind) return;
  body.dataset.kind = kind.kind;
  body.replaceChildren(...kind.sites.map(listed));
}

function listed(site) {
  const row = document.createElement("tr");
  const show = document.createElement("button");
  show.type = "button";
  show.textContent = site.well;
  show.setAttribute("aria-label", `Show ${named(site)}`);
  show.onclick = () => {
    keep(site);
    showSite(site);
  };
  const parts = [[show], [site.site], files(site, true)];
  row.append(...parts.map((part) => {
    const cell = document.createElement("td");
    cell.append(...part);
    return cell;
  }));
  return row;
}

// What is chosen

function keep(site) {
  selected = site;
  const place = new URLSearchParams({ kind: kind.kind });
  if (site) {
    place.set("well", site.well);
    place.set("site", site.site);
  }
  history.replaceState(null, "", `#${place}`);
  tell();
  redraw();
}

function find(well, site) {
  return kind.sites.find((s) => s.well === well && (!site || s.site === site)) || null;
}

function choose(name) {
  const before = size();
  const had = selected;
  kind = kinds.find((entry) => entry.kind === name) || kinds[0];
  byId("kind").value = kind.kind;
  byId("png").href = `${encodeURIComponent(kind.kind)}/montage.png`;
  byId("png").title = `${kind.title} of the whole plate`;
  byId("counts").textContent = counts();
  byId("channels").replaceChildren(...legend());
  canvas.setAttribute(
    "aria-label",
    `Montage of plate ${kind.plate}, ${kind.title}: ${counts()}`,
  );
  over = null;
  byId("info").dataset.site = "?";
  keep(had && find(had.well, had.site));
  list();
  const [across, down] = size();
  byId("view").style.setProperty("--shape", down / across);
  if (fitted || String(before) !== String(size())) fit();
}

function start() {
  const asked = new URLSearchParams(location.hash.slice(1));
  byId("kind").append(...kinds.map((entry) => new Option(entry.title, entry.kind)));
  choose(asked.get("kind") || kinds[0].kind);
  fit();
  const site = asked.get("well") && find(asked.get("well"), asked.get("site"));
  if (site) {
    keep(site);
    showSite(site);
  }
}

// Hands

const fingers = new Map();
let moved = 0;

function spread() {
  const [first, second] = [...fingers.values()];
  return Math.hypot(first.left - second.left, first.top - second.top);
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { left: event.offsetX, top: event.offsetY });
  moved = fingers.size > 1 ? Infinity : 0;
});

canvas.addEventListener("pointermove", (event) => {
  const [left, top] = [event.offsetX, event.offsetY];
  const before = fingers.get(event.pointerId);
  if (before) {
    const apart = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, { left, top });
    moved += Math.abs(left - before.left) + Math.abs(top - before.top);
    if (moved < 4) return;
    canvas.classList.add("moved");
    if (apart) zoom(spread() / apart, left, top);
    else {
      const [x, y] = [left - before.left, top - before.top];
      moveTo(view.x - x / view.scale, view.y - y / view.scale, view.scale);
    }
  }
  const site = siteAt(left, top);
  point(site);
  tip(site, left, top);
});

function lifted(event) {
  if (!fingers.delete(event.pointerId)) return;
  canvas.classList.remove("moved");
  if (event.type === "pointerup" && moved < 4) keep(siteAt(event.offsetX, event.offsetY));
}
canvas.addEventListener("pointerup", lifted);
canvas.addEventListener("pointercancel", lifted);
canvas.addEventListener("pointerleave", () => tip(null));

canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
  zoom(Math.exp(-pixels / 400), event.offsetX, event.offsetY);
}, { passive: false });

canvas.addEventListener("dblclick", (event) => {
  zoom(event.shiftKey ? 0.5 : 2, event.offsetX, event.offsetY);
});

function middle() {
  point(siteAt(canvas.clientWidth / 2, canvas.clientHeight / 2));
}

function step(across, down) {
  const far = [canvas.clientWidth, canvas.clientHeight].map((s) => s / 5 / view.scale);
  moveTo(view.x + across * far[0], view.y + down * far[1], view.scale);
  middle();
}

const KEYS = {
  ArrowLeft: () => step(-1, 0),
  ArrowRight: () => step(1, 0),
  ArrowUp: () => step(0, -1),
  ArrowDown: () => step(0, 1),
  "+": () => { zoomMiddle(1.5); middle(); },
  "=": () => { zoomMiddle(1.5); middle(); },
  "-": () => { zoomMiddle(1 / 1.5); middle(); },
  0: fit,
  Enter: () => keep(over),
  Escape: () => keep(null),
};

canvas.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

byId("in").onclick = () => zoomMiddle(1.5);
byId("out").onclick = () => zoomMiddle(1 / 1.5);
byId("fit").onclick = fit;
byId("kind").onchange = (event) => choose(event.target.value);
byId("list").ontoggle = list;
new ResizeObserver(() => {
  if (fitted) fit();
  else moveTo(view.x, view.y, view.scale);
}).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").onchange = redraw;
start();
