// Where the clips are seen. Three sets of players lie over each other: that of the query that is shown, of the next
// one, loaded, and of the one before, should its answer be taken back. Going on is changing which one is visible.

import { element, lessMotion } from "./dom.js";
import { columnsFor } from "./grid.js";
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
 * @typedef {import("./queue.js").Query} Query
 * @typedef {{player: Player, query: Query | null, state: "empty" | "loading" | "ready" | "failed",
 *            sentence: string, used: number, wanted: number}} Slot Players, and what is in them.
 */

/** Emits "looped", "shown" when a query is visible (detail: the query), and "seen" when it has been looked at. */
export class Stage extends EventTarget {
  #root;
  #clips;
  #grid = element("div", { class: "grid" });
  /** @type {ReturnType<typeof newSide>[]} As many as the query with the most clips has had. */
  #sides = [];
  #slots;
  #asked;
  #board;
  #ratio = 1;
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
   * @param {{leastLook: number, howToPlay: () => string, asked: import("./asked.js").Asked,
   *          board: import("./ranking_board.js").RankingBoard | null}}
   *   options Seconds that all clips must have played before a query counts as looked at; what to do, said over clips
   *   that do not play by themselves; what is asked; and what lies over the clips where they are ranked.
   */
  constructor(root, clips, { leastLook, howToPlay, asked, board }) {
    super();
    this.#asked = asked;
    this.#howToPlay = howToPlay;
    this.#look = new Look(leastLook);
    this.#look.addEventListener("seen", () => {
      this.#root.dataset.seen = "true";
      this.dispatchEvent(new Event("seen"));
    });
    this.#root = root;
    this.#clips = clips;
    this.#board = board;
    root.replaceChildren(this.#grid);
    this.#slots = Array.from({ length: 3 }, () => this.#newSlot());
    // By the window, not by the room that is left for the clips: a banner that comes must not rearrange them.
    addEventListener("resize", () => this.#arrange());
    root.addEventListener("pointermove", ({ movementX, movementY }) => {
      // A browser may tell of a move when only what lies under the pointer has changed.
      if (movementX !== 0 || movementY !== 0) delete root.dataset.pointed;
    });
  }

  /** @returns {Query | null} The query that is seen. */
  get query() {
    return this.#shown?.query ?? null;
  }

  /** The clips can be seen, or never will be. */
  get settled() {
    return this.#shown !== null && this.#shown.state !== "loading";
  }

  /** The clips cannot be seen. */
  get failed() {
    return this.#shown?.state === "failed";
  }

  /** The clips have been looked at, or cannot be. */
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

  /** Load the clips of a query that will be shown. @param {Query} query */
  prepare(query) {
    if (this.#slotOf(query) !== undefined) return;
    const free = this.#slots.filter((slot) => slot !== this.#shown);
    this.#load(free.reduce((oldest, slot) => (slot.used < oldest.used ? slot : oldest)), query);
  }

  /**
   * Show a query and play its clips; what is not loaded yet is shown as soon as it is.
   * @param {Query} query
   */
  show(query) {
    this.prepare(query);
    const slot = this.#slotOf(query);
    if (slot === undefined || slot === this.#shown) return;
    this.#hide();
    this.#shown = slot;
    slot.used = performance.now();
    for (const video of slot.player.videos) video.classList.add("shown");
    this.#root.dataset.query = query.query_id;
    this.#sides.forEach(({ root, bar }, i) => {
      root.hidden = query.clips[i] === undefined;
      if (root.hidden) return;
      root.dataset.clip = query.clips[i].clip;
      bar.follow(slot.player.videos[i]);
    });
    this.#arrange();
    this.#showState(slot);
    this.#begin(slot);
  }

  /** Show no clips. */
  clear() {
    this.#hide();
    for (const slot of this.#slots) {
      slot.query = null;
      slot.state = "empty";
      slot.player.unload();
    }
  }

  /** Show no clip as pointed at until the pointer moves: it points at one that nobody has looked at yet. */
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

  /** @returns {Slot} */
  #newSlot() {
    return { player: new Player([]), query: null, state: "empty", sentence: "", used: 0, wanted: 0 };
  }

  /** Have a slot hold so many clips. @param {Slot} slot @param {number} n */
  #fit(slot, n) {
    while (this.#sides.length < n) {
      const side = newSide(this.#asked === "pair" ? SIDES[this.#sides.length] : String(this.#sides.length + 1));
      this.#board?.add(side.frame);
      this.#sides.push(side);
      this.#grid.append(side.root);
    }
    if (slot.player.videos.length === n) return;
    slot.player.unload();
    for (const video of slot.player.videos) video.remove();
    slot.player = this.#newPlayer(slot, n);
  }

  /** @param {Slot} slot @param {number} n */
  #newPlayer(slot, n) {
    const videos = this.#sides.slice(0, n).map(({ name, frame }) => {
      const label = this.#asked === "pair" ? `${name} clip` : `clip ${name}`;
      const video = element("video", { "aria-label": label, tabIndex: -1 });
      frame.prepend(video);
      return video;
    });
    const player = new Player(videos);
    player.addEventListener("refused", () => this.#mark());
    player.addEventListener("looped", () => {
      this.dispatchEvent(new Event("looped"));
      if (slot === this.#shown && !this.#look.seen) this.#look.skip(); // no longer look is asked for than the clips last
      this.#mark();
    });
    return player;
  }

  /** @param {Query} query */
  #slotOf(query) {
    return this.#slots.find((slot) => slot.query?.query_id === query.query_id && slot.state !== "empty");
  }

  /** @param {Slot} slot @param {Query} query */
  async #load(slot, query) {
    const wanted = (slot.wanted += 1);
    Object.assign(slot, { query, state: "loading", sentence: "", used: performance.now() });
    this.#fit(slot, query.clips.length);
    let failure = "";
    try {
      const urls = await Promise.all(query.clips.map(({ clip }) => this.#clips.get(clip)));
      if (slot.wanted !== wanted) return;
      await slot.player.load(urls, query.clips.map(({ fps }) => fps));
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    if (slot.wanted !== wanted || slot.query !== query) return;
    slot.state = failure === "" ? "ready" : "failed";
    slot.sentence = failure;
    if (slot !== this.#shown) return;
    this.#showState(slot);
    this.#begin(slot);
  }

  /** Play clips that are loaded; what cannot be played needs no look. */
  #begin(slot) {
    if (slot.state === "failed") this.#look.skip();
    if (slot.state !== "ready") return;
    const { videoWidth, videoHeight } = slot.player.videos[0];
    this.#ratio = videoWidth / videoHeight;
    this.#root.style.setProperty("--ratio", String(this.#ratio));
    this.#arrange();
    slot.player.rate = this.#rate;
    slot.player.looping = !lessMotion();
    this.#playsAfterwards = !lessMotion();
    if (this.#playsAfterwards && !this.#covered) slot.player.replay();
    this.#mark();
    this.#look.begin(slot.player.videos);
    this.dispatchEvent(new CustomEvent("shown", { detail: slot.query }));
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

  /** Two clips lie as somebody has chosen; others, in as many columns as make them largest. */
  #arrange() {
    const n = this.query?.clips.length ?? 0;
    if (this.#asked === "pair" || n === 0 || this.#root.clientWidth === 0) return;
    const room = { width: this.#root.clientWidth, height: this.#root.clientHeight };
    const gap = Number.parseFloat(getComputedStyle(this.#grid).columnGap) || 0;
    const columns = columnsFor(n, room, this.#ratio, gap);
    this.#grid.style.setProperty("--columns", String(columns));
    this.#grid.style.setProperty("--rows", String(Math.ceil(n / columns)));
  }

  #showState(slot) {
    const waits = slot.state === "ready" && slot.player.paused && !this.#look.seen && !this.#covered;
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
