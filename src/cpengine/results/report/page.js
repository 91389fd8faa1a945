(() => {
  const { jobs, plates, measures, axis, links } = JSON.parse(document.getElementById("data").textContent);
  const STATES = jobs.states;

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

  // --- plates -------------------------------------------------------------------------

  const form = $("form.tools");
  const wells = [];
  if (form) {
    let next = 0;
    plates.forEach((plate, at) => {
      wellsOf($(`#plate-${at}`), plate.wells, plate.at).forEach((well, n) => {
        wells.push({ ...well, at: wells.length, plate, state: plate.state[n], first: next, jobs: plate.jobs[n] });
        next += plate.jobs[n];
      });
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
    const pinned = pinning(describe);

    fillMeasures(show, measures, { Jobs: [["", "State"]] });
    if (chooser) {
      fillPlates(chooser, plates.map((plate) => plate.name), ["all"]);
      chooser.addEventListener("change", () => showPlate($("#wells"), chooser.value));
    }
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    show.addEventListener("change", paint);
    const tables = document.querySelectorAll(".plate");
    tables.forEach((table, at) => {
      const own = wells.filter((well) => well.plate === plates[at]);
      walk(table, own, plates[at].columns, pinned);
    });
    map.classList.add("open");
    panel.classList.add("hint");
    panel.hidden = false;
    panel.append(make("p", { class: "muted" }, "Point at a well, or go to one with Tab and the arrow keys, to see its jobs and values."));
    watchRoom(tables);
    paint();

    function paint() {
      measure = show.value === "" ? null : measures[show.value];
      wells.forEach(measure ? paintMeasure : paintState);
      legend();
      if (panel.dataset.well) describe(wells[panel.dataset.well]);
    }

    function paintState(well) {
      const { cell } = well;
      cell.className = STATES[well.state] + (pinned.holds(cell) ? " pinned" : "");
      cell.removeAttribute("style");
      cell.textContent = STATES[well.state];
      cell.setAttribute("aria-label", `${well.name}: ${summaryOf(well)}`);
    }

    function paintMeasure(well) {
      const { cell } = well;
      const value = measure.wells[well.at];
      cell.className = pinned.holds(cell) ? "pinned" : "";
      cell.classList.toggle("failed", STATES[well.state] === "failed");
      paintValue(cell, value, ends(measure.spread), measure.unit);
      const text = value === null ? "no value" : shown(value, measure.unit);
      cell.setAttribute("aria-label", `${well.name}: ${text}, ${summaryOf(well)}`);
    }

    function legend() {
      const box = $("#legend");
      if (!measure) {
        box.replaceChildren(...STATES.map((state) => key(state, state === "failed" ? "failed ×" : state)));
        return;
      }
      const { median, least, most } = measure.spread;
      const say = (number) => shown(number, measure.unit);
      const how = { sum: "sum over a well’s image sets", mean: "mean over a well’s jobs", largest: "largest of a well’s jobs" };
      const unit = cellUnit(measure.unit);
      box.replaceChildren(
        ramp(ends(measure.spread), measure.unit),
        key("failed", "× has failed jobs"),
        ...(measure.wells.includes(null) ? [key("unknown", "no value")] : []),
        make("span", { class: "muted" },
          `${how[measure.how]}; median ${say(median)}, from ${say(least)} to ${say(most)}; ` +
          `the colours span the 2nd to the 98th percentile of wells.${unit ? ` Numbers in wells: ${unit}.` : ""}`),
      );
    }

    // --- the chosen well ---

    function describe(well) {
      panel.dataset.well = well.at;
      panel.classList.remove("hint");
      panel.replaceChildren(
        make("h3", {}, [well.plate.name, well.name].filter(Boolean).join(" · ")),
        make("p", {}, summaryOf(well)),
        jobTable(well),
        values(well.at),
        make("p", { class: "muted" }, pinned.hint()),
      );
    }

    function jobTable(well) {
      const per = measure && jobs.measures[measure.name];
      const label = per ? measure.label : "";
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
          make("th", { scope: "row" }, entry.label),
          make("td", {}, shown(entry.wells[at], entry.unit)),
          make("td", { class: "muted" }, shown(entry.spread.median, entry.unit))));
      if (!rows.length) return null;
      const head = ["Measure", "This well", "Median"].map((text) => make("th", { scope: "col" }, text));
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
