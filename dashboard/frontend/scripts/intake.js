// Files into the page: chosen, dropped anywhere, pasted. A row for each while it arrives; after
// that the row in the list, made by the server, takes over.

import DropTarget from "@uppy/drop-target";
import { say } from "./announcer.js";
import { Arriving } from "./arriving.js";
import { numbersOf, refusalOf } from "./limits.js";
import { Pace, timeLeft } from "./pace.js";
import { KEPT_BYTES, restoredFiles, startRecovery } from "./recovery.js";
import { binarySize } from "./sizes.js";
import { createUploader, problemOf, terminate } from "./transport.js";

const intake = document.getElementById("intake");
const all = document.getElementById("arriving-all");
const allPart = (name) => all.querySelector(`[data-part="${name}"]`);
const pace = new Pace(); // of all files together
const refused = new Map(); // what a retry would hand in again, by id

const uppy = createUploader({
  id: intake.dataset.account,
  endpoint: intake.dataset.endpoint,
  csrfToken: intake.dataset.csrf,
});
const arriving = new Arriving({
  list: document.getElementById("arriving"),
  template: document.getElementById("arriving-row"),
  more: document.getElementById("arriving-more"),
  act: (action, id) => acts[action](id),
  onStall: reconnect,
});

const acts = {
  pause(id) {
    if (!uppy.getFile(id).isPaused) uppy.pauseResume(id);
  },
  resume(id) {
    // A restored file has no transfer yet that could be resumed.
    if (uppy.getFile(id).isRestored) goOn(id);
    else uppy.pauseResume(id);
  },
  retry(id) {
    const again = refused.get(id);
    if (!again) return goOn(id);
    forget(id);
    return add([again]);
  },
  choose() {
    document.getElementById("pick-files").click();
  },
  cancel(id) {
    const file = uppy.getFile(id);
    if (!file) return forget(id);
    // Of a transfer that runs, Uppy tells the server itself.
    const rests = file.isGhost || file.isRestored || arriving.get(id).isLost;
    if (rests && file.tus?.uploadUrl) terminate(file.tus.uploadUrl, intake.dataset.csrf);
    return uppy.removeFile(id);
  },
};

function forget(id) {
  refused.delete(id);
  arriving.drop(id);
  sumUp();
}

function goOn(id) {
  uppy.setFileState(id, { isRestored: false });
  arriving.get(id).show("waiting", "Waiting");
  uppy.retryUpload(id);
}

function refuse(file, problem) {
  const { source, name, type, data, meta } = file;
  refused.set(file.id, { source, name, type, data, meta });
  arriving.get(file.id).refuse(problem, numbersOf(problem.code, file.size));
  if (uppy.getFile(file.id)) uppy.removeFile(file.id);
  say(`${file.name}: ${problem.detail}`);
}

function lose(id, problem) {
  uppy.setFileState(id, { error: null });
  const unreachable = navigator.onLine ? "The server cannot be reached." : "No network.";
  arriving.get(id).show("lost", `${problem?.detail ?? unreachable} What has arrived is kept.`);
}

// A connection that died without a word: a new one asks where the upload stands, and goes on.
function reconnect(id) {
  if (uppy.getFile(id)?.isPaused) return;
  uppy.pauseResume(id);
  uppy.pauseResume(id);
}

// --- What Uppy tells -------------------------------------------------------------------------

uppy.on("files-added", (files) => {
  for (const file of files) {
    const row = arriving.get(file.id) ?? arriving.add(file);
    const problem = refusalOf(file.size);
    if (problem) refuse(file, problem);
    else if (file.progress.uploadStarted) goOn(file.id); // it was missing, and is there again
    else row.show("waiting", `Waiting, ${binarySize(file.size)}`);
  }
  uppy.upload();
  sumUp();
});

uppy.on("file-removed", (file) => {
  if (!refused.has(file.id)) forget(file.id);
});

uppy.on("upload-pause", (file, isPaused) => {
  const row = arriving.get(file.id);
  if (!isPaused) return row?.show("waiting", "Waiting");
  const { bytesUploaded, bytesTotal } = file.progress;
  row?.show("paused", `Paused at ${binarySize(bytesUploaded || 0)} of ${binarySize(bytesTotal)}`);
  return sumUp();
});

uppy.on("upload-progress", (file, { bytesUploaded, bytesTotal }) => {
  const row = file && arriving.get(file.id);
  if (!row || !bytesTotal || file.isPaused) return;
  if (bytesUploaded >= bytesTotal) row.show("checking", "Checking…");
  else row.progress(bytesUploaded, bytesTotal);
  sumUp();
});

uppy.on("upload-error", (file, _error, response) => {
  if (!file || !arriving.get(file.id)) return;
  const problem = problemOf(response);
  if (problem && !problem.passes) refuse(file, problem);
  else lose(file.id, problem);
  sumUp();
});

uppy.on("restriction-failed", (file, error) => say(`${file?.name ?? "File"}: ${error.message}`));

uppy.on("upload-success", (file) => {
  const row = arriving.get(file.id);
  row?.show("checking", "Checking…");
  if (row) row.isStored = true;
  sumUp();
  const { id } = file;
  // The row goes when the list shows the file, so that it is never in neither.
  document.addEventListener("strongroom:fresh", () => uppy.getFile(id) && uppy.removeFile(id), {
    once: true,
  });
  document.dispatchEvent(new CustomEvent("strongroom:stale"));
});

uppy.on("restored", () => {
  const files = restoredFiles(uppy);
  for (const file of files) {
    const row = arriving.add(file);
    const { bytesUploaded, bytesTotal } = file.progress;
    const part = `${binarySize(bytesUploaded || 0)} of ${binarySize(bytesTotal)}`;
    if (file.isGhost) row.show("missing", `${part} have arrived. Choose this file again to go on.`);
    else if (file.isPaused) row.show("paused", `Paused at ${part}`);
    else goOn(file.id);
  }
  if (files.length) say(`${files.length} files that were on their way are here again.`);
  sumUp();
});

window.addEventListener("offline", () => {
  if (arriving.rows.size) say("No network. Uploads wait for it.");
});
window.addEventListener("online", () => {
  for (const row of arriving.rows.values()) if (row.isLost) goOn(row.file.id);
});

// --- All together ----------------------------------------------------------------------------

function sumUp() {
  const files = uppy.getFiles();
  all.hidden = files.length < 2;
  if (all.hidden) return pace.forget();
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const done = files.filter((file) => file.progress.uploadComplete).length;
  const total = sum(files.map((file) => file.size));
  const sent = sum(files.map(({ size, progress }) => (progress.uploadComplete ? size : progress.bytesUploaded || 0)));
  pace.at(sent);
  const { speed } = pace;
  allPart("status").textContent = [
    `${done} of ${files.length} files`,
    `${binarySize(sent)} of ${binarySize(total)}`,
    speed > 0 ? `${binarySize(speed)}/s` : "",
    speed > 0 && sent < total ? timeLeft((total - sent) / speed) : "",
  ]
    .filter(Boolean)
    .join(", ");
  allPart("progress").value = total ? sent / total : 0;
  const open = files.filter((file) => !file.progress.uploadComplete && !file.isGhost);
  allPart("pause").hidden = !open.some((file) => !file.isPaused);
  return (allPart("resume").hidden = !open.some((file) => file.isPaused));
}

allPart("pause").addEventListener("click", () => {
  for (const { id, progress } of uppy.getFiles()) if (!progress.uploadComplete) acts.pause(id);
  allPart("resume").focus();
});
allPart("resume").addEventListener("click", () => {
  for (const { id, isPaused } of uppy.getFiles()) if (isPaused) acts.resume(id);
  allPart("pause").focus();
});
allPart("cancel").addEventListener("click", () => {
  for (const { id, progress } of uppy.getFiles()) if (!progress.uploadComplete) acts.cancel(id);
});

// --- How files come in -----------------------------------------------------------------------

function add(descriptors) {
  uppy.addFiles(descriptors);
}

function describe(files, source) {
  return [...files].map((data) => ({
    source,
    name: data.name,
    type: data.type,
    data,
    meta: { relativePath: data.webkitRelativePath || null },
  }));
}

for (const button of document.querySelectorAll("[data-pick]")) {
  const input = document.getElementById(`pick-${button.dataset.pick}`);
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add(describe(input.files, "picker"));
    input.value = "";
  });
}

document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) add(describe(event.clipboardData.files, "paste"));
});

// Only where something would be lost: everything else goes on by itself in the next page.
window.addEventListener("beforeunload", (event) => {
  const heavy = ({ progress, size, isGhost }) =>
    !progress.uploadComplete && !isGhost && size > KEPT_BYTES;
  if (uppy.getFiles().some(heavy)) event.preventDefault();
});

uppy.use(DropTarget, { target: document.body });
startRecovery(uppy);
