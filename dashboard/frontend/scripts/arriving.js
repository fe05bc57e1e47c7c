// The rows of files on their way. They show; what happens is decided elsewhere.

import { Pace, timeLeft } from "./pace.js";
import { binarySize } from "./sizes.js";

const MOST_ROWS = 50; // more wait without a row until there is room
const STALLED_MS = 5000; // so long without a byte is said
// After so long a connection is given up: while bytes leave, and while the server works.
const PATIENCE_MS = { sending: 20_000, checking: 90_000 };

const ACTIONS = { pause: "Pause", resume: "Resume", retry: "Retry", choose: "Choose", cancel: "Remove" };
// What can be done in which state. Where a word depends on numbers, it is given with the state.
const STATES = {
  waiting: ["pause", "cancel"],
  sending: ["pause", "cancel"],
  checking: [],
  paused: ["resume", "cancel"],
  lost: ["retry", "cancel"],
  missing: ["choose", "cancel"],
  refused: ["retry", "cancel"],
};

class Row {
  constructor(template, file, act) {
    this.element = template.content.firstElementChild.cloneNode(true);
    this.file = file;
    this.pace = new Pace();
    this.isStored = false;
    this.movedAt = performance.now();
    this.part("name").textContent = file.name;
    this.part("progress").setAttribute("aria-label", `Upload of ${file.name}`);
    for (const [action, word] of Object.entries(ACTIONS)) {
      const button = this.part(action);
      button.setAttribute("aria-label", `${word} ${file.name}`);
      button.addEventListener("click", () => act(action, file.id));
    }
  }

  part(name) {
    return this.element.querySelector(`[data-part="${name}"]`);
  }

  get isLost() {
    return this.element.dataset.arriving === "lost";
  }

  show(state, text) {
    if (state !== "sending") this.pace.forget();
    if (state !== this.element.dataset.arriving) this.movedAt = performance.now();
    this.element.dataset.arriving = state;
    this.part("status").textContent = text;
    const focused = document.activeElement;
    for (const action of Object.keys(ACTIONS)) {
      this.part(action).hidden = !STATES[state].includes(action);
    }
    // A button that vanished must not take the keyboard with it.
    if (focused?.hidden && this.element.contains(focused)) {
      this.element.querySelector("button:not([hidden])")?.focus();
    }
    const bar = this.part("progress");
    bar.hidden = state === "refused" || state === "missing";
    if (state === "checking") bar.removeAttribute("value");
    if (state !== "refused") this.part("problem").hidden = true;
  }

  refuse({ code, detail, isFinal }, numbers) {
    this.show("refused", "Not stored");
    this.part("retry").hidden = Boolean(isFinal);
    this.element.dataset.code = code;
    const problem = this.part("problem");
    const name = document.createElement("code");
    name.textContent = code;
    problem.replaceChildren(`${detail} ${numbers}`.trim(), " ", name);
    problem.hidden = false;
  }

  progress(sent, total) {
    this.pace.at(sent);
    this.movedAt = performance.now();
    this.part("progress").value = sent / total;
    this.show("sending", this.words(sent, total));
  }

  words(sent, total) {
    const { speed } = this.pace;
    const parts = [`${binarySize(sent)} of ${binarySize(total)}`];
    if (speed > 0) parts.push(`${binarySize(speed)}/s`, timeLeft((total - sent) / speed));
    return parts.filter(Boolean).join(", ");
  }

  /** Say that nothing moves; tell whether that takes too long. */
  noticeStall() {
    const { arriving: state } = this.element.dataset;
    const idle = performance.now() - this.movedAt;
    if (!(state in PATIENCE_MS) || !navigator.onLine || this.isStored) return false;
    if (state === "sending" && idle >= STALLED_MS) {
      this.pace.forget();
      this.part("status").textContent = `Nothing moved for ${Math.round(idle / 1000)} s`;
    }
    if (idle < PATIENCE_MS[state]) return false;
    this.movedAt = performance.now();
    return true;
  }
}

export class Arriving {
  constructor({ list, template, more, act, onStall }) {
    this.list = list;
    this.template = template;
    this.more = more;
    this.act = act;
    this.rows = new Map();
    setInterval(() => {
      for (const row of this.rows.values()) if (row.noticeStall()) onStall(row.file.id);
    }, 1000);
  }

  add(file) {
    const row = new Row(this.template, file, this.act);
    this.rows.set(file.id, row);
    row.show("waiting", `Waiting, ${binarySize(file.size)}`);
    this.place();
    return row;
  }

  get(id) {
    return this.rows.get(id);
  }

  drop(id) {
    const row = this.rows.get(id);
    if (!row) return;
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    const focused = row.element.contains(document.activeElement);
    row.element.remove();
    this.rows.delete(id);
    if (focused) (next?.querySelector("button:not([hidden])") ?? document.querySelector("[data-pick]")).focus();
    this.place();
  }

  place() {
    let room = MOST_ROWS - this.list.childElementCount;
    for (const row of this.rows.values()) {
      if (room <= 0) break;
      if (row.element.isConnected) continue;
      this.list.append(row.element);
      room -= 1;
    }
    const hidden = this.rows.size - this.list.childElementCount;
    this.more.hidden = hidden <= 0;
    this.more.textContent = `and ${hidden} more`;
  }
}
