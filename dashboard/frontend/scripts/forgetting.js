// Whoever signs out leaves no file on its way in this browser.

const PATIENCE_MS = 1000;

function forget() {
  for (const key of Object.keys(localStorage)) {
    if (/^(tus|settled)::/.test(key)) localStorage.removeItem(key);
  }
  return new Promise((resolve) => {
    setTimeout(resolve, PATIENCE_MS);
    const request = indexedDB.deleteDatabase("uppy-blobs");
    for (const end of ["success", "error"]) request.addEventListener(end, resolve);
  });
}

export function startForgetting() {
  for (const form of document.querySelectorAll("form[data-forgets]")) {
    form.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        forget().finally(() => form.submit());
      },
      { once: true },
    );
  }
}
