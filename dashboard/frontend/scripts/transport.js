// How bytes leave the page. The only module that knows the wire: one multipart POST a file.

import Uppy from "@uppy/core";
import XHRUpload from "@uppy/xhr-upload";

/** What the server said about a refused file, in its own words. */
export function problemOf(request) {
  if (!request || request.status === 0) {
    return { code: "no_connection", detail: "The connection was lost. Nothing was stored." };
  }
  try {
    const { code, detail } = JSON.parse(request.responseText);
    return { code, detail };
  } catch {
    return { code: `status_${request.status}`, detail: "The server gave no reason." };
  }
}

export function createUploader({ endpoint, csrfToken }) {
  return new Uppy({ autoProceed: true }).use(XHRUpload, {
    endpoint,
    fieldName: "file",
    allowedMetaFields: [],
    headers: { "X-CSRFToken": csrfToken, Accept: "application/json" },
    limit: 3,
    timeout: 0, // a large file on a slow line is not an error
    shouldRetry: () => false, // a second try is the user's: a POST has an effect each time
    // The server answers with the upload; Uppy wants to find nothing more in it.
    getResponseData: (request) => JSON.parse(request.responseText),
  });
}
