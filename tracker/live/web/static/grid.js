// All cameras at once.
import { clock, h, listed, milliseconds, setText, span } from "./dom.js";
import { Screen, watch } from "./pictures.js";

const STATES = { live: "Live", starting: "Starting", reconnecting: "Reconnecting", stopped: "Stopped" };

// A badge says the state in words; its colour only repeats them.
export function badge(camera, now) {
  const since = camera.state === "live" ? "" : ` since ${clock(camera.since)} (${span(now - camera.since)})`;
  return `${STATES[camera.state]}${since}`;
}

export function whyDark(camera) {
  if (camera.state === "live") return "";
  return camera.reason ?? (camera.state === "starting" ? "Waiting for the first picture" : "No picture");
}

class Card {
  constructor(name) {
    this.canvas = h("canvas", { width: 480, height: 270, role: "img", "aria-label": `Live picture of ${name}` });
    this.screen = new Screen(this.canvas);
    this.badge = h("span", { class: "badge" });
    this.veil = h("p", { class: "veil" });
    this.view = h("dd");
    this.fps = h("dd");
    this.latency = h("dd");
    this.dropped = h("dd");
    this.counts = h("p", { class: "counts" });
    this.element = h("article", { class: "card", "data-camera": name },
      h("a", { class: "picture", href: `#/camera/${encodeURIComponent(name)}`, "aria-label": `${name}, open large` }, this.canvas, this.veil),
      h("div", { class: "row" }, h("h2", {}, name), this.badge),
      h("dl", { class: "figures" },
        h("div", {}, h("dt", {}, "in view"), this.view),
        h("div", {}, h("dt", {}, "fps"), this.fps),
        h("div", {}, h("dt", {}, "latency"), this.latency),
        h("div", {}, h("dt", {}, "dropped"), this.dropped)),
      this.counts);
  }

  update(camera, now) {
    this.element.dataset.state = camera.state;
    setText(this.badge, badge(camera, now));
    setText(this.veil, whyDark(camera));
    setText(this.view, String(camera.tracks));
    setText(this.fps, camera.fps_out.toFixed(1));
    setText(this.latency, milliseconds(camera.latency_p95));
    setText(this.dropped, camera.dropped.toLocaleString());
    const counts = listed(camera.counts);
    setText(this.counts, counts ? `Seen so far: ${counts}` : "Nobody seen yet");
    if (camera.size) this.element.style.setProperty("--shape", `${camera.size[0]} / ${camera.size[1]}`);
  }
}

export class GridView {
  constructor() {
    this.cards = new Map();
    this.grid = h("div", { class: "grid" });
    this.none = h("div", { class: "empty big", hidden: true },
      h("h2", {}, "No cameras yet"),
      h("p", {}, "Write one down in the cameras' file and start the service again:"),
      h("pre", {}, "cameras:\n  - name: door\n    source: rtsp://user:password@10.0.0.5/stream"));
    this.element = h("section", { "aria-label": "Cameras" }, h("h1", { class: "unseen" }, "Cameras"), this.none, this.grid);
    this.stop = null;
    this.names = "";
  }

  update(status) {
    this.none.hidden = status.cameras.length > 0;
    const names = JSON.stringify(status.cameras.map((camera) => camera.name));
    if (names !== this.names) {
      this.names = names;
      this.lay(status.cameras);
    }
    status.cameras.forEach((camera) => this.cards.get(camera.name).update(camera, status.now));
  }

  lay(cameras) {
    this.stop?.();
    this.cards = new Map(cameras.map((camera) => [camera.name, this.cards.get(camera.name) ?? new Card(camera.name)]));
    this.grid.replaceChildren(...[...this.cards.values()].map((card) => card.element));
    this.grid.dataset.number = cameras.length;
    this.stop = cameras.length ? watch("/api/stream?size=grid", (name, jpeg) => this.cards.get(name)?.screen.show(jpeg)) : null;
  }

  mayLeave() { return true; }
  dirty() { return false; }
  close() { this.stop?.(); }
}
