// Where in its loop a clip is: a thin bar at its lower edge, and a blink when it starts again, so that nobody takes the
// jump from the last frame to the first for something that the agent did.

import { element, lessMotion } from "./dom.js";

const BLINK_MS = 220;

/** The bar of one clip's frame. */
export class LoopBar {
  #done = element("div", { class: "done" });
  #bar = element("div", { class: "loop-bar", hidden: true, "aria-hidden": "true" }, this.#done);
  #veil = element("div", { class: "veil", "aria-hidden": "true" });
  /** @type {HTMLVideoElement | null} */
  #video = null;
  #listening = new AbortController();
  #hasEnded = false;
  #request = 0;

  /** @param {HTMLElement} frame What lies around the clip. */
  constructor(frame) {
    frame.append(this.#veil, this.#bar);
  }

  /** Show where this clip is from now on. @param {HTMLVideoElement | null} video Null: there is none. */
  follow(video) {
    this.#listening.abort();
    this.#listening = new AbortController();
    this.#video = video;
    this.#hasEnded = false;
    this.#bar.hidden = video === null;
    if (video === null) return;
    const { signal } = this.#listening;
    video.addEventListener("play", () => this.#begin(), { signal });
    video.addEventListener("seeked", () => this.#draw(), { signal });
    video.addEventListener("loadeddata", () => this.#draw(), { signal });
    video.addEventListener("ended", () => (this.#hasEnded = true), { signal });
    this.#begin();
  }

  #begin() {
    if (this.#hasEnded && !lessMotion()) this.#veil.animate({ opacity: [0.7, 0] }, BLINK_MS);
    this.#hasEnded = false;
    cancelAnimationFrame(this.#request);
    this.#draw();
  }

  /** Draws again with each frame of the screen while the clip plays; a transform costs no layout. */
  #draw() {
    const video = this.#video;
    if (video === null) return;
    const share = video.duration > 0 ? video.currentTime / video.duration : 0;
    this.#done.style.transform = `scaleX(${share})`;
    if (video.paused || video.ended) return;
    cancelAnimationFrame(this.#request);
    this.#request = requestAnimationFrame(() => this.#draw());
  }
}
