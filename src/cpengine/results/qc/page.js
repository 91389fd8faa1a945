(() => {
  const data = JSON.parse($("#data").textContent);
  const { plates, measures } = data;
  const tables = plates.map((_, at) => $(`#plate-${at}`));
  const show = $("#show");
  const chooser = $("#plate");
  const range = $("#range");
  const panel = $("#well");
  const pinned = pinning(describe);

  plates.forEach((plate, at) => {
    const placed = plate.wells.map((well, n) => ({ ...well, n, plate })).filter((well) => well.at >= 0);
    plate.cells = placed.length ? wellsOf(tables[at], placed.map((w) => w.name), placed.map((w) => w.at)) : [];
    plate.cells = plate.cells.map((cell, n) => ({ ...placed[n], ...cell }));
    if (tables[at]) walk(tables[at], plate.cells, plate.columns, pinned);
  });

  const chosen = () => ({ plate: plates[Number(chooser.value)], number: Number(show.value) });

  /* What is between 2 % and 98 % of the values, so that one odd well leaves colours. */
  function span(lists) {
    const all = lists.flat().filter((v) => v !== null).sort((a, b) => a - b);
    if (!all.length) return null;
    const at = (part) => all[Math.round(part * (all.length - 1))];
    return ends({ low: at(0.02), high: at(0.98), least: all[0], most: all.at(-1) });
  }

  function draw() {
    const { plate, number } = chosen();
    const measure = measures[number];
    const between = span((range.value === "batch" ? plates : [plate]).map((p) => p.values[number]));
    pinned.release();
    showPlate($("#wells"), chooser.value);
    plate.cells.forEach((well) => paint(well, number, between));
    const why = measure.limits.includes("deviations") && plate.unscored;
    $("#limits").textContent = measure.limits
      ? `Flagged: ${measure.limits}.${why ? ` Of this plate there are ${why}.` : ""}`
      : "No threshold.";
    legend(between, plate, number);
    panel.replaceChildren(make("p", { class: "muted" }, "Point at a well, or go to one with Tab and the arrow keys, to see its sites."));
    panel.classList.add("hint");
    variation(plate);
    only();
  }

  const flagsOf = (well) => well.plate.flags.filter((flag) => flag[0] === well.name);

  function paint(well, number, between) {
    const { cell, plate } = well;
    const value = plate.values[number][well.n];
    const flags = flagsOf(well);
    const mine = flags.some((flag) => flag[2] === number);
    const { unit } = measures[number];
    cell.className = flags.length ? "flagged" : "";
    cell.classList.toggle("marked", mine);
    paintValue(cell, value, between || [0, 0], unit);
    const note = flags.length ? `, ${mine ? "flagged" : "flagged by another measure"}` : "";
    cell.setAttribute("aria-label", `${well.name}: ${shown(value, unit)}${note}`);
  }

  function legend(between, plate, number) {
    const { unit } = measures[number];
    const box = $("#legend");
    if (!between) {
      box.replaceChildren(make("span", {}, "No values."));
      return;
    }
    const inCells = cellUnit(unit);
    box.replaceChildren(ramp(between, unit),
      key("flagged marked", "! flagged by this measure"),
      key("flagged", "flagged by another one"),
      ...($("td.unknown", tables[chooser.value]) ? [key("unknown", "no result")] : []),
      make("span", { class: "muted" }, `Means of a well’s sites; the colours span the 2nd to the 98th percentile.${inCells ? ` Numbers in wells: ${inCells}.` : ""}`));
    const others = plate.wells.map((well, n) => [well, n]).filter(([well]) => well.at < 0);
    if (others.length) {
      const text = others.map(([well, n]) => `${well.name}: ${shown(plate.values[number][n], unit)}`).join(", ");
      box.append(make("p", {}, `Wells without a place: ${text}`));
    }
  }

  function describe(well) {
    const { plate, number } = chosen();
    const { label, unit } = measures[number];
    const sets = well.sets === 1 ? "1 image set" : `${well.sets} image sets`;
    const flags = flagsOf(well).map((flag) => make("li", {}, `site ${flag[1]}: ${flag[3]}`));
    panel.classList.remove("hint");
    panel.replaceChildren(
      make("h3", {}, `${plate.name} · ${well.name}`),
      make("p", {}, `${label}: ${shown(plate.values[number][well.n], unit)} (mean of ${sets})`),
      flags.length ? make("ul", { class: "notes" }, ...flags) : make("p", { class: "muted" }, "No flagged site."),
      make("p", { class: "muted" }, pinned.hint()));
  }

  function variation(plate) {
    $("#cv-plate").textContent = plate.name;
    const head = ["Measure", ...plate.cv.controls].map((name) => make("th", { scope: "col" }, name));
    const lines = Object.entries(plate.cv.measures).map(([measure, cells]) => {
      const numbers = plate.cv.controls.map((name) => {
        const cell = cells[name];
        const wells = cell && (cell[1] === 1 ? "1 well" : `${cell[1]} wells`);
        return make("td", {}, cell ? `${cell[0] === null ? "–" : `${cell[0].toFixed(1)} %`} (${wells})` : "");
      });
      return make("tr", {}, make("th", { scope: "row" }, measure), ...numbers);
    });
    $("#variation").tHead.replaceChildren(make("tr", {}, ...head));
    $("#variation").tBodies[0].replaceChildren(...lines);
  }

  function only() {
    const box = $("#only");
    if (!box) return;
    const name = box.checked ? chosen().plate.name : null;
    for (const row of $("#sites").tBodies[0].rows) {
      row.hidden = name !== null && row.dataset.plate !== name;
    }
  }

  document.querySelectorAll(".scripted, form.tools, #limits, #well").forEach((part) => { part.hidden = false; });
  $(".map").classList.add("open");
  $("form.tools").addEventListener("submit", (event) => event.preventDefault());
  fillMeasures(show, measures);
  fillPlates(chooser, plates.map((plate) => plate.name));
  [chooser.value, show.value] = data.first;
  [show, chooser, range].forEach((select) => select.addEventListener("change", draw));
  if ($("#only")) $("#only").addEventListener("change", only);
  watchRoom(tables.filter(Boolean));
  draw();
})();
