// Before the page is painted: the colours that were chosen, or the system's.
(() => {
  const root = document.documentElement;
  const apply = (theme) => (theme === "auto" ? root.removeAttribute("data-theme") : root.setAttribute("data-theme", theme));
  const read = () => { try { return localStorage.getItem("theme") ?? "auto"; } catch { return "auto"; } };
  apply(read());
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const show = (theme) => { button.textContent = `Theme: ${theme}`; };
    show(read());
    button.addEventListener("click", () => {
      const next = { auto: "light", light: "dark", dark: "auto" }[read()] ?? "auto";
      try { localStorage.setItem("theme", next); } catch { /* a browser that keeps nothing */ }
      apply(next);
      show(next);
    });
  });
})();
