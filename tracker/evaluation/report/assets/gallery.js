// The errors: filtered, sorted, a page at a time, and one of them closer.
const PAGE = 24;
const MEANING = { switch: "an identity goes on under another track", split: "one identity, several tracks", merge: "one track, several identities" };
const errors = data.sequences.flatMap((sequence) => sequence.errors.flatMap((of, run) => of.map((error) => ({ ...error, sequence, run }))));
let listed = [], pageNow = 0;

function filters() {
  for (const kind of ["switch", "split", "merge"]) {
    byId("kinds").append(el("label", { title: MEANING[kind] }, el("input", { type: "checkbox", name: "kind", value: kind, checked: true, on: { change: list } }), " ",
      el("span", { class: `kind ${kind}` }, kind), " ", el("span", { id: `count-${kind}` })));
  }
  byId("runs").hidden = !pair;
  data.runs.forEach((run, i) => byId("runs").append(el("label", { title: run.name }, el("input", { type: "checkbox", name: "run", value: i, checked: true, on: { change: list } }), " ", runName(i))));
  for (const id of ["identity", "track"]) byId(id).addEventListener("input", list);
  byId("order").addEventListener("change", list);
  byId("reset").addEventListener("click", () => { resetFilters(); choose(""); });
}
function resetFilters() {
  for (const box of byId("filters").querySelectorAll("input[type=checkbox]")) box.checked = true;
  byId("identity").value = byId("track").value = "";
}
const checkedOf = (name) => new Set([...document.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
const identitiesOf = (error) => (error.kind === "merge" ? error.stretches.map((s) => s[0]) : [error.identity]);
const tracksOf = (error) => (error.kind === "merge" ? [error.track] : error.stretches.map((s) => s[0]));

function list() {
  const kinds = checkedOf("kind"), runs = checkedOf("run");
  const identity = byId("identity").value.trim(), track = byId("track").value.trim();
  const near = errors.filter((e) => (!chosen.sequence || e.sequence.name === chosen.sequence) && runs.has(String(e.run)) &&
    (!identity || identitiesOf(e).map(String).includes(identity)) && (!track || tracksOf(e).map(String).includes(track)));
  for (const kind of Object.keys(MEANING)) byId(`count-${kind}`).textContent = whole.format(near.filter((e) => e.kind === kind).length);
  listed = near.filter((e) => kinds.has(e.kind));
  const key = { frame: (e) => e.frame, gap: (e) => -e.gap, pieces: (e) => -e.pieces }[byId("order").value];
  const place = new Map(data.sequences.map((s, i) => [s, i]));
  listed.sort((a, b) => (byId("order").value === "frame" ? place.get(a.sequence) - place.get(b.sequence) : 0) || key(a) - key(b));
  turn(0);
}

function turn(to) {
  const pages = Math.max(1, Math.ceil(listed.length / PAGE));
  pageNow = Math.max(0, Math.min(pages - 1, to));
  const from = pageNow * PAGE;
  const part = listed.slice(from, from + PAGE);
  byId("gallery").replaceChildren(...(part.length ? part.map((error, i) => card(error, from + i)) : [el("li", { class: "none" }, errors.length ? "Nothing matches. Choose another sequence or kind, or reset." : "No errors of identity: every track stayed with its identity.")]));
  byId("count").textContent = listed.length ? `${whole.format(from + 1)}–${whole.format(from + part.length)} of ${plural(listed.length, "error")}` : "no errors";
  document.querySelectorAll(".pager .steps").forEach((steps, i) => {
    const go = (step) => () => {
      turn(pageNow + step);
      if (i) { byId("count").scrollIntoView({ block: "center" }); }
      document.querySelectorAll(".pager .steps")[i].querySelector(step < 0 ? "button" : "button:last-child").focus({ preventScroll: true });
    };
    steps.replaceChildren(el("button", { type: "button", disabled: pageNow === 0, on: { click: go(-1) } }, "Previous"), `page ${pageNow + 1} of ${pages}`,
      el("button", { type: "button", disabled: pageNow === pages - 1, on: { click: go(1) } }, "Next"));
    steps.hidden = pages === 1;
  });
}

function headline(error) {
  const last = error.stretches.at(-1)[0], first = error.stretches[0][0];
  if (error.kind === "switch") return ["Identity ", String(error.identity), ": track ", chip(first), " → ", chip(last)];
  if (error.kind === "split") return ["Identity ", String(error.identity), ` is split over ${plural(error.several, "track")}`];
  return ["Track ", chip(error.track), ` merges ${plural(error.several, "identity", "identities")}`];
}
function sub(error) {
  const seconds = error.sequence.rate ? ` (${(error.gap / error.sequence.rate).toFixed(2)} s)` : "";
  if (error.kind === "switch") return error.gap ? `after ${plural(error.gap, "frame")} without a match${seconds}` : "from one frame to the next";
  const [a, b] = error.stretches;
  const word = error.kind === "split" ? "track" : "identity";
  return `${word} ${a[0]} for ${plural(a[3], "box", "boxes")}, then ${b[0]} for ${plural(b[3], "box", "boxes")}` + (error.pieces > 2 ? `, ${plural(error.pieces - 2, "more change")}` : "");
}
function why(error) {
  if (!error.costs) return null;
  const old = error.stretches[0][0], fresh = error.stretches.at(-1)[0];
  const refused = error.costs.filter((c) => c.track === old && !c.matched).at(-1);
  const taken = error.costs.find((c) => c.track === fresh && c.matched);
  const cost = (c) => (c.cost == null ? "" : ` at cost ${c.cost.toFixed(3)}` + (c.gate == null ? "" : `, gate ${c.gate.toFixed(3)}`));
  const parts = [];
  parts.push(refused ? `Track ${old}: ${refused.verdict}${cost(refused)}.` : `Track ${old} was compared with nothing: out of reach.`);
  if (taken) parts.push(taken.stage === "a new track" ? `Track ${fresh} began as a new track.` : `Track ${fresh}: matched${cost(taken)}.`);
  return el("div", { class: "why" }, parts.join(" "));
}

function card(error, index) {
  const open = () => closer(index);
  const views = error.views.slice(0, 2).map((view, i) => el("button",
    { type: "button", on: { click: open }, "aria-label": `${i ? "After" : "Before"}, frame ${view.frame}: look closer` },
    picture(view), caption(error, view, i)));
  // Pictures before words: so those of a row stand in line.
  return el("li", { class: "error", "data-kind": error.kind }, topLine(error), el("div", { class: "views" }, views),
    el("h3", {}, headline(error)), el("p", {}, sub(error)), why(error));
}
const topLine = (error) => el("header", {}, el("span", { class: `kind ${error.kind}` }, error.kind), pair ? runName(error.run) : null,
  el("span", { class: "where", title: error.sequence.name }, error.sequence.name), el("span", { class: "when" }, `frame ${whole.format(error.frame)}`));
function caption(error, view, i) {
  const who = error.kind === "merge" ? `identity ${error.stretches[i][0]}` : `track ${error.stretches[i][0]}`;
  return el("span", { class: "caption" }, `${whole.format(view.frame)} · ${who}`);
}

// Boxes: dashed the true one, thick the track's, thin other tracks'.
function picture(view) {
  const [w, h] = view.size;
  const parts = view.picture ? [shape("image", { href: `data:image/jpeg;base64,${view.picture}`, width: w, height: h, preserveAspectRatio: "none" })] : [];
  const order = [...view.boxes].sort((a, b) => [1, 2, 0][a[5]] - [1, 2, 0][b[5]]);
  for (const [x, y, bw, bh, id, kind] of order) {
    const box = { x, y, width: bw, height: bh };
    const line = kind === 2 ? 1.3 : kind === 1 ? 3 : 1.8;
    parts.push(shape("rect", { class: "halo", ...box, "stroke-width": line + 2 }));
    parts.push(kind === 0 ? shape("rect", { class: "true", ...box, "stroke-width": line }) : shape("rect", { ...box, stroke: strong(id), "stroke-width": line }));
    const size = h * (kind === 1 ? 0.085 : 0.06);
    const low = kind === 1 ? y - h * 0.022 : y + bh - h * 0.015;
    if (kind === 1 || (kind === 2 && x > -size && low < h + size)) {
      const tx = Math.max(h * 0.012, Math.min(x + h * 0.012, w - size * 0.62 * String(id).length));
      parts.push(shape("text", { x: tx, y: Math.max(size, Math.min(h - 2, low)), "font-size": size, "stroke-width": size / 6 }, String(id)));
    }
  }
  const drawn = shape("svg", { class: "view", viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `Boxes in frame ${view.frame}` }, parts);
  for (const text of drawn.querySelectorAll("text")) text.style.fontSize = `${text.getAttribute("font-size")}px`;
  return drawn;
}

function closer(index) {
  const dialog = byId("closer");
  const error = listed[index];
  // What had the focus is replaced: it goes to the button of the same name, or the arrows would find nobody.
  const focused = dialog.contains(document.activeElement) ? document.activeElement.textContent : "Next";
  const step = (to) => { if (to >= 0 && to < listed.length) { closer(to); if (Math.floor(to / PAGE) !== pageNow) turn(Math.floor(to / PAGE)); } };
  const button = (text, act, off = false) => el("button", { type: "button", disabled: off, on: { click: act } }, text);
  dialog.replaceChildren(
    el("div", { class: "head" }, el("span", { class: `kind ${error.kind}` }, error.kind),
      button("Previous", () => step(index - 1), index === 0), button("Next", () => step(index + 1), index === listed.length - 1), button("Close", () => dialog.close())),
    el("h3", { id: "closer-head" }, headline(error)),
    el("p", {}, pair ? runName(error.run) : null, pair ? " · " : null, `${error.sequence.name} · frame ${whole.format(error.frame)} · ${sub(error)}`),
    el("div", { class: "views" }, error.views.map((view, i) => el("span", {}, picture(view), caption(error, view, i)))),
    why(error), stretchTable(error), costTable(error));
  dialog.onkeydown = (event) => {
    if (event.target.closest(".wide, .views")) return;
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1 }[event.key];
    if (to != null) { event.preventDefault(); step(to); }
  };
  if (!dialog.open) dialog.showModal();
  const same = [...dialog.querySelectorAll(".head button:enabled")].find((b) => b.textContent === focused);
  (same ?? dialog).focus();
}
const wideTable = (label, heads, rows) => el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label },
  el("table", {}, el("thead", {}, el("tr", {}, heads.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));
function stretchTable(error) {
  const rows = error.stretches.map(([id, first, last, boxes]) => [error.kind === "merge" ? String(id) : chip(id), whole.format(first), whole.format(last), whole.format(boxes)]);
  if (error.pieces > rows.length) rows.push([`and ${error.pieces - rows.length} more`, "", "", ""]);
  return wideTable("Who followed whom", [error.kind === "merge" ? "identity" : "track", "from frame", "to frame", "boxes"], rows);
}
function costTable(error) {
  if (!error.costs) return null;
  const number = (v) => (v == null ? "–" : v.toFixed(3));
  const rows = error.costs.map((c) => [c.track ? chip(c.track) : "not confirmed", whole.format(c.frame), String(c.detection), c.stage, c.verdict, number(c.cost), number(c.gate),
    Object.entries(c.terms).map(([name, v]) => `${name} ${v.toFixed(3)}`).join(", ")]);
  return wideTable("Costs", ["track", "frame", "detection", "stage", "verdict", "cost", "gate", "terms"], rows);
}
function showErrorsOf(sequence, identity) {
  resetFilters();
  byId("identity").value = String(identity);
  choose(sequence.name);
  byId("errors").scrollIntoView();
}
