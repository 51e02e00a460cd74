// A row an identity: which track followed it when, where it was missed, where the track changed.
const PAGE_OF_ROWS = 20;
let rowsShown = PAGE_OF_ROWS;
const LANE = 18, TOP = 9, BETWEEN = 8;

const boxesIn = (times) => times.reduce((sum, [first, last]) => sum + last - first + 1, 0);
function sortedIdentities() {
  const rows = selected().flatMap((sequence) => sequence.identities.map((identity) => ({ sequence, identity })));
  const switches = (row) => row.identity.by.reduce((sum, by) => sum + by.switches, 0);
  const missed = (row) => row.identity.by.length * boxesIn(row.identity.present) - row.identity.by.reduce((sum, by) => sum + boxesIn(by.runs), 0);
  const keys = { switches: (row) => -switches(row), missed: (row) => -missed(row), first: (row) => row.identity.present[0][0], id: (row) => row.identity.id };
  const key = keys[byId("timeline-order").value];
  return rows.sort((a, b) => key(a) - key(b));
}

function timelineFor(width) {
  const all = sortedIdentities();
  const shown = all.slice(0, rowsShown);
  const narrow = width < 640;
  const wide = Math.max(120, narrow ? width - 26 : width - 200 - 48);
  const parts = [];
  if (chosen.sequence && shown.length) parts.push(scale(shown[0].sequence, wide, narrow));
  parts.push(...shown.map((row) => timelineRow(row, wide)));
  if (!shown.length) parts.push(el("p", { class: "hint" }, "No identity here."));
  byId("rows").replaceChildren(...parts);
  const left = all.length - shown.length;
  byId("more-rows").hidden = left <= 0;
  byId("more-rows").textContent = `Show ${Math.min(left, 2 * PAGE_OF_ROWS)} more of ${whole.format(left)}`;
}
const place = (sequence, wide) => (frame) => ((frame - 1) / Math.max(1, sequence.frames)) * wide;

function scale(sequence, wide, narrow) {
  const x = place(sequence, wide);
  const rough = sequence.frames / (narrow ? 4 : 8);
  const ten = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const step = Math.max(1, [1, 2, 5, 10].map((k) => k * ten).find((s) => s >= rough));
  const ticks = [];
  for (let frame = step; frame <= sequence.frames; frame += step) {
    const edge = x(frame) > wide - 24;
    ticks.push(shape("line", { class: "axis", x1: x(frame), x2: x(frame), y1: 14, y2: 20 }),
      shape("text", { class: "soft", x: x(frame), y: 11, "text-anchor": edge ? "end" : "middle" }, whole.format(frame)));
  }
  return el("div", { class: "row scale", "aria-hidden": "true" }, el("span", {}, "frame"), shape("svg", { height: 20, viewBox: `0 0 ${wide} 20`, preserveAspectRatio: "none" }, ticks));
}

function timelineRow({ sequence, identity }, wide) {
  const tracks = identity.by.map((by) => new Set(by.runs.map((run) => run[2])).size);
  const switches = identity.by.map((by) => by.switches);
  const each = (values, word, many) => (pair ? `${values.join(" / ")} ${many ?? word + "s"}` : plural(values[0], word, many));
  const label = chosen.sequence ? `Identity ${identity.id}` : `${sequence.name} · ${identity.id}`;
  const words = `${each(tracks, "track")}, ${each(switches, "switch", "switches")}`;
  const height = TOP + identity.by.length * LANE + (identity.by.length - 1) * BETWEEN + 1;
  const x = place(sequence, wide);
  const lanes = identity.by.map((by, r) => lane(sequence, identity, by, r, x));
  const drawing = shape("svg", { height, viewBox: `0 0 ${wide} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": spoken(identity) }, lanes);
  drawing.addEventListener("pointermove", (event) => hover(event, sequence));
  drawing.addEventListener("pointerleave", (event) => hover(event, null));
  const open = () => showErrorsOf(sequence, identity.id);
  return el("div", { class: "row" }, el("button", { type: "button", title: `${label}: show its errors`, on: { click: open } }, el("b", {}, label), el("small", {}, words)), drawing);
}

function lane(sequence, identity, by, r, x) {
  const y = TOP + r * (LANE + BETWEEN);
  const span = (first, last) => ({ x: x(first), width: Math.max(1, x(last + 1) - x(first)) });
  const parts = identity.present.map(([first, last]) => shape("g", {},
    shape("rect", { class: "lane", y, height: LANE, ...span(first, last) }),
    shape("rect", { class: "miss", y: y + LANE / 2 - 1.5, height: 3, ...span(first, last), "data-words": `missed, within frames ${first}–${last}` })));
  by.runs.forEach(([first, last, track], i) => {
    const where = span(first, last);
    const text = String(track);
    const words = `${pair ? LETTERS[r] + ": " : ""}track ${track}, frames ${first}–${last} (${last - first + 1})`;
    parts.push(shape("g", { class: "run", "data-track": `${r}:${track}` },
      shape("rect", { y, height: LANE, fill: colour(track), "data-words": words, ...where }),
      where.width > 7 * text.length + 6 ? shape("text", { x: where.x + 4, y: y + 13 }, text) : null));
    if (i && by.runs[i - 1][2] !== track) parts.push(shape("path", { class: "turn", d: `M${where.x - 5} ${y - 8}h10l-5 8z`, "data-words": `switch in frame ${first}: track ${by.runs[i - 1][2]} → ${track}` }));
  });
  return shape("g", { "data-run": r }, parts);
}

function spoken(identity) {
  return identity.by.map((by, r) => `${LETTERS[r]} ` + by.runs.slice(0, 30).map(([first, last, track]) => `track ${track} frames ${first} to ${last}`).join("; ") +
    (by.runs.length > 30 ? `; and ${by.runs.length - 30} more` : by.runs.length ? "" : "never followed")).join(". ");
}

let lit = null;
function hover(event, sequence) {
  const target = sequence && event.target.closest("[data-words]");
  tell(event, target && target.getAttribute("data-words"));
  const run = target && target.closest(".run");
  const track = run && `${sequence.name} ${run.getAttribute("data-track")}`;
  if (track === lit) return;
  lit = track;
  const rows = byId("rows");
  rows.classList.toggle("lit", Boolean(track));
  for (const old of rows.querySelectorAll(".same")) old.classList.remove("same");
  if (!track || !chosen.sequence) { if (run) run.classList.add("same"); return; }
  for (const same of rows.querySelectorAll(`[data-track="${run.getAttribute("data-track")}"]`)) same.classList.add("same");
}
