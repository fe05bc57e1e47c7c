// Files into the page: chosen, dropped anywhere, pasted. A row for each while it arrives; after
// that the row in the list, made by the server, takes over.

import DropTarget from "@uppy/drop-target";
import { say } from "./announcer.js";
import { binarySize } from "./sizes.js";
import { createUploader, problemOf } from "./transport.js";

const intake = document.getElementById("intake");
const list = document.getElementById("arriving");
const template = document.getElementById("arriving-row");
const rows = new Map();

const uppy = createUploader({
  endpoint: intake.dataset.endpoint,
  csrfToken: intake.dataset.csrf,
});
uppy.use(DropTarget, { target: document.body });

function rowFor(file) {
  const row = template.content.firstElementChild.cloneNode(true);
  const part = (name) => row.querySelector(`[data-part="${name}"]`);
  part("name").textContent = file.name;
  part("progress").setAttribute("aria-label", `Upload of ${file.name}`);
  for (const action of ["cancel", "retry"]) {
    part(action).setAttribute("aria-label", `${action === "cancel" ? "Remove" : "Retry"} ${file.name}`);
  }
  part("cancel").addEventListener("click", () => uppy.removeFile(file.id));
  part("retry").addEventListener("click", () => retry(file.id));
  rows.set(file.id, { row, part });
  list.append(row);
  show(file.id, `Waiting, ${binarySize(file.size)}`);
}

function show(id, text, fraction) {
  const entry = rows.get(id);
  if (!entry) return;
  entry.part("status").textContent = text;
  if (fraction !== undefined) entry.part("progress").value = fraction;
}

function drop(id) {
  rows.get(id)?.row.remove();
  rows.delete(id);
}

function retry(id) {
  const { part } = rows.get(id);
  part("problem").hidden = true;
  part("retry").hidden = true;
  part("progress").hidden = false;
  uppy.retryUpload(id);
}

function refuse(file, { code, detail }) {
  const { row, part } = rows.get(file.id);
  row.dataset.code = code;
  part("problem").textContent = detail;
  part("problem").hidden = false;
  part("progress").hidden = true;
  part("retry").hidden = false;
  show(file.id, "Not stored");
  say(`${file.name}: ${detail}`);
}

uppy.on("file-added", rowFor);
uppy.on("file-removed", (file) => drop(file.id));
uppy.on("upload-progress", (file, { bytesUploaded, bytesTotal }) => {
  if (!file || !bytesTotal) return;
  const done = bytesUploaded >= bytesTotal;
  const text = done ? "Sealing" : `${binarySize(bytesUploaded)} of ${binarySize(bytesTotal)}`;
  show(file.id, text, bytesUploaded / bytesTotal);
});
uppy.on("upload-error", (file, _error, request) => refuse(file, problemOf(request)));
uppy.on("restriction-failed", (file, error) => say(`${file?.name ?? "File"}: ${error.message}`));
uppy.on("upload-success", (file) => {
  show(file.id, "Stored", 1);
  const { id } = file;
  // The row goes when the list shows the file, so that it is never in neither.
  document.addEventListener("strongroom:fresh", () => uppy.getFile(id) && uppy.removeFile(id), {
    once: true,
  });
  document.dispatchEvent(new CustomEvent("strongroom:stale"));
});

function add(files, source) {
  uppy.addFiles([...files].map((data) => ({ source, name: data.name, type: data.type, data })));
}

for (const button of document.querySelectorAll("[data-pick]")) {
  const input = document.getElementById(`pick-${button.dataset.pick}`);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add(input.files, "picker");
    input.value = "";
  });
}

document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) add(event.clipboardData.files, "paste");
});

window.addEventListener("beforeunload", (event) => {
  const busy = uppy.getFiles().some(({ progress, error }) => !progress.uploadComplete && !error);
  if (busy) event.preventDefault();
});
