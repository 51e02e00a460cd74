// The heading, the tiles, the comparison and the table of scores.
function heading() {
  const facts = byId("facts");
  const fact = (name, ...value) => facts.append(el("dt", {}, name), el("dd", {}, ...value));
  document.title = `Tracking report: ${data.runs.map((r) => r.name).join(" and ")}`;
  data.runs.forEach((run, i) => fact(pair ? `tracker ${LETTERS[i]}` : "tracker", pair ? runName(i) : null, pair ? " " : null,
    run.name === run.path ? run.path : `${run.name} (${run.path})`));
  fact("ground truth", data.gt);
  const frames = data.sequences.reduce((sum, s) => sum + s.frames, 0);
  fact("rules", data.benchmark === "none" ? "none: every row counts" : data.benchmark, ` · ${plural(data.sequences.length, "sequence")}, ${plural(frames, "frame")}`);
}

function tiles() {
  const name = chosen.sequence || data.combined;
  byId("tiles").replaceChildren(...["HOTA", "DetA", "AssA", "IDF1", "MOTA", "IDSW", "FP", "FN"].map((metric) => {
    const values = data.runs.map((_, i) => number(i, name, metric));
    const less = values.at(-1) - values[0];
    return el("div", { class: "tile" }, el("div", { class: "name" }, metric, pair ? " " : null, pair ? runName(1) : null),
      el("div", { class: "value" }, show(metric, values.at(-1))),
      pair ? el("div", { class: `less ${better(metric, less)}` }, `${arrow(less)}${show(metric, less, true)}`,
        el("span", { class: "from" }, ` A ${show(metric, values[0])}`)) : null);
  }));
}

function compared() {
  if (!pair) return;
  // One sequence has no interval and tells nothing of others.
  const judged = (...cells) => (single ? [] : cells);
  const heads = [single ? "" : "all sequences", "A", "B", "B − A", ...judged("95 % interval", "that means")];
  const rows = HEADLINE.map((metric) => {
    const [a, b] = [0, 1].map((i) => number(i, data.combined, metric));
    const d = data.differences[metric];
    const interval = !d || d.low == null ? "–" : `${show(metric, d.low, true)} … ${show(metric, d.high, true)}`;
    return el("tr", {}, el("th", { scope: "row" }, metric), el("td", {}, show(metric, a)), el("td", {}, show(metric, b)),
      el("td", { class: better(metric, b - a) }, `${arrow(b - a)}${show(metric, b - a, true)}`),
      judged(el("td", {}, interval), el("td", {}, d ? d.verdict : "")));
  });
  byId("compared").replaceChildren(
    el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Comparison" },
      el("table", {}, el("thead", {}, el("tr", {}, heads.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, rows))),
    data.caution ? el("p", { class: "note" }, data.caution) : el("span"));
}

const sorting = { metric: null, down: true };
function columns() {
  if (!byId("all-metrics").checked) return HEADLINE;
  const all = Object.keys(data.runs[0].numbers[data.combined].full);
  return [...HEADLINE, ...all.filter((metric) => !HEADLINE.includes(metric))];
}
function scoreTable() {
  const metrics = columns();
  const value = (name, metric) => (pair ? number(1, name, metric) - number(0, name, metric) : number(0, name, metric));
  const names = data.sequences.map((s) => s.name);
  if (sorting.metric) names.sort((a, b) => (sorting.down ? -1 : 1) * (value(a, sorting.metric) - value(b, sorting.metric)));
  const head = el("tr", {}, el("th", { scope: "col" }, el("button", { type: "button", on: { click: () => sortBy(null) } }, "sequence")),
    metrics.map((metric) => {
      const active = metric === sorting.metric;
      const label = active ? `${metric} ${sorting.down ? "▼" : "▲"}` : metric;
      return el("th", { scope: "col", "aria-sort": active ? (sorting.down ? "descending" : "ascending") : null },
        el("button", { type: "button", on: { click: () => sortBy(metric) } }, label));
    }));
  const bodies = [...names, ...(single ? [] : [data.combined])].map((name) => el("tbody", { class: name === data.combined ? "total" : "" }, group(name, metrics)));
  byId("table").replaceChildren(el("thead", {}, head), ...bodies);
}
function group(name, metrics) {
  const title = name === data.combined ? "all together" : name;
  const rows = data.runs.map((_, i) => el("tr", {}, el("th", { scope: "row", title }, pair ? runName(i) : null, pair ? " " : null, title),
    metrics.map((metric) => el("td", {}, show(metric, number(i, name, metric))))));
  if (pair) rows.push(el("tr", { class: "difference" }, el("th", { scope: "row" }, "B − A"), metrics.map((metric) => {
    const less = number(1, name, metric) - number(0, name, metric);
    return el("td", { class: better(metric, less) }, show(metric, less, true));
  })));
  return rows;
}
function sortBy(metric) {
  sorting.down = metric === sorting.metric ? !sorting.down : !lower.has(metric);
  sorting.metric = metric;
  scoreTable();
  const again = [...byId("table").querySelectorAll("thead button")].find((b) => b.textContent.split(" ")[0] === (metric ?? "sequence"));
  again?.focus();
}
