// Where the two clips are seen. Three pairs of players lie over each other: the pair that is shown, the next one,
// loaded, and the one before, should its answer be taken back. Changing pairs is changing which one is visible.

import { element, lessMotion } from "./dom.js";
import { Look } from "./look.js";
import { LoopBar } from "./loop_bar.js";
import { Player } from "./player.js";

const SIDES = Object.freeze(["left", "right"]);
const MARKS = {
  left: "Better",
  right: "Better",
  much_left: "Much better",
  much_right: "Much better",
  equal: "Equally good",
  cannot_tell: "Can’t tell",
};

/**
 * @typedef {{player: Player, pair: import("./queue.js").Pair | null, state: "empty" | "loading" | "ready" | "failed",
 *            sentence: string, used: number, wanted: number}} Slot Two players, and what is in them.
 */

/** Emits "looped", "shown" when a pair is visible (detail: the pair), and "seen" when it has been looked at. */
export class Stage extends EventTarget {
  #root;
  #clips;
  #sides;
  #slots;
  /** @type {Slot | null} */
  #shown = null;
  #rate = 1;
  #covered = false;
  #playsAfterwards = false;
  #look;
  #howToPlay;

  /**
   * @param {HTMLElement} root
   * @param {import("./clips.js").ClipCache} clips
   * @param {{leastLook: number, howToPlay: () => string}} options Seconds that both clips must have played before a
   *   pair counts as looked at; and what to do, said over clips that do not play by themselves.
   */
  constructor(root, clips, { leastLook, howToPlay }) {
    super();
    this.#howToPlay = howToPlay;
    this.#look = new Look(leastLook);
    this.#look.addEventListener("seen", () => {
      this.#root.dataset.seen = "true";
      this.dispatchEvent(new Event("seen"));
    });
    this.#root = root;
    this.#clips = clips;
    this.#sides = SIDES.map((side) => newSide(side));
    root.replaceChildren(...this.#sides.map((side) => side.root));
    this.#slots = Array.from({ length: 3 }, () => this.#newSlot());
    root.addEventListener("pointermove", ({ movementX, movementY }) => {
      // A browser may tell of a move when only what lies under the pointer has changed.
      if (movementX !== 0 || movementY !== 0) delete root.dataset.pointed;
    });
  }

  /** @returns {import("./queue.js").Pair | null} The pair that is seen. */
  get pair() {
    return this.#shown?.pair ?? null;
  }

  /** The pair can be seen, or never will be. */
  get settled() {
    return this.#shown !== null && this.#shown.state !== "loading";
  }

  /** The pair cannot be seen. */
  get failed() {
    return this.#shown?.state === "failed";
  }

  /** The pair has been looked at, or cannot be. */
  get seen() {
    return this.#shown !== null && this.#look.seen;
  }

  get paused() {
    return this.#shown === null || this.#shown.player.paused;
  }

  /** @param {number} rate Of playback, 1 as drawn. */
  set rate(rate) {
    this.#rate = rate;
    if (this.#shown !== null) this.#shown.player.rate = rate;
  }

  /** Load a pair that will be shown. @param {import("./queue.js").Pair} pair */
  prepare(pair) {
    if (this.#slotOf(pair) !== undefined) return;
    const free = this.#slots.filter((slot) => slot !== this.#shown);
    this.#load(free.reduce((oldest, slot) => (slot.used < oldest.used ? slot : oldest)), pair);
  }

  /**
   * Show a pair and play it; what is not loaded yet is shown as soon as it is.
   * @param {import("./queue.js").Pair} pair
   */
  show(pair) {
    this.prepare(pair);
    const slot = this.#slotOf(pair);
    if (slot === undefined || slot === this.#shown) return;
    this.#hide();
    this.#shown = slot;
    slot.used = performance.now();
    for (const video of slot.player.videos) video.classList.add("shown");
    this.#root.dataset.query = pair.query_id;
    this.#sides.forEach(({ name, root }) => (root.dataset.clip = pair[name].clip));
    this.#sides.forEach(({ bar }, i) => bar.follow(slot.player.videos[i]));
    this.#showState(slot);
    this.#begin(slot);
  }

  /** Show no pair. */
  clear() {
    this.#hide();
    for (const slot of this.#slots) {
      slot.pair = null;
      slot.state = "empty";
      slot.player.unload();
    }
  }

  /** Show no clip as pointed at until the pointer moves: it points at a pair that nobody has looked at yet. */
  forgetPointer() {
    this.#root.dataset.pointed = "false";
  }

  replay() {
    this.#shown?.player.replay();
    this.#mark();
  }

  /** Stand still, or play on. */
  toggle() {
    const player = this.#shown?.player;
    if (player?.paused) player.play();
    else player?.stop();
    this.#mark();
  }

  step() {
    this.#shown?.player.step();
    this.#mark();
  }

  /** Stand still while something covers the clips; go on afterwards. @param {boolean} covered */
  cover(covered) {
    if (covered === this.#covered) return;
    this.#covered = covered;
    const player = this.#shown?.player;
    if (player === undefined) return;
    if (covered) {
      this.#playsAfterwards = !player.paused;
      player.stop();
    } else if (this.#playsAfterwards) {
      player.play();
    }
    this.#mark();
  }

  /** Show what a swipe would choose if it ended now. @param {string | null} choice */
  preview(choice) {
    for (const { name, root, flash } of this.#sides) {
      const meant = choice !== null && (choice === name || choice === `much_${name}` || choice === "equal" || choice === "cannot_tell");
      root.classList.toggle("preview", meant);
      if (!meant) continue;
      flash.dataset.choice = choice;
      flash.lastChild.textContent = MARKS[choice];
    }
  }

  #newSlot() {
    const videos = this.#sides.map(({ name, frame }) => {
      const video = element("video", { "aria-label": `${name} clip`, tabIndex: -1 });
      frame.prepend(video);
      return video;
    });
    const player = new Player(videos);
    /** @type {Slot} */
    const slot = { player, pair: null, state: "empty", sentence: "", used: 0, wanted: 0 };
    player.addEventListener("refused", () => this.#mark());
    player.addEventListener("looped", () => {
      this.dispatchEvent(new Event("looped"));
      if (slot === this.#shown && !this.#look.seen) this.#look.skip(); // no longer look is asked for than the clips last
      this.#mark();
    });
    return slot;
  }

  #slotOf(pair) {
    return this.#slots.find((slot) => slot.pair?.query_id === pair.query_id && slot.state !== "empty");
  }

  async #load(slot, pair) {
    const wanted = (slot.wanted += 1);
    Object.assign(slot, { pair, state: "loading", sentence: "", used: performance.now() });
    const sides = [pair.left, pair.right];
    let failure = "";
    try {
      const urls = await Promise.all(sides.map((side) => this.#clips.get(side.clip)));
      if (slot.wanted !== wanted) return;
      await slot.player.load(urls, sides.map((side) => side.fps));
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    if (slot.wanted !== wanted || slot.pair !== pair) return;
    slot.state = failure === "" ? "ready" : "failed";
    slot.sentence = failure;
    if (slot !== this.#shown) return;
    this.#showState(slot);
    this.#begin(slot);
  }

  /** Play a pair that is loaded; one that cannot be played needs no look. */
  #begin(slot) {
    if (slot.state === "failed") this.#look.skip();
    if (slot.state !== "ready") return;
    const { videoWidth, videoHeight } = slot.player.videos[0];
    this.#root.style.setProperty("--ratio", String(videoWidth / videoHeight));
    slot.player.rate = this.#rate;
    slot.player.looping = !lessMotion();
    this.#playsAfterwards = !lessMotion();
    if (this.#playsAfterwards && !this.#covered) slot.player.replay();
    this.#mark();
    this.#look.begin(slot.player.videos);
    this.dispatchEvent(new CustomEvent("shown", { detail: slot.pair }));
  }

  #hide() {
    if (this.#shown === null) return;
    this.#shown.player.stop();
    for (const video of this.#shown.player.videos) video.classList.remove("shown");
    for (const { bar } of this.#sides) bar.follow(null);
    delete this.#root.dataset.query;
    delete this.#root.dataset.seen;
    this.#look.end();
    this.#shown = null;
    this.#mark();
  }

  #showState(slot) {
    const waits = slot.state === "ready" && slot.player.paused && !this.#look.seen;
    for (const { note } of this.#sides) {
      if (slot.state === "failed") note.textContent = `${slot.sentence} Answer “can’t tell” to go on.`;
      else if (slot.state === "loading") note.textContent = "Loading…";
      else note.textContent = waits ? this.#howToPlay() : "";
      note.classList.toggle("start", waits);
    }
    this.#root.dataset.state = slot.state;
  }

  #mark() {
    this.#root.dataset.paused = String(this.paused);
    if (this.#shown !== null) this.#showState(this.#shown);
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {string} name */
function newSide(name) {
  const note = element("p", { class: "note" });
  const flash = element("div", { class: "flash", "aria-hidden": "true" }, element("span", { class: "mark" }));
  const frame = element("div", { class: "frame" }, note, flash);
  const bar = new LoopBar(frame);
  return { name, note, flash, frame, bar, root: element("div", { class: `side ${name}`, dataset: { side: name } }, frame) };
}
