"use strict";
// What the scripts of all pages share: numbers, colours, plates that keys walk over.

const $ = (selector, root = document) => root.querySelector(selector);

// --- numbers, as numbers.py writes them -----------------------------------------------

const grouped = (number) => number.toLocaleString("en-US", { maximumFractionDigits: 0 });

function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 3600) return whole % 60 ? `${Math.floor(whole / 60)} min ${two(whole % 60)} s` : `${whole / 60} min`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(seconds / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const digits = (number) => {
  if (number === 0) return "0";
  if (Math.abs(number) >= 1000) return grouped(number);
  return Math.abs(number) < 1e-4 ? number.toExponential(1) : String(Number(number.toPrecision(3)));
};
const MB = 1024 ** 2;
const size = (bytes) => (bytes >= 1023.5 * MB ? `${digits(bytes / 1024 / MB)} GB` : `${Math.round(bytes / MB)} MB`);
const count = (number) => (Number.isInteger(number) ? grouped(number) : digits(number));
const BY_UNIT = { s: duration, bytes: size, count };

/** A number with its unit: times and sizes in the unit that suits them. */
function shown(number, unit) {
  if (number === null) return "–";
  if (BY_UNIT[unit]) return BY_UNIT[unit](number);
  return unit ? `${digits(number)} ${unit}` : digits(number);
}

/** A number short enough for a cell, without its unit: `cellUnit` says which it is. */
function brief(number, unit) {
  if (unit === "bytes") number /= MB;
  const large = Math.abs(number);
  if (large >= 1e6) return `${(number / 1e6).toPrecision(2)}M`;
  if (large >= 1e4) return `${Math.round(number / 1e3)}k`;
  if (large >= 100 || number === 0 || (unit && Number.isInteger(number))) return String(Math.round(number));
  if (BY_UNIT[unit]) return number.toFixed(1);
  return large < 1e-2 ? number.toExponential(0) : number.toPrecision(large < 0.1 ? 2 : 3);
}

const cellUnit = (unit) => ({ bytes: "MB", count: "", "": "no unit" })[unit] ?? unit;

// --- small help with the document -----------------------------------------------------

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const key = (kind, text) => make("span", { class: "key" }, make("i", { class: kind }), text);

// --- colours: viridis, in nine stops --------------------------------------------------

const STOPS = ["440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"].map(
  (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);

function colour(part) {
  const at = Math.min(Math.max(part, 0), 1) * (STOPS.length - 1);
  const below = Math.min(Math.floor(at), STOPS.length - 2);
  return STOPS[below].map((value, n) => Math.round(value + (STOPS[below + 1][n] - value) * (at - below)));
}

/** Black or white: what reads better on a colour, by WCAG's luminance. */
function ink(rgb) {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

// --- measures -------------------------------------------------------------------------

/** Fill a list with measures, by their groups; other choices may come first. */
function fillMeasures(select, measures, first = {}) {
  const groups = new Map(Object.entries(first));
  measures.forEach(({ group, label }, at) => {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push([at, label]);
  });
  for (const [group, options] of groups) {
    const made = options.map(([value, label]) => make("option", { value }, label));
    select.append(make("optgroup", { label: group }, ...made));
  }
}

// --- heatmap --------------------------------------------------------------------------

/** The ends of the colours: the 2nd and 98th percentile, or all if these are one. */
const ends = ({ low, high, least, most }) => (low < high ? [low, high] : [least, most]);

/** Colour a well's cell by its value, between two ends; hatched if there is none. */
function paintValue(cell, value, [low, high], unit, mark = "") {
  cell.classList.add("number");
  cell.classList.toggle("unknown", value === null);
  cell.removeAttribute("style");
  cell.textContent = value === null ? "" : brief(value, unit) + mark;
  if (value === null) return;
  const rgb = colour(high > low ? (value - low) / (high - low) : 0.5);
  cell.style.cssText = `background:rgb(${rgb});color:${ink(rgb)}`;
}

/** The scale of colours with its numbers; nothing to compare gives a sentence. */
function ramp([low, high], unit) {
  if (high <= low) return make("span", { class: "key" }, `${shown(low, unit)} everywhere`);
  const stops = STOPS.map((rgb) => `rgb(${rgb})`).join(",");
  const at = (number) => (BY_UNIT[unit] ? shown(number, unit) : digits(number));
  const ticks = [`≤ ${at(low)}`, at((low + high) / 2), `≥ ${at(high)}`];
  return make("span", { class: "ramp" },
    make("i", { style: `background:linear-gradient(90deg,${stops})` }),
    make("span", {}, ...ticks.map((text) => make("span", {}, text))),
    BY_UNIT[unit] ? null : make("span", { class: "unit" }, unit || "no unit"));
}

/** Show numbers in the cells that have room for them, now and when that changes. */
function watchRoom(tables) {
  const roomy = () => tables.forEach((table) => {
    table.classList.toggle("roomy", $("tbody td", table).clientWidth >= 30);
  });
  const watcher = new ResizeObserver(roomy);
  tables.forEach((table) => watcher.observe(table));
}

/** Let a list choose one plate, or all where `all` is there; its place, or "" for all. */
function fillPlates(chooser, names, all = []) {
  chooser.append(...all.map((text) => make("option", { value: "" }, text)),
    ...names.map((name, at) => make("option", { value: at }, name)));
}

/** Show the figure of the chosen plate alone, or all of them. */
function showPlate(box, wanted) {
  box.querySelectorAll("figure").forEach((figure, at) => {
    figure.hidden = wanted !== "" && wanted !== String(at);
  });
  box.classList.toggle("many", wanted === "");
}

/** The wells of a plate's table, which has a cell for each place, row by row. */
function wellsOf(table, names, places) {
  const cells = table.querySelectorAll("tbody td");
  return names.map((name, n) => ({ name, place: places[n], cell: cells[places[n]] }));
}

/** Describes the well that is pointed at, until one is pinned: `point` and `pin` of
 * `walk`, which one that is (`holds`), and what the reader can do (`hint`). */
function pinning(describe) {
  let pinned = null;
  return {
    point(well, byKey) {
      if (pinned === null || byKey) describe(well);
    },
    pin(well) {
      const same = pinned === well.cell;
      if (pinned) pinned.classList.remove("pinned");
      pinned = same ? null : well.cell;
      if (!same) well.cell.classList.add("pinned");
      describe(well);
    },
    holds: (cell) => cell === pinned,
    hint: () => (pinned ? "Enter or a click releases it." : "Enter or a click pins it."),
    release() {
      pinned = null;
    },
  };
}

/** Make a plate's table one stop of the tab key; arrow keys go from well to well.
 *
 * `point(well, byKey)` is called for the well that is pointed at or has the focus,
 * `pin(well)` for one that is clicked, or chosen by Enter or Space. */
function walk(table, wells, columns, { point, pin }) {
  const wellAt = new Map(wells.map((well) => [well.cell, well]));
  table.setAttribute("role", "grid");
  wells.forEach((well, n) => well.cell.setAttribute("tabindex", n ? -1 : 0));
  const at = (event) => wellAt.get(event.target);
  table.addEventListener("focusin", (event) => {
    const current = at(event);
    if (!current) return;
    wells.forEach((well) => well.cell.setAttribute("tabindex", well === current ? 0 : -1));
    point(current, true);
  });
  table.addEventListener("mouseover", (event) => at(event) && point(at(event), false));
  table.addEventListener("click", (event) => at(event) && pin(at(event)));
  table.addEventListener("keydown", (event) => {
    const current = at(event);
    if (!current || event.altKey || event.metaKey) return;
    const chosen = event.key === "Enter" || event.key === " ";
    const to = chosen ? current : target(event, wells, current, columns);
    if (!to) return;
    event.preventDefault();
    if (chosen) pin(current);
    else to.cell.focus();
  });
}

/** The well that a key leads to: the next one in its direction. */
function target(event, wells, current, columns) {
  const row = (well) => Math.floor(well.place / columns);
  const column = (well) => well.place % columns;
  const inRow = wells.filter((well) => row(well) === row(current));
  const inColumn = wells.filter((well) => column(well) === column(current));
  switch (event.key) {
    case "ArrowRight": return inRow.find((well) => well.place > current.place);
    case "ArrowLeft": return inRow.findLast((well) => well.place < current.place);
    case "ArrowDown": return inColumn.find((well) => well.place > current.place);
    case "ArrowUp": return inColumn.findLast((well) => well.place < current.place);
    case "Home": return event.ctrlKey ? wells[0] : inRow[0];
    case "End": return (event.ctrlKey ? wells : inRow).at(-1);
    default: return undefined;
  }
}
