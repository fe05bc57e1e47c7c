// One polite live region a page. Only what has ended is said, never each percent.

export function say(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}
