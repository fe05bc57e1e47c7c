// The page of the API, which another program draws: it is dark by a class of its own. Loaded
// before anything is shown.

const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function dye() {
  const { theme } = root.dataset;
  root.classList.toggle("dark-mode", theme === "dark" || (theme !== "light" && prefersDark.matches));
}

prefersDark.addEventListener("change", dye);
dye();
