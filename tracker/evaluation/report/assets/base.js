// Elements, numbers and what is chosen. Data is only ever set as text or as an attribute of a shape, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const pair = data.runs.length === 2;
const single = data.sequences.length === 1;
const LETTERS = pair ? ["A", "B"] : [""];
const COUNTS = new Set(["TP", "FP", "FN", "IDSW", "Frag", "MT", "PT", "ML", "IDTP", "IDFP", "IDFN", "Dets", "GT_Dets",
  "IDs", "GT_IDs", "Frames"]);
const HEADLINE = ["HOTA", "DetA", "AssA", "LocA", "MOTA", "IDF1", "MOTP", "FP", "FN", "IDSW", "Frag", "MT", "PT", "ML"];
const lower = new Set(data.lower), neither = new Set(data.neither);
const whole = new Intl.NumberFormat("en");

const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat(3).filter((child) => child != null));
  return node;
}
const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const shape = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function show(metric, value, signed = false) {
  if (value == null) return "–";
  const text = COUNTS.has(metric) ? whole.format(Math.abs(Math.round(value)))
    : (metric === "FAF" ? Math.abs(value) : 100 * Math.abs(value)).toFixed(2);
  const zero = !/[1-9]/.test(text);
  return (value < 0 && !zero ? "−" : signed && !zero ? "+" : "") + text;
}
const number = (run, name, metric) => data.runs[run].numbers[name].full[metric];
function better(metric, difference) {
  if (!difference || neither.has(metric)) return "";
  return (difference > 0) !== lower.has(metric) ? "good" : "bad";
}
const arrow = (difference) => (difference > 0 ? "▲ " : difference < 0 ? "▼ " : "");
const plural = (n, word, many = word + "s") => `${whole.format(n)} ${n === 1 ? word : many}`;
// Golden angle: numbers near one another get colours far apart. Light, with dark letters on it in either theme.
const colour = (track) => `hsl(${((track * 137.508) % 360).toFixed(1)} 62% 70%)`;
const strong = (track) => `hsl(${((track * 137.508) % 360).toFixed(1)} 95% 62%)`;
function chip(track) {
  const made = el("span", { class: "chip" }, String(track));
  made.style.background = colour(track);
  return made;
}
const runName = (run) => el("span", { class: run ? "run-b" : "run-a" }, LETTERS[run]);

// One sequence is chosen for the whole page: "" is all of them.
const chosen = { sequence: "" };
const watchers = [];
function choose(sequence) {
  chosen.sequence = sequence;
  byId("sequence").value = sequence;
  for (const act of watchers) act();
}
const selected = () => data.sequences.filter((s) => !chosen.sequence || s.name === chosen.sequence);

const tip = byId("tip");
function tell(event, words) {
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  const x = Math.min(event.clientX + 14, document.documentElement.clientWidth - tip.offsetWidth - 6);
  const y = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 8 : event.clientY + 18;
  tip.style.left = `${Math.max(4, x)}px`;
  tip.style.top = `${y}px`;
}

// Draws again when the width changes, so that letters keep their size on a phone.
function whenWide(node, draw) {
  let width = 0;
  const again = () => {
    if (node.clientWidth && node.clientWidth !== width) draw((width = node.clientWidth));
  };
  new ResizeObserver(() => requestAnimationFrame(again)).observe(node);
  return () => draw((width = node.clientWidth));
}
