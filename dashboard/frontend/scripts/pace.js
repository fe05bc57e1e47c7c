// How fast bytes leave, and how long the rest will take.

const MEMORY_MS = 4000; // what is older says little about now

export class Pace {
  constructor() {
    this.samples = [];
  }

  /** Note that `bytes` have left by now. */
  at(bytes, now = performance.now()) {
    if (this.samples.length && bytes < this.samples.at(-1).bytes) this.samples = [];
    this.samples.push({ bytes, now });
    while (this.samples.length > 2 && this.samples[0].now < now - MEMORY_MS) this.samples.shift();
  }

  /** Bytes a second; zero until there is something to say. */
  get speed() {
    if (this.samples.length < 2) return 0;
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    const elapsed = (last.now - first.now) / 1000;
    return elapsed > 0.2 ? (last.bytes - first.bytes) / elapsed : 0;
  }

  forget() {
    this.samples = [];
  }
}

export function timeLeft(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}
