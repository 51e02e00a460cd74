// Zones and lines as SVG.
import { s } from "./dom.js";

const percent = (value) => `${Math.round(value * 100)} %`;

export function drawShapes(overlay, [width, height], { shapes, selected, draft, cursor, editing, inside }) {
  const focused = editing && overlay.contains(document.activeElement) ? { ...document.activeElement.dataset } : null;
  overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const scale = ([x, y]) => [x * width, y * height];
  const parts = shapes.flatMap((shape, index) => one(shape, index, scale, editing, index === selected, inside));
  parts.filter((part) => part.classList.contains("title")).forEach((part) => keepWithin(part, width, height));
  overlay.replaceChildren(...parts, ...drafted(draft, cursor, scale));
  if (focused?.corner !== undefined) {
    overlay.querySelector(`[data-shape="${focused.shape}"][data-corner="${focused.corner}"]`)?.focus({ preventScroll: true });
  }
}

const path = (points) => points.map((point) => point.join(",")).join(" ");

function one(shape, index, scale, editing, selected, inside) {
  const points = shape.points.map(scale);
  const zone = shape.kind === "zone";
  const common = { "data-shape": index, "data-tint": index % 6 };
  const body = s(zone ? "polygon" : "polyline", { points: path(points), class: `shape ${shape.kind}${selected ? " selected" : ""}`, ...common });
  const parts = zone ? [body, title(inside[shape.name] ? `${shape.name} · ${inside[shape.name]}` : shape.name, centre(points), index)] : [s("polyline", { points: path(points), class: "halo", ...common }), body, ...sides(shape, points, index)];
  return editing ? [...parts, ...handles(shape, points, index, selected)] : parts;
}

// A name at the picture's edge is shown whole.
function keepWithin(part, width, height) {
  const half = part.textContent.length * 4.5 + 4;
  part.setAttribute("x", Math.max(half, Math.min(Number(part.getAttribute("x")), width - half)));
  part.setAttribute("y", Math.max(10, Math.min(Number(part.getAttribute("y")), height - 10)));
}

function title(text, [x, y], index, more = "") {
  return s("text", { x, y, class: `title ${more}`, "data-tint": index % 6, "aria-hidden": "true" }, text);
}

function centre(points) {
  const sum = points.reduce(([a, b], [x, y]) => [a + x, b + y], [0, 0]);
  return sum.map((value) => value / points.length);
}

// A is the left side for who looks along the line, B the right one.
function sides(shape, points, index) {
  const [[x1, y1], [x2, y2]] = points;
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [nx, ny] = [-(y2 - y1) / length, (x2 - x1) / length];
  const beside = 14 + Math.abs(nx) * shape.name.length * 4; // so that letters and line do not touch
  const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return [
    title("A", [mx - nx * 16, my - ny * 16], index, "side"),
    title("B", [mx + nx * 16, my + ny * 16], index, "side"),
    title(shape.name, [x1 + (x2 - x1) * 0.15 + nx * beside, y1 + (y2 - y1) * 0.15 + ny * beside], index),
  ];
}

function handles(shape, points, index, selected) {
  const number = points.length;
  const edges = shape.kind === "zone" ? number : number - 1;
  const middles = selected && number < 64
    ? points.slice(0, edges).map(([x, y], i) => {
      const [a, b] = points[(i + 1) % number];
      return s("circle", { cx: (x + a) / 2, cy: (y + b) / 2, r: 5, class: "middle", "data-shape": index, "data-middle": i });
    })
    : [];
  const corners = points.map(([x, y], i) => s("circle", {
    cx: x, cy: y, r: selected ? 8 : 6, class: "corner", tabindex: 0, role: "button",
    "data-shape": index, "data-corner": i, "data-tint": index % 6,
    "aria-label": `Corner ${i + 1} of ${shape.kind} ${shape.name}, ${percent(shape.points[i][0])} across, ${percent(shape.points[i][1])} down`,
  }));
  return [...middles, ...corners];
}

function drafted(draft, cursor, scale) {
  if (!draft) return [];
  const points = draft.points.map(scale);
  const ahead = cursor ? [...points, scale(cursor)] : points;
  const dots = points.map(([x, y], i) => s("circle", { cx: x, cy: y, r: i === 0 ? 8 : 5, class: "corner draft" }));
  const cross = cursor ? [s("circle", { cx: scale(cursor)[0], cy: scale(cursor)[1], r: 4, class: "cursor" })] : [];
  return [s("polyline", { points: path(ahead), class: "shape draft" }), ...dots, ...cross];
}
