// The list of events, in words.
import { byId, clock, h, span } from "./dom.js";

const MOST = 200;
const GROUPS = {
  places: ["line_crossed", "zone_entered", "zone_left", "zone_dwell"],
  people: ["entered", "left"],
  cameras: ["camera_lost", "camera_back"],
};
const events = [];
let camera = null;
let lastSaid = 0;
let unsaid = 0;

const side = (direction) => ({ a_to_b: "A\u00a0→\u00a0B", b_to_a: "B\u00a0→\u00a0A" })[direction] ?? direction;

export function words(event) {
  const who = event.track === null ? "" : `${event.class_name ?? "object"} #${event.track}`;
  const { zone, line, direction, seconds, reason } = event.data;
  switch (event.kind) {
    case "entered": return `${who} entered`;
    case "left": return `${who} left`;
    case "line_crossed": return `${who} crossed ${line}, ${side(direction)}`;
    case "zone_entered": return `${who} entered zone ${zone}`;
    case "zone_left": return `${who} left zone ${zone}`;
    case "zone_dwell": return `${who} stays in zone ${zone}${seconds ? ` for ${span(seconds)}` : ""}`;
    case "camera_lost": return `Camera lost${reason ? `: ${reason}` : ""}`;
    case "camera_back": return "Camera is back";
    default: return event.kind;
  }
}

function wanted(event) {
  const filter = byId("events-filter").value;
  return (filter === "all" || GROUPS[filter].includes(event.kind)) && (camera === null || event.camera === camera);
}

function item(event) {
  return h("li", { class: `event ${event.kind}` },
    h("time", { datetime: new Date(event.time * 1000).toISOString() }, clock(event.time)),
    h("span", { class: "what" }, words(event)),
    camera === null && h("a", { class: "where", href: `#/camera/${encodeURIComponent(event.camera)}` }, event.camera));
}

function redraw() {
  const list = byId("events-list");
  list.replaceChildren(...events.filter(wanted).slice(0, MOST).map(item));
  byId("events-none").hidden = list.childElementCount > 0;
}

// Only those of a camera, or all when null.
export function showOnly(name) {
  camera = name;
  byId("events-title").textContent = name === null ? "Events" : `Events of ${name}`;
  redraw();
}

export function add(event, quiet = false) {
  if (events.some((other) => other.number === event.number && other.time === event.time)) return;
  events.unshift(event);
  events.length = Math.min(events.length, MOST * 3);
  if (!wanted(event)) return;
  const list = byId("events-list");
  list.prepend(item(event));
  if (list.childElementCount > MOST) list.lastElementChild.remove();
  byId("events-none").hidden = true;
  if (!quiet) announce(event);
}

// For ears, at most every four seconds: a busy street would never let them rest.
function announce(event) {
  unsaid += 1;
  if (Date.now() - lastSaid < 4000) return;
  const more = unsaid > 1 ? `, and ${unsaid - 1} more` : "";
  byId("announce").textContent = `${event.camera}: ${words(event)}${more}`;
  lastSaid = Date.now();
  unsaid = 0;
}

byId("events-filter").addEventListener("change", redraw);
