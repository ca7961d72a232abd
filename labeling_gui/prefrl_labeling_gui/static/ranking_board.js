// Several clips that are ranked: over each lies a button with the clip's number and its place. A press gives it the
// next place; dragged onto another, the two change places.

import { element } from "./dom.js";
import { placeInWords, placeOf } from "./ranking.js";

/** A pointer that moves less presses. */
const LEAST = 12;

export class RankingBoard {
  #root;
  #pick;
  #exchange;
  /** @type {{button: HTMLButtonElement, place: HTMLElement}[]} */
  #clips = [];
  /** @type {{clip: number, x: number, y: number, id: number, isDrag: boolean} | null} */
  #drag = null;

  /**
   * @param {HTMLElement} root What holds the clips.
   * @param {{pick: (clip: number) => void, exchange: (one: number, other: number) => void}} acts
   */
  constructor(root, { pick, exchange }) {
    this.#root = root;
    this.#pick = pick;
    this.#exchange = exchange;
    root.addEventListener("pointerdown", (event) => this.#press(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", (event) => this.#release(event));
    root.addEventListener("pointercancel", () => this.#letGo());
  }

  /** Lay a button over the next clip. @param {HTMLElement} frame What lies around it. */
  add(frame) {
    const clip = this.#clips.length;
    const place = element("span", { class: "place" });
    const number = element("span", { class: "number" }, String(clip + 1));
    const button = element("button", { type: "button", class: "pick" }, number, place);
    button.addEventListener("click", (event) => {
      this.#pick(clip);
      // A mouse leaves the focus on what it pressed; Enter would then press it again, and not send.
      if (event.detail > 0) button.blur();
    });
    this.#clips.push({ button, place });
    frame.append(button);
  }

  /**
   * Show which place each clip has.
   * @param {Readonly<import("./ranking.js").Ranks>} ranks
   * @param {boolean} enabled Whether the buttons can be pressed.
   */
  show(ranks, enabled = true) {
    this.#clips.forEach(({ button, place }, clip) => {
      const isPlaced = (ranks[clip] ?? null) !== null;
      button.disabled = !enabled;
      button.setAttribute("aria-pressed", String(isPlaced));
      button.setAttribute("aria-label", `Clip ${clip + 1}: ${isPlaced ? placeInWords(clip, ranks) : "no place yet"}`);
      place.textContent = isPlaced ? placeOf(clip, ranks) : "";
    });
  }

  /** Have the keyboard at the first clip. */
  focus() {
    this.#clips[0]?.button.focus();
  }

  /** @param {Event} event @returns {number} The clip that was meant; -1 where none was. */
  #clipOf({ target }) {
    return this.#clips.findIndex(({ button }) => target instanceof Node && button.contains(target));
  }

  /** @param {PointerEvent} event */
  #press(event) {
    const clip = this.#clipOf(event);
    if (clip < 0 || event.button !== 0 || !event.isPrimary || this.#clips[clip].button.disabled) return;
    this.#drag = { clip, x: event.clientX, y: event.clientY, id: event.pointerId, isDrag: false };
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const drag = this.#drag;
    if (drag === null || event.pointerId !== drag.id) return;
    drag.isDrag ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) >= LEAST;
    if (!drag.isDrag) return;
    this.#root.setPointerCapture(event.pointerId); // so that letting go presses nothing
    const target = this.#below(event);
    this.#clips.forEach(({ button }, clip) => {
      button.dataset.drag = clip === drag.clip ? "from" : clip === target ? "onto" : "";
    });
  }

  /** @param {PointerEvent} event */
  #release(event) {
    const drag = this.#drag;
    if (drag === null || event.pointerId !== drag.id) return;
    const target = this.#below(event);
    this.#letGo();
    if (drag.isDrag && target >= 0 && target !== drag.clip) this.#exchange(drag.clip, target);
  }

  /** @param {PointerEvent} event @returns {number} The clip below the pointer; -1 where there is none. */
  #below({ clientX, clientY }) {
    const found = document.elementsFromPoint(clientX, clientY);
    return this.#clips.findIndex(({ button }) => found.includes(button));
  }

  #letGo() {
    this.#drag = null;
    for (const { button } of this.#clips) delete button.dataset.drag;
  }
}
