// Elements from plain values. Text is always text: nothing that a camera or a person named becomes markup.
const SVG = "http://www.w3.org/2000/svg";

function make(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "disabled" || key === "checked") element[key] = value;
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => make(document.createElementNS(SVG, tag), attributes, children);
export const byId = (id) => document.getElementById(id);

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

// The time of day, in the zone of who looks; with the day where it is not today's.
export function clock(seconds, now = new Date()) {
  const moment = new Date(seconds * 1000);
  const today = moment.toDateString() === now.toDateString();
  return today ? CLOCK.format(moment) : `${DAY.format(moment)}, ${CLOCK.format(moment)}`;
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  return whole < 172800 ? `${Math.round(whole / 3600)} h` : `${Math.round(whole / 86400)} days`;
}

export const milliseconds = (seconds) => (seconds === null ? "–" : seconds < 10 ? `${Math.round(seconds * 1000)} ms` : span(seconds));
export const listed = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count.toLocaleString()}`).join(", ");

let fading;
export function toast(text, kind = "good") {
  const box = byId("toast");
  box.textContent = text;
  box.className = `toast ${kind}`;
  box.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { box.hidden = true; }, kind === "good" ? 5000 : 12000);
}
