"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const get = (id) => document.getElementById(id);
  const STOPS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  document.documentElement.classList.add("js");

  function make(tag, text, attributes) {
    const element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    return element;
  }

  function shown(value) {
    if (value === null) return "–";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 0.001 || size >= 100000) return value.toExponential(1);
    return size >= 1000 ? value.toFixed(0) : value.toPrecision(3);
  }

  function colour(part) {
    const place = Math.min(Math.max(part, 0), 1) * (STOPS.length - 1);
    const first = Math.min(Math.floor(place), STOPS.length - 2);
    return STOPS[first].map((v, i) => Math.round(v + (STOPS[first + 1][i] - v) * (place - first)));
  }

  function ink(rgb) {
    const [r, g, b] = rgb.map((v) => {
      const c = v / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    return light > 0.179 ? "#000" : "#fff";
  }

  /* What is between 2 % and 98 % of the values, so that one odd well leaves colours. */
  function range(lists) {
    const all = lists.flat().filter((v) => v !== null).sort((a, b) => a - b);
    if (!all.length) return null;
    const at = (part) => all[Math.round(part * (all.length - 1))];
    return [at(0.02), at(0.98)];
  }

  function rowName(row) {
    const first = Math.floor((row - 1) / 26);
    return (first ? String.fromCharCode(64 + first) : "") + String.fromCharCode(65 + (row - 1) % 26);
  }

  function fill() {
    data.plates.forEach((plate, i) => get("plate").append(make("option", plate.name, { value: i })));
    const groups = new Map();
    data.measures.forEach((measure, i) => {
      if (!groups.has(measure.group)) {
        groups.set(measure.group, make("optgroup", null, { label: measure.group }));
        get("measure").append(groups.get(measure.group));
      }
      const label = `${measure.group.split(" ").pop()} ${measure.label}`;
      groups.get(measure.group).append(make("option", label, { value: i }));
    });
  }

  const chosen = () => ({
    plate: data.plates[Number(get("plate").value)],
    number: Number(get("measure").value),
  });

  function draw() {
    const { plate, number } = chosen();
    const measure = data.measures[number];
    const values = plate.values[number];
    const span = range(get("range").value === "batch" ? data.plates.map((p) => p.values[number]) : [values]);
    const table = get("map");
    const [rows, columns] = plate.shape;
    const byPlace = new Map(plate.wells.map((well, i) => [`${well[1]},${well[2]}`, i]));
    table.className = columns > 12 ? "large" : "";
    table.caption.textContent = `${measure.name} on plate ${plate.name}, by well`;
    const head = make("tr");
    head.append(make("td"));
    for (let c = 1; c <= columns; c += 1) head.append(make("th", c, { scope: "col" }));
    table.tHead.replaceChildren(head);
    const body = [];
    for (let r = 1; r <= rows; r += 1) {
      const line = make("tr");
      line.append(make("th", rowName(r), { scope: "row" }));
      for (let c = 1; c <= columns; c += 1) {
        const i = byPlace.get(`${r},${c}`);
        line.append(i === undefined ? make("td") : cell(plate, number, i, span));
      }
      body.push(line);
    }
    table.tBodies[0].replaceChildren(...body);
    const first = table.querySelector("td[data-well]");
    if (first) first.tabIndex = 0;
    const why = measure.limits.includes("deviations") && plate.unscored;
    get("limits").textContent = measure.limits
      ? `Flagged: ${measure.limits}.${why ? ` Of this plate there are ${why}.` : ""}`
      : "No threshold.";
    legend(span, plate, number);
    get("well").replaceChildren();
    variation(plate);
    only();
  }

  function cell(plate, number, i, span) {
    const value = plate.values[number][i];
    const name = plate.wells[i][0];
    const flags = plate.flags.filter((flag) => flag[0] === name);
    const mine = flags.some((flag) => flag[2] === number);
    const element = make("td", shown(value) + (mine ? " !" : ""), { "data-well": i, tabindex: -1 });
    if (flags.length) element.classList.add("flagged");
    const note = flags.length ? `, ${mine ? "flagged" : "flagged by another measure"}` : "";
    element.setAttribute("aria-label", `${name}: ${shown(value)}${note}`);
    if (value !== null && span) {
      const rgb = colour(span[1] > span[0] ? (value - span[0]) / (span[1] - span[0]) : 0.5);
      element.style.background = `rgb(${rgb})`;
      element.style.color = ink(rgb);
    }
    return element;
  }

  function legend(span, plate, number) {
    const box = get("legend");
    if (!span) {
      box.replaceChildren(make("span", "No values."));
      return;
    }
    const bar = make("span", null, { class: "bar", "aria-hidden": "true" });
    bar.style.background = `linear-gradient(to right, ${STOPS.map((s) => `rgb(${s})`).join(",")})`;
    box.replaceChildren(make("span", `${shown(span[0])} or less`), bar, make("span", `${shown(span[1])} or more`));
    const other = plate.wells.map((well, i) => [well, i]).filter(([well]) => !well[1]);
    if (other.length) {
      const text = other.map(([well, i]) => `${well[0]}: ${shown(plate.values[number][i])}`).join(", ");
      box.append(make("p", `Wells without a place: ${text}`));
    }
  }

  function tell(i) {
    const { plate, number } = chosen();
    const [name, , , images] = plate.wells[i];
    const sets = images === 1 ? "1 image set" : `${images} image sets`;
    const text = `${name}: ${shown(plate.values[number][i])} (mean of ${sets})`;
    const flags = plate.flags.filter((flag) => flag[0] === name);
    const list = make("ul");
    for (const flag of flags) list.append(make("li", `site ${flag[1]}: ${flag[3]}`));
    get("well").replaceChildren(make("p", text), ...(flags.length ? [list] : []));
  }

  function move(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const step = steps[event.key];
    const from = event.target.closest("td[data-well]");
    if (!step || !from) return;
    event.preventDefault();
    const rows = get("map").tBodies[0].rows;
    let row = from.parentElement.rowIndex - 1 + step[0];
    let column = from.cellIndex + step[1];
    while (rows[row] && rows[row].cells[column]) {
      const next = rows[row].cells[column];
      if (next.dataset.well !== undefined) {
        from.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        return;
      }
      row += step[0];
      column += step[1];
    }
  }

  function variation(plate) {
    get("cv-plate").textContent = plate.name;
    const head = make("tr");
    head.append(make("th", "Measure", { scope: "col" }));
    for (const name of plate.cv.controls) head.append(make("th", name, { scope: "col", class: "number" }));
    const lines = Object.entries(plate.cv.measures).map(([measure, cells]) => {
      const line = make("tr");
      line.append(make("th", measure, { scope: "row" }));
      for (const name of plate.cv.controls) {
        const cell = cells[name];
        const text = cell ? `${cell[0] === null ? "–" : `${cell[0].toFixed(1)} %`} (${cell[1]})` : "";
        line.append(make("td", text, { class: "number" }));
      }
      return line;
    });
    get("cv").tHead.replaceChildren(head);
    get("cv").tBodies[0].replaceChildren(...lines);
  }

  function only() {
    if (!get("only")) return;
    const name = get("only").checked ? chosen().plate.name : null;
    for (const row of get("sites").tBodies[0].rows) {
      row.hidden = name !== null && row.dataset.plate !== name;
    }
  }

  fill();
  get("plate").value = data.first[0];
  get("measure").value = data.first[1];
  for (const id of ["plate", "measure", "range"]) get(id).addEventListener("change", draw);
  if (get("only")) get("only").addEventListener("change", only);
  get("map").addEventListener("keydown", move);
  for (const kind of ["focusin", "mouseover"]) {
    get("map").addEventListener(kind, (event) => {
      const well = event.target.closest("td[data-well]");
      if (well) tell(Number(well.dataset.well));
    });
  }
  draw();
})();
