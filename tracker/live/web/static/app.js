// The page: which view is shown, and the news for it.
import { get, listen } from "./api.js";
import { CameraView } from "./camera.js";
import { byId, setText, toast } from "./dom.js";
import * as events from "./events.js";
import { GridView } from "./grid.js";

const main = byId("main");
let status = null;
let view = null;
let route = null;
let page = { login: false, add_cameras: false };

function wantedRoute() {
  const found = /^#\/camera\/([^/]+)$/.exec(location.hash);
  return found ? decodeURIComponent(found[1]) : null;
}

function show() {
  const name = wantedRoute();
  if (view !== null && name === route) return;
  if (view !== null && !view.mayLeave()) {
    history.replaceState(null, "", `#/camera/${encodeURIComponent(route)}`);
    return;
  }
  const first = view === null;
  view?.close();
  route = name;
  view = name === null ? new GridView(page) : new CameraView(name);
  main.replaceChildren(view.element);
  document.title = name === null ? "Reacquire live" : `${name} · Reacquire live`;
  events.showOnly(name);
  if (!first) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  if (status !== null) view.update(status);
}

function service(now) {
  const live = now.cameras.filter((camera) => camera.state === "live").length;
  setText(byId("service"), `${live} of ${now.cameras.length} live · ${now.detector_fps.toFixed(1)} fps detected`);
  const words = Object.entries(now.troubles).map(([what, why]) => `${what}: ${why}`);
  if (now.overloaded) words.unshift("This machine cannot keep up: every camera is tracked at fewer frames a second.");
  const banner = byId("banner");
  banner.hidden = words.length === 0;
  banner.classList.remove("bad");
  setText(banner, words.join("\n"));
}

function onStatus(now) {
  status = now;
  service(now);
  view?.update(now);
}

function onConnection(good) {
  document.body.classList.toggle("lost", !good);
  if (good) return;
  const banner = byId("banner");
  banner.hidden = false;
  banner.classList.add("bad");
  setText(banner, "The service does not answer. What you see is old; trying again …");
}

async function begin() {
  page = await get("/api/page");
  byId("logout").hidden = !page.login;
  const [now, past] = await Promise.all([get("/api/status"), get("/api/events?limit=200")]);
  past.forEach((event) => events.add(event, true));
  onStatus(now);
  show();
  addEventListener("hashchange", show);
  listen(past.at(-1)?.number ?? 0, { onStatus, onEvent: (event) => events.add(event), onConnection });
}

addEventListener("beforeunload", (event) => { if (view !== null && view.dirty()) event.preventDefault(); });
begin().catch((error) => {
  toast(error.message, "bad");
  onConnection(false);
  setTimeout(() => location.reload(), 5000);
});
