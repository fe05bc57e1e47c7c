// Files that were on their way when the page went away.
//
// The browser keeps a copy of small files, and of the others what there is to know, until they are
// stored, removed, a day old, or their user signs out. One window looks after them: two would send
// the same file twice.

import GoldenRetriever from "@uppy/golden-retriever";

const MIB = 1024 * 1024;
export const KEPT_BYTES = 10 * MIB; // a larger file has to be chosen again
const KEPT_TOGETHER_BYTES = 300 * MIB;

export function startRecovery(uppy) {
  const keep = () =>
    uppy.use(GoldenRetriever, {
      indexedDB: { maxFileSize: KEPT_BYTES, maxTotalSize: KEPT_TOGETHER_BYTES },
    });
  if (!navigator.locks) return keep();
  navigator.locks.request(uppy.getID(), { ifAvailable: true }, (lock) => {
    if (!lock) return undefined;
    keep();
    return new Promise(() => {}); // held until the window is gone
  });
}

/** Make what was restored ready to go on; return the files, of which some may be ghosts. */
export function restoredFiles(uppy) {
  const files = uppy.getFiles().filter((file) => !file.progress.uploadComplete);
  const began = Date.now();
  uppy.setState({
    currentUploads: {},
    recoveredState: null,
    files: Object.fromEntries(
      files.map((file) => {
        const progress = { ...file.progress, uploadStarted: file.progress.uploadStarted ?? began };
        return [file.id, { ...file, progress, error: null }];
      }),
    ),
  });
  return uppy.getFiles();
}
