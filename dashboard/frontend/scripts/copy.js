// Buttons with `data-copy` put the text of the element they name, or their own value, on the
// clipboard, and say so.

import { say } from "./announcer.js";

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.textContent.trim());
  button.classList.add("copied");
  say("Copied.");
  setTimeout(() => button.classList.remove("copied"), 2000);
}

export function startCopying() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
}
