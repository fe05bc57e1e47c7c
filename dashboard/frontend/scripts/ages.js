// Ages grow while the page is open: "now" must not stand there for an hour.

const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86400, 3600, "h"],
  [Infinity, 86400, "d"],
];

/** Return the words that the server would write: see `age` in the template tags. */
export function ageOf(seconds) {
  if (seconds < 5) return "now";
  const [, unit, word] = STEPS.find(([limit]) => seconds < limit);
  return `${Math.floor(seconds / unit)} ${word}`;
}

export function refreshAges(root = document) {
  for (const element of root.querySelectorAll("time[data-age]")) {
    const text = ageOf((Date.now() - Date.parse(element.dateTime)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

export function startAges() {
  setInterval(refreshAges, 5000);
}
