// What the server tells by itself: progress, and that new queries wait. One stream for a tab that is looked at; a
// browser opens only six connections to one server, so a hidden tab gives its stream up.

import { request } from "./api.js";

const REOPEN_AFTER = 10_000;
const LOST_AFTER = 3_500; // a stream that only has to be opened again is back by then

/** Emits "progress" (detail: as GET /api/progress), "queries", and "connection" when `connected` changes. */
export class Live extends EventTarget {
  /** @type {import("../../typescript/api").Progress | null} The newest; null before the first. */
  progress = null;
  /** What is known is what is so now. */
  connected = true;
  /** @type {EventSource | null} */
  #source = null;
  #timer = 0;
  #losing = 0;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    addEventListener("pagehide", () => this.close());
  }

  open() {
    if (this.#source !== null || document.hidden) return;
    clearTimeout(this.#timer);
    const source = new EventSource("/api/events");
    this.#source = source;
    source.addEventListener("progress", (event) => this.tell(JSON.parse(event.data)));
    source.addEventListener("queries", () => this.dispatchEvent(new Event("queries")));
    source.addEventListener("open", () => this.#connect(true));
    source.addEventListener("error", () => {
      this.#losing ||= setTimeout(() => this.#connect(false), LOST_AFTER);
      // The browser reconnects by itself unless the server refused.
      if (source.readyState === EventSource.CLOSED) this.#ask();
    });
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** Take progress that came with another reply. @param {import("../../typescript/api").Progress | null | undefined} progress */
  tell(progress) {
    if (progress === null || progress === undefined) return;
    this.progress = progress;
    this.dispatchEvent(new CustomEvent("progress", { detail: progress }));
  }

  /** @param {boolean} connected */
  #connect(connected) {
    clearTimeout(this.#losing);
    this.#losing = 0;
    if (connected === this.connected) return;
    this.connected = connected;
    this.dispatchEvent(new Event("connection"));
  }

  async #ask() {
    this.close();
    this.#timer = setTimeout(() => this.open(), REOPEN_AFTER);
    try {
      this.tell(await request("/api/progress"));
    } catch {
      // The stream is tried again anyway; what cannot be sent is told by the outbox.
    }
  }
}
