// Files that were on their way when the page went away.
//
// The browser keeps a copy of small files, and of the others what there is to know, until they are
// stored, removed, a day old, or their user signs out. One window looks after them: two would send
// the same file twice.

import GoldenRetriever from "@uppy/golden-retriever";

const MIB = 1024 * 1024;
export const KEPT_BYTES = 10 * MIB; // a larger file has to be chosen again
const KEPT_TOGETHER_BYTES = 300 * MIB;

/** Files that are done with, known at once: the library writes up to half a second late, and would
 * take up a file again that was stored or removed just before the page went away. */
class Settled {
  constructor(uppy) {
    this.key = `settled::${uppy.getID()}`;
  }

  get ids() {
    return new Set(JSON.parse(localStorage.getItem(this.key) ?? "[]"));
  }

  set ids(ids) {
    if (ids.size) localStorage.setItem(this.key, JSON.stringify([...ids]));
    else localStorage.removeItem(this.key);
  }

  add(id) {
    this.ids = this.ids.add(id);
  }

  delete(id) {
    const { ids } = this;
    if (ids.delete(id)) this.ids = ids;
  }
}

export function startRecovery(uppy) {
  const keep = () => {
    const settled = new Settled(uppy);
    uppy.on("upload-success", ({ id }) => settled.add(id));
    uppy.on("file-removed", ({ id }) => settled.add(id));
    uppy.on("files-added", (files) => files.forEach(({ id }) => settled.delete(id)));
    uppy.use(GoldenRetriever, {
      indexedDB: { maxFileSize: KEPT_BYTES, maxTotalSize: KEPT_TOGETHER_BYTES },
    });
  };
  if (!navigator.locks) return keep();
  navigator.locks.request(uppy.getID(), { ifAvailable: true }, (lock) => {
    if (!lock) return undefined;
    keep();
    return new Promise(() => {}); // held until the window is gone
  });
}

/** Make what was restored ready to go on; return the files, of which some may be ghosts. */
export function restoredFiles(uppy) {
  const settled = new Settled(uppy);
  const { ids } = settled;
  const kept = uppy.getFiles();
  const files = kept.filter(({ id, progress }) => !progress.uploadComplete && !ids.has(id));
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
  settled.ids = new Set(kept.map(({ id }) => id).filter((id) => ids.has(id)));
  return uppy.getFiles();
}
