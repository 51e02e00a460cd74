// What a person may not be able to read or operate: words with little contrast, controls without a name.
() => {
  const parse = (colour) => {
    const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => Object.fromEntries([...["r", "g", "b"].map((k) => [k, top[k] * top.a + under[k] * (1 - top.a)]), ["a", 1]]);
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const poor = [];
  for (const element of document.body.querySelectorAll("*:not(script, svg *, .unseen, .skip)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (own && box.width && box.height) {
      const below = ground(element);
      const [a, b] = [light(over(parse(getComputedStyle(element).color), below)), light(below)].sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < 4.5) poor.push(`${element.tagName}.${element.className}: ${element.textContent.trim().slice(0, 40)}: ${contrast.toFixed(2)}`);
    }
    if (element.matches("button, a, input, select, [role=img]") && box.width) {
      const named = element.textContent.trim() || element.getAttribute("aria-label") || element.labels?.length || element.querySelector("img[alt]:not([alt=''])");
      if (!named) poor.push(`${element.outerHTML.slice(0, 80)}: no name`);
    }
  }
  return poor;
}
