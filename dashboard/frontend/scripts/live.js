// Keeps a page true while it is open.
//
// An event says only that something changed. The page is then fetched again and its live regions
// are morphed into the new ones, so that every state on the screen comes from the database, and
// focus, scroll position and opened folds stay. Where events cannot come through, or there are none
// of what is shown (`data-polls`), the page asks every few seconds instead.

import { Idiomorph } from "idiomorph";
import { refreshAges } from "./ages.js";
import { say } from "./announcer.js";
import { refreshMoments } from "./clock.js";

const NAMES = [
  "upload.judged",
  "upload.deleted",
  "run.changed",
  "step.changed",
  "replay.changed",
  "drop.reported",
  "webhook.changed",
];
const WORDS = { live: "Live", reconnecting: "Reconnecting", paused: "Paused" };
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const MIN_INTERVAL_MS = 150; // between two fetches, so that a burst of events costs few
const POLL_MS = 5000; // where events do not come
const RECONNECT_MS = 15000; // after the server closed the stream for good

const morphing = {
  morphStyle: "outerHTML",
  callbacks: {
    // What somebody types or chooses is theirs, and so is what they have opened or closed.
    beforeNodeMorphed: (node) => !(node instanceof Element && node.matches("form[data-kept]")),
    beforeAttributeUpdated: (name, node) =>
      !(name === "open" && (node.localName === "details" || node.localName === "dialog")),
  },
};

class Page {
  constructor(marker) {
    this.marker = marker;
    this.scopes = marker.dataset.scope.split(" ").map((scope) => scope.split(":"));
    this.source = null;
    this.paused = false;
    this.fetching = false;
    this.stale = false;
    this.lastFetch = 0;
    this.leaving = false; // a form is on its way, whose answer is the next page
  }

  start() {
    this.marker.hidden = false;
    this.marker.addEventListener("click", () => this.setPaused(!this.paused));
    document.addEventListener("visibilitychange", () => this.connectOrRest());
    window.addEventListener("pagehide", () => this.disconnect());
    window.addEventListener("pageshow", () => {
      this.leaving = false;
      this.connectOrRest();
    });
    document.addEventListener("submit", (event) => {
      this.leaving ||= event.target.method === "post";
    });
    document.addEventListener("strongroom:stale", () => this.refresh());
    setInterval(() => this.poll(), POLL_MS);
    setInterval(() => this.followRunning(), 1000);
    this.connectOrRest();
  }

  setPaused(paused) {
    this.paused = paused;
    this.marker.setAttribute("aria-pressed", String(!paused));
    this.connectOrRest();
  }

  // A hidden page holds no connection: browsers allow only six to one origin.
  connectOrRest() {
    if (this.paused || document.hidden) {
      this.disconnect();
      this.show("paused");
    } else if (!this.source) {
      this.connect();
    }
  }

  connect() {
    this.show("reconnecting");
    const source = new EventSource(this.marker.dataset.events);
    this.source = source;
    source.addEventListener("open", () => {
      this.show("live");
      this.refresh(); // whatever happened before the stream was open
    });
    source.addEventListener("error", () => {
      this.show("reconnecting");
      if (source.readyState === EventSource.CLOSED && this.source === source) {
        this.source = null;
        setTimeout(() => this.connectOrRest(), RECONNECT_MS);
      }
    });
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        if (this.concerns(JSON.parse(event.data))) this.refresh();
      });
    }
  }

  disconnect() {
    this.source?.close();
    this.source = null;
  }

  concerns(data) {
    return this.scopes.some(([kind, id]) => kind === "all" || (id && data[kind] === id));
  }

  show(state) {
    document.documentElement.dataset.liveState = state;
    this.marker.querySelector("[data-live-word]").textContent = WORDS[state];
  }

  poll() {
    const state = document.documentElement.dataset.liveState;
    const asks = state === "reconnecting" || document.querySelector("[data-polls]");
    if (asks && !document.hidden) this.refresh();
  }

  // Bars of a running step grow without any event.
  followRunning() {
    if (!this.paused && !document.hidden && document.querySelector("[data-grows]")) this.refresh();
  }

  async refresh() {
    if (this.paused) return;
    if (this.fetching) {
      this.stale = true;
      return;
    }
    this.fetching = true;
    const wait = this.lastFetch + MIN_INTERVAL_MS - Date.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    do {
      this.stale = false;
      this.lastFetch = Date.now();
      await this.fetchAndMorph();
    } while (this.stale);
    this.fetching = false;
  }

  async fetchAndMorph() {
    let response;
    try {
      response = await fetch(location.href, { headers: { "X-Requested-With": "live" } });
    } catch {
      return; // no network: the next event or poll tries again
    }
    if (response.redirected || response.status === 404) {
      if (!this.leaving) location.reload(); // signed out, or deleted elsewhere
      return;
    }
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const before = statesOf(document);
    for (const region of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(region.id);
      if (next) Idiomorph.morph(region, next, morphing);
    }
    document.title = fresh.title;
    refreshAges();
    refreshMoments();
    announceEnds(before);
    document.dispatchEvent(new CustomEvent("strongroom:fresh"));
  }
}

function statesOf(root) {
  return new Map([...root.querySelectorAll("[data-state]")].map((e) => [e.id, e.dataset.state]));
}

function announceEnds(before) {
  const ended = [...document.querySelectorAll("[data-state][data-subject]")].filter(
    ({ id, dataset }) =>
      ENDED.has(dataset.state) && before.has(id) && before.get(id) !== dataset.state,
  );
  if (ended.length === 1) say(`${ended[0].dataset.subject}: ${ended[0].dataset.state}.`);
  if (ended.length > 1) say(`${ended.length} files are through.`);
}

export function startLive() {
  const marker = document.querySelector("[data-live-marker]");
  if (marker) new Page(marker).start();
}
