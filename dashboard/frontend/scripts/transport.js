// How bytes leave the page. The only module that knows the wire: tus 1.0, which goes on where it
// stopped.

import Uppy from "@uppy/core";
import Tus from "@uppy/tus";

const AT_ONCE = 3; // browsers allow six connections to one origin, and the page needs some itself
// Longer in sum than a restart of the server, and than the lease of a writer that was cut off.
const RETRY_DELAYS_MS = [200, 1000, 3000, 5000, 10_000, 20_000, 30_000];

// What another try may change: somebody else writes, there is no room just now, and our faults.
const PASSING = new Set([408, 409, 423, 429]);
// What is said of the file itself: it stays so however often the same file is sent.
const FINAL = new Set([400, 413, 415]);

/** What the server said about a file, in its own words; null if it was not reached. */
export function problemOf(response) {
  const request = response?.body?.xhr;
  if (!request?.status) return null;
  const passes = PASSING.has(request.status) || request.status >= 500;
  try {
    const { code, detail } = JSON.parse(request.responseText);
    return { code, detail, passes, isFinal: isFinal(code, request.status) };
  } catch {
    return { code: `status_${request.status}`, detail: "The server gave no reason.", passes };
  }
}

// Room in a quota can be made.
function isFinal(code, status) {
  return FINAL.has(status) && code !== "quota_exceeded";
}

export function createUploader({ id, endpoint, csrfToken }) {
  return new Uppy({ id, autoProceed: false }).use(Tus, {
    endpoint,
    headers: { "X-CSRFToken": csrfToken },
    allowedMetaFields: ["name", "type"],
    limit: AT_ONCE,
    retryDelays: RETRY_DELAYS_MS,
    removeFingerprintOnSuccess: true,
  });
}

/** Tell the server to give up an upload that nobody here will go on with. */
export function terminate(address, csrfToken) {
  const headers = { "X-CSRFToken": csrfToken, "Tus-Resumable": "1.0.0" };
  return fetch(address, { method: "DELETE", headers, keepalive: true }).catch(() => {}); // it expires
}
