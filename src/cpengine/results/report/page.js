"use strict";
(() => {
  const { jobs, plates, measures, axis, links } = JSON.parse(document.getElementById("data").textContent);
  const $ = (selector, root = document) => root.querySelector(selector);
  const STATES = jobs.states;

  // --- numbers, as numbers.py writes them -------------------------------------------

  const grouped = (number, digits = 0) =>
    number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

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
  const shown = (number, unit) => (number === null ? "–" : (BY_UNIT[unit] || digits)(number));

  /** A number short enough for a cell. */
  function brief(number, unit) {
    if (unit === "bytes") number /= MB;
    const size = Math.abs(number);
    if (size >= 1e6) return `${(number / 1e6).toPrecision(2)}M`;
    if (size >= 1e4) return `${Math.round(number / 1e3)}k`;
    if (size >= 100 || number === 0 || (unit && Number.isInteger(number))) return String(Math.round(number));
    if (unit) return number.toFixed(1);
    return size < 1e-4 ? number.toExponential(0) : number.toPrecision(size < 0.1 ? 2 : 3);
  }

  // --- small help with the document -------------------------------------------------

  function make(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  const quoted = (path) => path.split("/").map(encodeURIComponent).join("/");

  /** A job's values by metadata column, in the order of its name. */
  const group = (job) => jobs.groups.map((column) => column.values[column.of[job]]);
  const name = (job) => group(job).join("-");

  /** The folder below the output that has a job's results; as Job.place. */
  function place(job) {
    if (!links.structure) return name(job);
    const values = group(job);
    return jobs.keys.reduce((path, key, at) => path.split(key).join(values[at]), links.structure);
  }

  // --- colours: viridis, in nine stops ------------------------------------------------

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

  // --- plates -------------------------------------------------------------------------

  const form = $("form.tools");
  const wells = [];
  if (form) {
    const firsts = [];
    let next = 0;
    plates.forEach((plate, at) => {
      const cells = document.querySelectorAll(`#plate-${at} tbody td`);
      plate.wells.forEach((well, n) => {
        const cell = cells[plate.at[n]];
        cell.dataset.well = wells.length;
        wells.push({ plate, name: well, cell, place: plate.at[n], state: plate.state[n], first: next, jobs: plate.jobs[n] });
        next += plate.jobs[n];
      });
      firsts.push(plate.first);
    });
    plateMap();
  }

  function statesOf(well) {
    const found = STATES.map(() => 0);
    for (let job = well.first; job < well.first + well.jobs; job++) found[jobs.state[job]]++;
    return found;
  }

  function summaryOf(well) {
    const found = statesOf(well);
    if (well.jobs === 1) return STATES[found.indexOf(1)];
    const some = found.map((number, at) => (number ? `${number} ${STATES[at]}` : "")).filter(Boolean);
    return `${some.join(", ")} of ${well.jobs} jobs`;
  }

  function plateMap() {
    const show = $("#show");
    const chooser = $("#plate");
    const panel = $("#well");
    const map = $(".map");
    let measure = null;
    let pinned = null;

    fillShow(show);
    if (chooser) {
      chooser.append(make("option", { value: "" }, "all"), ...plates.map((p, at) => make("option", { value: at }, p.name)));
      chooser.addEventListener("change", choosePlate);
    }
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    show.addEventListener("change", paint);
    document.querySelectorAll(".plate").forEach(makeGrid);
    map.classList.add("open");
    panel.classList.add("hint");
    panel.hidden = false;
    panel.append(make("p", { class: "muted" }, "Point at a well, or go to one with Tab and the arrow keys, to see its jobs and values."));
    new ResizeObserver(roomy).observe($("#wells"));
    paint();

    function fillShow(select) {
      const groups = new Map([["Jobs", [["", "State"]]]]);
      measures.forEach((entry, at) => {
        const [kind, label] = kindOf(entry.name);
        if (!groups.has(kind)) groups.set(kind, []);
        groups.get(kind).push([at, label]);
      });
      for (const [kind, options] of groups) {
        select.append(make("optgroup", { label: kind }, ...options.map(([value, label]) => make("option", { value }, label))));
      }
    }

    function kindOf(column) {
      const quality = /^ImageQuality_([A-Za-z]+)_(.*)$/.exec(column);
      if (quality) return [quality[1], `${quality[1]} ${quality[2]}`];
      if (column.startsWith("Count_")) return ["Counts", column.slice(6)];
      if (column === "ModuleErrors") return ["Counts", "Image sets with module errors"];
      return ["Jobs", column];
    }

    function choosePlate() {
      const wanted = chooser.value;
      document.querySelectorAll(".wells figure").forEach((figure, at) => {
        figure.hidden = wanted !== "" && wanted !== String(at);
      });
      $("#wells").classList.toggle("many", wanted === "");
      roomy();
    }

    /** Show numbers in the cells that have room for them. */
    function roomy() {
      document.querySelectorAll(".plate").forEach((table) => {
        const cell = $("tbody td", table);
        table.classList.toggle("roomy", cell.clientWidth >= 30);
      });
    }

    function paint() {
      measure = show.value === "" ? null : measures[show.value];
      wells.forEach(measure ? paintValue : paintState);
      legend();
      if (panel.dataset.well) describe(wells[panel.dataset.well]);
    }

    function paintState(well) {
      const { cell } = well;
      cell.className = STATES[well.state] + (cell.classList.contains("pinned") ? " pinned" : "");
      cell.removeAttribute("style");
      cell.textContent = STATES[well.state];
      cell.setAttribute("aria-label", `${well.name}: ${summaryOf(well)}`);
    }

    function paintValue(well, at) {
      const { cell } = well;
      const value = measure.wells[at];
      const failed = STATES[well.state] === "failed";
      const pinnedClass = cell.classList.contains("pinned") ? " pinned" : "";
      cell.className = `number${value === null ? " unknown" : ""}${failed ? " failed" : ""}${pinnedClass}`;
      if (value === null) {
        cell.removeAttribute("style");
        cell.textContent = "";
      } else {
        const { low, high } = measure.spread;
        const rgb = colour(high > low ? (value - low) / (high - low) : 0.5);
        cell.style.cssText = `background:rgb(${rgb});color:${ink(rgb)}`;
        cell.textContent = brief(value, measure.unit);
      }
      const text = value === null ? "no value" : shown(value, measure.unit);
      cell.setAttribute("aria-label", `${well.name}: ${text}, ${summaryOf(well)}`);
    }

    function legend() {
      const box = $("#legend");
      const key = (kind, text) => make("span", { class: "key" }, make("i", { class: kind }), text);
      if (!measure) {
        box.replaceChildren(...STATES.map((state) => key(state, state === "failed" ? "failed ×" : state)));
        return;
      }
      const { low, median, high, least, most } = measure.spread;
      const say = (number) => shown(number, measure.unit);
      const stops = STOPS.map((rgb) => `rgb(${rgb})`).join(",");
      const middle = (low + high) / 2;
      const ramp = make("span", { class: "ramp" });
      ramp.append(make("i", { style: `background:linear-gradient(90deg,${stops})` }));
      ramp.append(make("span", {}, ...[low, middle, high].map((v, at) =>
        make("b", { style: "font-weight:400" }, ["≤ ", "", "≥ "][at] + say(v)))));
      const how = { sum: "sum over a well’s image sets", mean: "mean over a well’s jobs", largest: "largest of a well’s jobs" };
      const unit = measure.unit === "bytes" ? " Cells: MB." : "";
      box.replaceChildren(
        high > low ? ramp : make("span", { class: "key" }, `${say(low)} everywhere`),
        make("span", { class: "key" }, make("i", { class: "failed" }), "× has failed jobs"),
        make("span", { class: "muted" },
          `${how[measure.how]}; median ${say(median)}, from ${say(least)} to ${say(most)}; ` +
          `the colours span 2 to 98 % of wells.${unit}`),
      );
    }

    // One stop for the tab key a plate; arrow keys go from well to well.
    function makeGrid(table, at) {
      table.setAttribute("role", "grid");
      const own = wells.filter((well) => well.plate === plates[at]);
      own.forEach((well, n) => well.cell.setAttribute("tabindex", n ? -1 : 0));
      table.addEventListener("keydown", (event) => moved(event, own, plates[at].columns));
      table.addEventListener("focusin", (event) => point(event.target, own));
      table.addEventListener("mouseover", (event) => pinned === null && point(event.target));
      table.addEventListener("click", (event) => pin(event.target));
    }

    function point(cell, own) {
      const well = wells[cell.dataset.well];
      if (!well) return;
      if (own) own.forEach((other) => other.cell.setAttribute("tabindex", other === well ? 0 : -1));
      if (pinned === null || own) describe(well);
    }

    function pin(cell) {
      if (!wells[cell.dataset.well]) return;
      const same = pinned === cell;
      if (pinned) pinned.classList.remove("pinned");
      pinned = same ? null : cell;
      if (!same) cell.classList.add("pinned");
      describe(wells[cell.dataset.well]);
    }

    function moved(event, own, columns) {
      const current = wells[event.target.dataset.well];
      if (!current || event.altKey || event.metaKey) return;
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        pin(event.target);
        return;
      }
      const to = target(event, own, current, columns);
      if (!to) return;
      event.preventDefault();
      to.cell.focus();
    }

    /** The well that a key leads to: the next one in its direction. */
    function target(event, own, current, columns) {
      const row = (well) => Math.floor(well.place / columns);
      const column = (well) => well.place % columns;
      const inRow = own.filter((well) => row(well) === row(current));
      const inColumn = own.filter((well) => column(well) === column(current));
      const last = (some) => some[some.length - 1];
      switch (event.key) {
        case "ArrowRight": return inRow.find((well) => well.place > current.place);
        case "ArrowLeft": return last(inRow.filter((well) => well.place < current.place));
        case "ArrowDown": return inColumn.find((well) => well.place > current.place);
        case "ArrowUp": return last(inColumn.filter((well) => well.place < current.place));
        case "Home": return event.ctrlKey ? own[0] : inRow[0];
        case "End": return last(event.ctrlKey ? own : inRow);
        default: return undefined;
      }
    }

    // --- the chosen well ---

    function describe(well) {
      const at = wells.indexOf(well);
      panel.dataset.well = at;
      panel.classList.remove("hint");
      panel.replaceChildren(
        make("h3", {}, [well.plate.name, well.name].filter(Boolean).join(" · ")),
        make("p", {}, summaryOf(well)),
        jobTable(well),
        values(at),
        make("p", { class: "muted" }, pinned ? "Enter, or a click, lets it go." : "Enter, or a click, keeps it here."),
      );
    }

    function jobTable(well) {
      const per = measure && jobs.measures[measure.name];
      const label = per ? kindOf(measure.name)[1] : "";
      const heads = ["Site", "State", "Time", "Memory", ...(per ? [label.length > 10 ? "Value" : label] : []), ""];
      const body = make("tbody");
      for (let job = well.first; job < well.first + well.jobs; job++) {
        const site = jobs.sites.values[jobs.sites.of[job]] || "all";
        const state = STATES[jobs.state[job]];
        const tries = jobs.attempt[job] > 1 ? ` (${jobs.attempt[job]} attempts)` : "";
        body.append(make("tr", {},
          make("th", { scope: "row" }, site),
          make("td", { class: "text state", title: jobs.whys[jobs.why[job]] }, state + tries),
          make("td", {}, shown(jobs.wall_s[job], "s")),
          make("td", {}, shown(jobs.peak_memory[job], "bytes")),
          per ? make("td", {}, shown(per[job], measure.unit)) : null,
          make("td", { class: "text" }, ...linksOf(job, state)),
        ));
      }
      const head = heads.map((text, n) => make("th", { scope: "col", class: n < 2 ? "text" : "" }, text || make("span", { class: "vh" }, "Files")));
      return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Jobs" }, make("table", { class: "list" }, make("thead", {}, make("tr", {}, ...head)), body));
    }

    function linksOf(job, state) {
      if (jobs.host[job] < 0) return [];
      const log = make("a", { href: `${links.logs}/${quoted(name(job))}.log` }, "log");
      if (state === "failed" || state === "missing") return [log];
      return [log, " ", make("a", { href: `${links.output}/${quoted(place(job))}` }, "files")];
    }

    function values(at) {
      const rows = measures.filter((entry) => entry.wells[at] !== null).map((entry) =>
        make("tr", { class: entry === measure ? "chosen" : "" },
          make("th", { scope: "row" }, kindOf(entry.name)[1]),
          make("td", {}, shown(entry.wells[at], entry.unit)),
          make("td", { class: "muted" }, shown(entry.spread.median, entry.unit))));
      if (!rows.length) return null;
      const head = ["Measure", "Here", "Median"].map((text) => make("th", { scope: "col" }, text));
      return make("div", { class: "values", tabindex: "0", role: "region", "aria-label": "Values" },
        make("table", { class: "list" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
    }
  }

  // --- timeline -------------------------------------------------------------------------

  const lanes = $("#lanes");
  if (lanes && axis.length) timeline();

  function timeline() {
    const svg = $("svg", lanes);
    const whole = Number(lanes.dataset.width);
    const count = Number(lanes.dataset.lanes);
    const pointed = $("#pointed");
    const hint = pointed.textContent;
    const zoom = $("#zoom");
    const origin = axis[0].begin;
    let left = 0;
    let width = whole;
    const byLane = Array.from({ length: count }, () => []);
    jobs.lane.forEach((lane, job) => lane >= 0 && byLane[lane].push(job));

    zoom.hidden = false;
    zoom.addEventListener("click", (event) => {
      const { zoom: factor, move } = event.target.dataset;
      if (factor === "0") view(0, whole);
      else if (factor) view(left + (width - width * factor) / 2, width * factor);
      else if (move) view(left + width * move, width);
    });
    lanes.addEventListener("mousemove", (event) => tell(jobAt(event)));
    lanes.addEventListener("click", (event) => tell(jobAt(event)));
    lanes.addEventListener("mouseleave", () => { pointed.textContent = hint; });
    new ResizeObserver(ticks).observe(lanes);
    view(0, whole);

    function view(from, wide) {
      width = Math.min(Math.max(wide, whole / 2000), whole);
      left = Math.min(Math.max(from, 0), whole - width);
      svg.setAttribute("viewBox", `${left} 0 ${width} ${svg.viewBox.baseVal.height}`);
      lanes.querySelectorAll(".mark").forEach((mark) => {
        mark.style.left = `${(100 * (mark.dataset.x - left)) / width}%`;
      });
      zoom.querySelectorAll("button").forEach(({ dataset }, at, all) => {
        const { zoom: factor, move } = dataset;
        all[at].disabled = factor === "0.5" ? width <= whole / 2000 : move < 0 ? left <= 0
          : move > 0 ? left + width >= whole : width >= whole;
      });
      ticks();
    }

    function secondsAt(x) {
      const segment = axis.find((part) => x <= part.at + part.width) || axis[axis.length - 1];
      return segment.begin + ((x - segment.at) / (segment.width || 1)) * (segment.end - segment.begin);
    }

    function ticks() {
      const room = Math.max(2, Math.floor(lanes.clientWidth / 110));
      const made = [];
      axis.forEach((segment) => {
        const from = Math.max(left, segment.at);
        const to = Math.min(left + width, segment.at + segment.width);
        if (to <= from) return;
        const [begin, end] = [secondsAt(from), secondsAt(to)];
        const step = stepOf(((end - begin) / (to - from)) * width / room);
        for (let time = Math.ceil(begin / step) * step; time <= end; time += step) {
          made.push([segment.at + ((time - segment.begin) / (segment.end - segment.begin || 1)) * segment.width, time, step]);
        }
        if (!made.some(([x]) => x >= from && x <= to)) made.push([from, begin, 1]);
      });
      const gap = (90 / (lanes.clientWidth || 1)) * width;
      let free = -Infinity;
      const visible = made.filter(([x]) => x >= free && x <= left + width - gap * 0.75 && ((free = x + gap), true));
      let day = "";
      $("#ticks").replaceChildren(...visible.map(([x, time, step]) => {
        const [date, clock] = new Date(time * 1000).toISOString().split("T");
        const text = step >= 86400 ? date : clock.slice(0, step < 60 ? 8 : 5);
        const label = date !== day && step < 86400 && axisDays() > 1 ? `${date.slice(5)} ${text}` : text;
        day = date;
        return make("span", { style: `left:${(100 * (x - left)) / width}%` }, label);
      }));
    }

    function axisDays() {
      return Math.floor(axis[axis.length - 1].end / 86400) - Math.floor(origin / 86400) + 1;
    }

    function stepOf(seconds) {
      const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
      return steps.find((step) => step >= seconds) || Math.ceil(seconds / 86400) * 86400;
    }

    function jobAt(event) {
      const box = svg.getBoundingClientRect();
      const x = left + ((event.clientX - box.left) / box.width) * width;
      const lane = Math.floor(((event.clientY - box.top) / box.height) * count);
      const time = secondsAt(x) - origin;
      const slack = (2 * width) / box.width / whole * (axis[0].end - origin);
      return (byLane[lane] || []).find((job) => jobs.started[job] - slack <= time && time <= jobs.started[job] + jobs.wall_s[job] + slack);
    }

    function tell(job) {
      if (job === undefined) {
        pointed.textContent = hint;
        return;
      }
      const { fetching, waiting, checking, running, publishing } = jobs.phase_s;
      const phases = [["fetching", fetching], ["waiting", waiting], ["comparing", checking], ["CellProfiler", running], ["publishing", publishing]]
        .filter(([, seconds]) => seconds[job] >= 0.1).map(([what, seconds]) => `${what} ${duration(seconds[job])}`);
      const clock = new Date((origin + jobs.started[job]) * 1000).toISOString().slice(11, 19);
      pointed.textContent = `${name(job)}: ${STATES[jobs.state[job]]}, ${duration(jobs.wall_s[job])} from ${clock} UTC` +
        ` on ${jobs.hosts[jobs.host[job]].host}${phases.length ? ` (${phases.join(", ")})` : ""}`;
    }
  }
})();
