// Single keys, off while somebody types, and off for good on request (WCAG 2.1.4).

const STORE = "strongroom.shortcuts";

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable], dialog") !== null;
}

function moveRow(step) {
  const links = [...document.querySelectorAll("[data-row] a")];
  if (links.length === 0) return;
  const now = links.indexOf(document.activeElement);
  const next = now < 0 ? (step > 0 ? 0 : links.length - 1) : now + step;
  links[Math.min(Math.max(next, 0), links.length - 1)].focus();
}

const click = (selector) => () => document.querySelector(selector)?.click();

const KEYS = {
  j: () => moveRow(1),
  k: () => moveRow(-1),
  "/": () => document.getElementById("search")?.focus(),
  u: click("[data-pick='files']"),
  r: click("[data-key='r']"),
  ".": click("[data-live-marker]"),
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

export function startShortcuts() {
  const off = document.getElementById("shortcuts-off");
  if (off) {
    off.checked = localStorage.getItem(STORE) === "off";
    off.addEventListener("change", () => {
      localStorage.setItem(STORE, off.checked ? "off" : "on");
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (localStorage.getItem(STORE) === "off") return;
    const act = KEYS[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });
}
