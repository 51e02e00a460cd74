// Zones and lines over a picture: shown, drawn, moved, named, saved. With mouse, touch or keys.
import { cameraPath, put, request } from "./api.js";
import { h, toast } from "./dom.js";
import { drawShapes } from "./shapes.js";

const LEAST = { zone: 3, line: 2 };
const STEP = 0.01;
const NEAR = 14; // px: a click so near to the first corner closes the zone
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}\p{M}_ .-]*$/u;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1e4) / 1e4;

export class Editor {
  constructor(name, onEditing) {
    this.name = name;
    this.onEditing = onEditing;
    this.shapes = [];
    this.saved = "[]";
    this.tag = null;
    this.visible = true;
    this.editing = false;
    this.draft = null; // { kind, points } while one is drawn
    this.cursor = null; // where the next corner would be
    this.selected = -1;
    this.drag = null;
    this.inside = {}; // how many are in each zone now
    this.overlay = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.overlay.classList.add("overlay");
    this.overlay.setAttribute("role", "group");
    this.overlay.setAttribute("aria-label", "Zones and lines");
    this.panel = h("section", { class: "editor", hidden: true, "aria-label": "Zones and lines, editing" });
    this.hint = h("p", { class: "hint", role: "status" });
    this.error = h("p", { class: "wrong", role: "alert", hidden: true });
    this.rows = h("ul", { class: "shapes" });
    this.buttons = {
      zone: h("button", { type: "button", onclick: () => this.draw("zone") }, "New zone"),
      line: h("button", { type: "button", onclick: () => this.draw("line") }, "New line"),
      finish: h("button", { type: "button", onclick: () => this.finish() }, "Finish"),
      save: h("button", { type: "button", class: "primary", onclick: () => this.save() }, "Save"),
      cancel: h("button", { type: "button", onclick: () => this.cancel() }, "Cancel"),
    };
    this.panel.append(h("div", { class: "row tools" }, ...Object.values(this.buttons)), this.hint, this.error, this.rows);
    this.listeners();
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.overlay);
  }

  get dirty() { return this.editing && (this.draft !== null || JSON.stringify(this.shapes) !== this.saved); }

  async load() {
    const answer = await request(cameraPath(this.name, "/geometry"));
    this.take(await answer.json(), answer.headers.get("ETag"));
  }

  take(geometry, tag) {
    this.tag = tag;
    this.shapes = [
      ...geometry.zones.map(({ polygon, ...rest }) => ({ kind: "zone", points: polygon, ...rest })),
      ...geometry.lines.map(({ points, ...rest }) => ({ kind: "line", points, ...rest })),
    ];
    this.saved = JSON.stringify(this.shapes);
    this.selected = -1;
    this.redraw();
  }

  setVisible(visible) {
    this.visible = visible;
    this.redraw();
  }

  setInside(inside) {
    if (JSON.stringify(inside) === JSON.stringify(this.inside)) return;
    this.inside = inside;
    if (!this.drag) this.redraw();
  }

  // From what there is now, whoever changed it last.
  async begin() {
    await this.load();
    this.visible = true;
    this.setEditing(true);
    this.buttons.zone.focus();
  }

  setEditing(editing) {
    this.editing = editing;
    this.draft = this.drag = this.cursor = null;
    this.selected = -1;
    this.panel.hidden = !editing;
    this.error.hidden = true;
    this.overlay.classList.toggle("editing", editing);
    this.onEditing(editing);
    this.redraw();
  }

  cancel() {
    if (this.draft) {
      this.draft = this.cursor = null;
      this.redraw();
      return;
    }
    if (this.dirty && !confirm("Throw the changes away?")) return;
    this.shapes = JSON.parse(this.saved);
    this.setEditing(false);
  }

  draw(kind) {
    this.selected = -1;
    this.draft = { kind, points: [] };
    this.cursor = null;
    this.redraw();
    this.overlay.focus({ preventScroll: true });
    this.overlay.scrollIntoView({ block: "nearest" });
  }

  place(point) {
    const { kind, points } = this.draft;
    if (kind === "zone" && points.length >= 3 && this.pixels(point, points[0]) < NEAR) return this.finish();
    if (points.length && this.pixels(point, points.at(-1)) < 3) return points.length >= LEAST[kind] ? this.finish() : undefined;
    points.push(point);
    if (kind === "line" && points.length === 2) return this.finish();
    return this.redraw();
  }

  finish() {
    if (!this.draft || this.draft.points.length < LEAST[this.draft.kind]) return;
    const { kind, points } = this.draft;
    this.shapes.push({ kind, name: this.freeName(kind), points, ...(kind === "zone" ? { dwell: null } : {}), classes: null });
    this.draft = this.cursor = null;
    this.selected = this.shapes.length - 1;
    this.redraw();
    const input = this.rows.children[this.selected].querySelector("input");
    input.focus({ preventScroll: true });
    input.select();
  }

  freeName(kind) {
    const names = new Set(this.shapes.filter((shape) => shape.kind === kind).map((shape) => shape.name));
    let number = 1;
    while (names.has(`${kind} ${number}`)) number += 1;
    return `${kind} ${number}`;
  }

  remove(index) {
    this.shapes.splice(index, 1);
    this.selected = -1;
    this.redraw();
    (this.rows.children[Math.min(index, this.shapes.length - 1)]?.querySelector("input") ?? this.buttons.zone).focus();
  }

  problem() {
    for (const kind of ["zone", "line"]) {
      const names = this.shapes.filter((shape) => shape.kind === kind).map((shape) => shape.name.trim());
      if (names.includes("")) return `A ${kind} has no name.`;
      const odd = names.find((name) => !NAME.test(name));
      if (odd !== undefined) return `${odd}: a name has letters, digits, spaces, dots and hyphens, and begins with a letter or digit.`;
      const small = names.map((name) => name.toLowerCase());
      const twice = names.find((name, i) => small.indexOf(name.toLowerCase()) !== i);
      if (twice !== undefined) return `Two ${kind}s are called ${twice}.`;
    }
    return null;
  }

  async save() {
    if (this.draft) this.finish();
    const wrong = this.problem();
    if (wrong) return this.complain(wrong);
    const part = (kind, key) => this.shapes.filter((shape) => shape.kind === kind).map((shape) => ({
      name: shape.name.trim(), [key]: shape.points, classes: shape.classes, ...(kind === "zone" ? { dwell: shape.dwell } : {}),
    }));
    this.buttons.save.disabled = true;
    try {
      const body = { zones: part("zone", "polygon"), lines: part("line", "points") };
      const answer = await put(cameraPath(this.name, "/geometry"), body, this.tag ? { "If-Match": this.tag } : {});
      const saved = await answer.json();
      this.take(saved, answer.headers.get("ETag"));
      this.setEditing(false);
      toast(saved.saved_in
        ? `Saved. The zones and lines are in ${saved.saved_in}`
        : "Applied until the service stops: this camera is in no file that they could be saved in.");
    } catch (error) {
      this.complain(error.message);
    } finally {
      this.buttons.save.disabled = false;
    }
    return undefined;
  }

  complain(words) {
    this.error.textContent = words;
    this.error.hidden = false;
  }

  // ---- where things are

  size() { return [this.overlay.clientWidth || 1, this.overlay.clientHeight || 1]; }

  at(event) {
    const box = this.overlay.getBoundingClientRect();
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  }

  pixels(one, other) {
    const [width, height] = this.size();
    return Math.hypot((one[0] - other[0]) * width, (one[1] - other[1]) * height);
  }

  // ---- hands

  listeners() {
    const overlay = this.overlay;
    overlay.addEventListener("pointerdown", (event) => this.press(event));
    overlay.addEventListener("pointermove", (event) => this.move(event));
    overlay.addEventListener("pointerup", (event) => this.release(event));
    overlay.addEventListener("pointercancel", () => { this.drag = null; });
    overlay.addEventListener("keydown", (event) => this.key(event));
  }

  press(event) {
    if (!this.editing || event.button !== 0) return;
    event.preventDefault();
    overlayCapture(this.overlay, event.pointerId);
    const point = this.at(event);
    if (this.draft) {
      this.drag = { start: point, drawing: true };
      this.cursor = point;
      this.overlay.focus({ preventScroll: true });
      if (this.draft.kind === "line" && this.draft.points.length === 0) this.draft.points.push(point);
      else this.drag.place = true;
      this.redraw();
      return;
    }
    const { shape, corner, middle } = event.target.dataset;
    this.selected = shape === undefined ? -1 : Number(shape);
    if (this.selected >= 0) {
      const points = this.shapes[this.selected].points;
      let index = corner === undefined ? -1 : Number(corner);
      if (middle !== undefined) points.splice((index = Number(middle) + 1), 0, point);
      this.drag = { start: point, index, before: points.map((one) => [...one]) };
    }
    this.redraw();
  }

  move(event) {
    if (!this.editing) return;
    const point = this.at(event);
    if (this.draft) {
      this.cursor = point;
      this.redraw();
    } else if (this.drag) {
      this.moveTo(point);
      this.redraw();
    }
  }

  moveTo(point) {
    const shape = this.shapes[this.selected];
    const { start, index, before } = this.drag;
    if (index >= 0) {
      shape.points[index] = point;
      return;
    }
    // As a whole, and never past the picture's edge.
    const shift = [0, 1].map((axis) => {
      const values = before.map((one) => one[axis]);
      return Math.min(1 - Math.max(...values), Math.max(-Math.min(...values), point[axis] - start[axis]));
    });
    shape.points = before.map((one) => [within(one[0] + shift[0]), within(one[1] + shift[1])]);
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (!this.draft || !drag?.drawing) return;
    const point = this.at(event);
    // A line may be drawn by dragging, or by two clicks.
    if (drag.place || this.pixels(point, drag.start) > NEAR) this.place(drag.place ? drag.start : point);
  }

  key(event) {
    if (!this.editing) return;
    const arrow = ARROWS[event.key];
    if (this.draft) this.keyWhileDrawing(event, arrow);
    else if (event.target.dataset?.corner !== undefined) this.keyOnCorner(event, arrow);
  }

  keyWhileDrawing(event, arrow) {
    const step = event.shiftKey ? STEP / 5 : STEP;
    if (arrow) this.cursor = (this.cursor ?? [0.5, 0.5]).map((value, axis) => within(value + arrow[axis] * step));
    else if (event.key === "Enter" || event.key === " ") this.place(this.cursor ?? (this.cursor = [0.5, 0.5]));
    else if (event.key === "Backspace") this.draft.points.pop();
    else if (event.key === "Escape") this.draft = this.cursor = null;
    else return;
    event.preventDefault();
    this.redraw();
  }

  keyOnCorner(event, arrow) {
    const { shape, corner } = event.target.dataset;
    const { kind, points } = this.shapes[shape];
    const step = event.shiftKey ? STEP / 5 : STEP;
    if (arrow) points[corner] = points[corner].map((value, axis) => within(value + arrow[axis] * step));
    else if (event.key === "Delete" && points.length > LEAST[kind]) points.splice(corner, 1);
    else return;
    event.preventDefault();
    this.selected = Number(shape);
    this.redraw();
    this.overlay.querySelector(`[data-shape="${shape}"][data-corner="${Math.min(corner, points.length - 1)}"]`)?.focus();
  }

  // ---- eyes

  redraw() {
    const overlay = this.overlay;
    if (this.editing) overlay.setAttribute("tabindex", "0");
    else overlay.removeAttribute("tabindex");
    drawShapes(overlay, this.size(), this.visible ? this : { inside: {}, shapes: [], selected: -1, draft: null, cursor: null, editing: false });
    if (this.editing) this.redrawPanel();
  }

  redrawPanel() {
    const { zone, line, finish, cancel } = this.buttons;
    zone.hidden = line.hidden = this.draft !== null;
    finish.hidden = this.draft?.kind !== "zone";
    finish.disabled = (this.draft?.points.length ?? 0) < 3;
    cancel.textContent = this.draft ? "Stop drawing" : "Cancel";
    this.hint.textContent = this.words();
    this.shapes.forEach((shape, i) => {
      const row = this.rows.children[i] ?? this.rows.appendChild(this.row());
      row.show(shape, i);
    });
    while (this.rows.childElementCount > this.shapes.length) this.rows.lastElementChild.remove();
  }

  words() {
    if (!this.draft) {
      return this.shapes.length
        ? "Drag corners, or a whole shape. With keys: Tab to a corner, arrows move it, Delete takes it away."
        : "Nothing here yet. Draw a zone to know who is inside, or a line to count who crosses it.";
    }
    if (this.draft.kind === "line") return "Drag from one end of the line to the other, or click both ends. With keys: arrows, then Enter.";
    return this.draft.points.length < 3
      ? "Click the corners of the zone. With keys: arrows, then Enter."
      : "Click the next corner, or the first one again to close the zone.";
  }

  // A row of the list; made once, so that typing is never interrupted.
  row() {
    let index = 0;
    const shape = () => this.shapes[index];
    const name = h("input", { type: "text", maxlength: 64, onfocus: () => this.select(index), oninput: () => { shape().name = name.value; this.redraw(); } });
    const dwell = h("input", { type: "number", min: 1, max: 86400, step: 1, placeholder: "–", oninput: () => { shape().dwell = dwell.value === "" ? null : Number(dwell.value); } });
    const kind = h("span", { class: "swatch" });
    const dwellLabel = h("label", { class: "small" }, "stays for (s)", dwell);
    const flip = h("button", { type: "button", onclick: () => { shape().points.reverse(); this.redraw(); } }, "Swap A and B");
    const remove = h("button", { type: "button", class: "danger", onclick: () => this.remove(index) }, "Delete");
    const nameLabel = h("label", { class: "small" }, kind, name);
    const row = h("li", {}, nameLabel, dwellLabel, flip, remove);
    row.show = (one, i) => {
      index = i;
      row.classList.toggle("selected", i === this.selected);
      kind.textContent = one.kind === "zone" ? "Zone" : "Line";
      row.dataset.kind = one.kind;
      row.dataset.tint = i % 6;
      if (name.value !== one.name) name.value = one.name;
      const seconds = one.dwell === null || one.dwell === undefined ? "" : String(one.dwell);
      if (document.activeElement !== dwell) dwell.value = seconds;
      dwellLabel.hidden = one.kind !== "zone";
      flip.hidden = one.kind !== "line";
      remove.setAttribute("aria-label", `Delete ${one.kind} ${one.name}`);
    };
    return row;
  }

  select(index) {
    if (this.selected === index) return;
    this.selected = index;
    this.redraw();
  }

  close() { this.observer.disconnect(); }
}

function overlayCapture(overlay, pointer) {
  try { overlay.setPointerCapture(pointer); } catch { /* a pointer that is gone already */ }
}
