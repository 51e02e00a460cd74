// One camera, large: picture, zones and lines, figures, and who was seen last.
import { cameraPath, get } from "./api.js";
import { clock, h, listed, milliseconds, setText, toast } from "./dom.js";
import { Editor } from "./editor.js";
import { badge, whyDark } from "./grid.js";
import { Screen, watch } from "./pictures.js";

const IDENTITIES = 12;
const FACES_EVERY = 2000;

export class CameraView {
  constructor(name) {
    this.name = name;
    this.camera = null;
    this.canvas = h("canvas", { width: 960, height: 540, role: "img", "aria-label": `Live picture of ${name}` });
    this.screen = new Screen(this.canvas);
    this.veil = h("p", { class: "veil" });
    this.badge = h("span", { class: "badge" });
    this.figures = h("dl", { class: "figures wide" });
    this.lines = h("ul", { class: "lines" });
    this.people = h("ul", { class: "people" });
    this.nobody = h("p", { class: "empty small" }, "Nobody seen yet.");
    this.editor = new Editor(name, (changed) => this.setEditing(changed));
    this.show = h("input", { type: "checkbox", checked: true, onchange: () => this.editor.setVisible(this.show.checked) });
    this.edit = h("button", { type: "button", onclick: () => this.begin() }, "Edit zones and lines");
    this.stage = h("div", { class: "stage" }, this.canvas, this.veil, this.editor.overlay);
    this.element = h("section", { class: "camera", "aria-label": `Camera ${name}` },
      h("div", { class: "row head" },
        h("a", { class: "back", href: "#/" }, "← All cameras"), h("h1", {}, name), this.badge),
      this.stage,
      h("div", { class: "row tools" },
        h("label", {}, this.show, " Zones and lines"), this.edit),
      this.editor.panel,
      this.figures,
      h("section", { "aria-labelledby": "lines-title", class: "lines-part" }, h("h2", { id: "lines-title" }, "Crossings"), this.lines),
      h("section", { "aria-labelledby": "people-title" }, h("h2", { id: "people-title" }, "Seen last"), this.nobody, this.people));
    this.stop = watch(cameraPath(name, "/stream?size=large"), (_, jpeg) => this.screen.show(jpeg));
    this.timer = setInterval(() => this.faces(), FACES_EVERY);
    this.faces();
    this.editor.load().catch((error) => toast(error.message, "bad"));
  }

  update(status) {
    const camera = status.cameras.find((one) => one.name === this.name);
    if (!camera) {
      this.stop();
      this.element.replaceChildren(h("div", { class: "empty big" }, h("h1", {}, "There is no such camera"), h("a", { href: "#/" }, "← All cameras")));
      return;
    }
    this.element.dataset.state = camera.state;
    setText(this.badge, badge(camera, status.now));
    setText(this.veil, whyDark(camera));
    if (camera.size) this.stage.style.setProperty("--shape", `${camera.size[0]} / ${camera.size[1]}`);
    if (camera.size) this.stage.style.setProperty("--ratio", camera.size[0] / camera.size[1]);
    this.figure({
      "in view": camera.tracks,
      "seen so far": listed(camera.counts) || "nobody",
      "frames a second in": camera.fps_in.toFixed(1),
      "tracked": camera.fps_out.toFixed(1),
      "latency, median": milliseconds(camera.latency_p50),
      "latency, 95 %": milliseconds(camera.latency_p95),
      "dropped": camera.dropped.toLocaleString(),
      ...(camera.lost ? { "damaged": camera.lost.toLocaleString() } : {}),
      "reconnected": camera.reconnects.toLocaleString(),
      ...(camera.recording === null ? {} : { "recording": camera.recording }),
    });
    this.crossings(camera.lines);
    const total = (counts) => Object.values(counts).reduce((sum, count) => sum + count, 0);
    this.editor.setInside(Object.fromEntries(Object.entries(camera.zones).map(([zone, counts]) => [zone, total(counts)])));
  }

  figure(values) {
    const names = Object.keys(values);
    if (this.figures.childElementCount !== names.length) {
      this.figures.replaceChildren(...names.map((name) => h("div", {}, h("dt", {}, name), h("dd"))));
    }
    names.forEach((name, i) => setText(this.figures.children[i].lastElementChild, String(values[name])));
  }

  crossings(lines) {
    this.lines.parentElement.hidden = lines.length === 0;
    const side = { a_to_b: "A → B", b_to_a: "B → A" };
    const ways = {};
    lines.forEach((one) => (ways[one.line] ??= []).push(`${side[one.direction] ?? one.direction} ${listed(one.counts) || "nobody"}`));
    const words = Object.entries(ways).map(([line, both]) => `${line}: ${both.join(" · ")}`);
    if (words.join("\n") !== this.linesShown) {
      this.linesShown = words.join("\n");
      this.lines.replaceChildren(...words.map((text) => h("li", {}, text)));
    }
  }

  async faces() {
    if (document.hidden) return;
    let seen;
    try {
      seen = await get(cameraPath(this.name, `/identities?limit=${IDENTITIES}`));
    } catch { return; }
    this.nobody.hidden = seen.length > 0;
    const old = new Map([...this.people.children].map((item) => [item.dataset.id, item]));
    this.people.replaceChildren(...seen.map((one) => {
      const item = old.get(String(one.id)) ?? h("li", { "data-id": one.id },
        h("img", { alt: `${one.class_name} ${one.id}`, loading: "lazy" }), h("b", {}, `#${one.id}`), h("small"));
      const image = item.firstElementChild;
      if (image.dataset.last !== String(one.last)) {
        // Crops get better while somebody stays; ask again at most every ten seconds.
        const stamp = `${one.crop}?t=${Math.floor(one.last / 10)}`;
        if (image.getAttribute("src") !== stamp) image.src = stamp;
        image.dataset.last = one.last;
      }
      setText(item.lastElementChild, `${one.class_name}, ${clock(one.first)} – ${clock(one.last)}`);
      return item;
    }));
  }

  async begin() {
    this.edit.disabled = true;
    try {
      await this.editor.begin();
    } catch (error) {
      toast(error.message, "bad");
    } finally {
      this.edit.disabled = false;
    }
  }

  setEditing(editing) {
    this.edit.hidden = editing;
    this.show.checked = this.editor.visible;
    this.show.disabled = editing;
    if (!editing) this.edit.focus();
  }

  dirty() { return this.editor.dirty; }

  mayLeave() {
    return !this.editor.dirty || confirm("The zones and lines were changed and not saved. Leave all the same?");
  }

  close() {
    this.stop();
    clearInterval(this.timer);
    this.editor.close();
  }
}
