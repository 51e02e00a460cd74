// HOTA's family over the thresholds, and one metric by sequence.
const CURVES = ["HOTA", "DetA", "AssA", "LocA"];
let at = 9;

function curvesFor(width) {
  const name = chosen.sequence || data.combined;
  byId("curves-head").textContent = `Over the thresholds of overlap: ${chosen.sequence || "all sequences"}`;
  const height = Math.max(210, Math.min(300, width * 0.55));
  const left = 34, right = 46, top = 10, bottom = 34;
  const levels = data.thresholds;
  const x = (i) => left + ((width - left - right) * i) / (levels.length - 1);
  const y = (v) => top + (height - top - bottom) * (1 - v);
  const parts = [0, 0.25, 0.5, 0.75, 1].map((v) => shape("g", {},
    shape("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
    shape("text", { class: "soft", x: left - 6, y: y(v) + 4, "text-anchor": "end" }, String(100 * v))));
  const every = width < 420 ? 6 : 3;
  levels.forEach((level, i) => {
    if (i % every === 0) parts.push(shape("text", { class: "soft", x: x(i), y: height - 18, "text-anchor": "middle" }, level.toFixed(2)));
  });
  parts.push(shape("text", { class: "soft", x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, "overlap from which a box is found"));
  data.runs.forEach((run, r) => CURVES.forEach((metric, m) => {
    const points = run.numbers[name].curves[metric].map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
    parts.push(shape("polyline", { class: `line m${m} ${r ? "second" : ""}`, points: points.join(" ") }));
  }));
  // Names at the ends of the lines, from the bottom up, so that none lies on another.
  const ends = CURVES.map((metric) => ({ metric, y: y(data.runs[0].numbers[name].curves[metric].at(-1)) + 4 })).sort((a, b) => b.y - a.y);
  let lowest = height - bottom + 4;
  for (const end of ends) {
    end.y = Math.min(end.y, lowest);
    lowest = end.y - 13;
    parts.push(shape("text", { x: width - right + 6, y: end.y }, end.metric));
  }
  const cursor = shape("line", { class: "cursor", y1: top, y2: height - bottom });
  const move = (i) => {
    at = Math.max(0, Math.min(levels.length - 1, i));
    cursor.setAttribute("x1", x(at));
    cursor.setAttribute("x2", x(at));
    drawing.setAttribute("aria-valuenow", levels[at]);
    drawing.setAttribute("aria-valuetext", `overlap ${levels[at].toFixed(2)}: ` + data.runs.map((run, r) => LETTERS[r] + " " + CURVES.map((m) => `${m} ${show(m, run.numbers[name].curves[m][at])}`).join(", ")).join("; "));
    readout(name);
  };
  const nearest = (event) => {
    const box = drawing.getBoundingClientRect();
    move(Math.round(((event.clientX - box.left - left) / (width - left - right)) * (levels.length - 1)));
  };
  const drawing = shape("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "slider", "aria-label": "Curves; arrow keys move over the thresholds",
    "aria-valuemin": levels[0], "aria-valuemax": levels.at(-1),
    on: {
      pointermove: nearest, pointerdown: nearest,
      keydown: (event) => {
        const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, Home: -99, End: 99 }[event.key];
        if (step) { event.preventDefault(); move(at + step); }
      },
    },
  }, parts, cursor);
  byId("curves").replaceChildren(drawing, el("div", { class: "readout", id: "readout" }));
  move(at);
}
function readout(name) {
  const head = el("tr", {}, el("th", {}, `at ${data.thresholds[at].toFixed(2)}`), CURVES.map((m, i) => el("th", {}, el("span", { class: `dot f${i}` }), m)));
  const rows = data.runs.map((run, r) => el("tr", {}, el("th", {}, pair ? runName(r) : "", pair ? el("span", { class: "dash" }, r ? " - - -" : " ——") : null),
    CURVES.map((m) => el("td", {}, show(m, run.numbers[name].curves[m][at])))));
  byId("readout").replaceChildren(el("table", {}, head, rows));
}

function bars() {
  const metric = byId("bar-metric").value;
  const names = data.sequences.map((s) => s.name);
  const of = (name) => data.runs.map((_, r) => number(r, name, metric));
  // The sum of counts would dwarf its parts.
  const shown = single || COUNTS.has(metric) ? names : [...names, data.combined];
  const all = shown.flatMap(of);
  const low = Math.min(0, ...all);
  const high = COUNTS.has(metric) || metric === "FAF" ? Math.max(1e-9, ...all) : Math.max(1, ...all);
  const part = (v) => (100 * (v - low)) / (high - low);
  byId("bars").replaceChildren(el("div", { class: "bars" }, shown.map((name) => {
    const title = name === data.combined ? "all together" : name;
    const key = name === data.combined ? "" : name;
    const lanes = of(name).map((v, r) => {
      const bar = el("div", { class: `fill ${r ? "b" : "a"}` });
      bar.style.left = `${Math.min(part(0), part(v))}%`;
      bar.style.width = `${Math.abs(part(v) - part(0))}%`;
      return el("div", { class: "track" }, bar, el("span", { class: "number" }, `${LETTERS[r]} ${show(metric, v)}`.trim()));
    });
    return [el("button", { type: "button", title, "aria-pressed": String(key === chosen.sequence), on: { click: () => choose(key) } }, title), el("div", {}, lanes)];
  })));
}
