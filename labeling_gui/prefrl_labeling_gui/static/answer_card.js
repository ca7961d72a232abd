// One past answer: its clips, small and looping, and the buttons by which it is changed or taken back.

import { request } from "./api.js";
import { askedOf } from "./asked.js";
import { ago, element, lessMotion } from "./dom.js";
import { layout } from "./layout.js";
import { newId } from "./outbox.js";
import { Player } from "./player.js";
import { drawPredictions } from "./predictions.js";
import { Ranking } from "./ranking.js";
import { RankingBoard } from "./ranking_board.js";
import { LEVELS, levelName } from "./rating.js";
import { NONE, REASONS } from "./remark.js";
import { NOTHING, chosen, inShort, inWords, isSaid, isSame, ranked, rated, saidIn } from "./said.js";
import { announce, banner, sentenceOf } from "./shell.js";

export const SIDES = Object.freeze(["left", "right"]);
/** How the clips lie, and the buttons, by what was asked. */
export const CLIPS = { pair: "pair", ranking: "several", rating: "single" };
const CHOICES = { pair: "choices", ranking: "choices ranks", rating: "choices rates" };

/**
 * @typedef {import("./said.js").Said} Said
 * @typedef {import("../../typescript/api").HistoryEntry} Entry
 */

/** A card. While it is out of sight it holds no clips. */
export class AnswerCard {
  root;
  #item;
  #asked;
  #outbox;
  #showsPredictions;
  #marksGold;
  #isGold;
  #thumbnails;
  #player;
  #isLoaded = false;
  #isDrawn = false;
  /** @type {Said} */
  #said;
  #answerId;
  #when;
  #verdict = element("p", { class: "verdict quiet" });
  /** @type {RankingBoard | null} */
  #board = null;
  #ranking = new Ranking();

  /**
   * @param {Entry} item
   * @param {object} options
   * @param {import("./outbox.js").Outbox} options.outbox
   * @param {boolean} options.isOwn
   * @param {boolean} options.showsPredictions
   * @param {boolean} options.marksGold
   */
  constructor(item, { outbox, isOwn, showsPredictions, marksGold }) {
    this.#item = item;
    this.#asked = askedOf(item);
    this.#outbox = outbox;
    this.#showsPredictions = showsPredictions;
    this.#marksGold = marksGold;
    this.#isGold = item.gold;
    this.#said = saidIn(item);
    this.#answerId = item.answer_id;
    this.root = element("li", { class: "answer card" });
    this.#thumbnails = item.clips.map((clip, i) => thumbnail(this.#asked === "pair" ? SIDES[i] : String(i + 1), clip));
    this.#player = new Player(this.#thumbnails.map(({ video }) => video));
    if (lessMotion()) {
      this.root.addEventListener("pointerenter", () => this.#player.replay());
      this.root.addEventListener("pointerleave", () => this.#player.stop());
    }
    this.#when = element("p", { class: "quiet when" }, ago(item.server_time), item.changed ? " · changed" : "");
    const clips = element(
      "div",
      { class: CLIPS[this.#asked], dataset: { clips: String(item.clips.length) } },
      ...this.#thumbnails.map(({ root }) => root),
    );
    this.root.append(clips, this.#verdict, ...remarkOn(item), this.#when);
    if (item.ranking) this.#addBoard(clips);
    if (isOwn) this.root.append(...this.#controls());
    else this.root.append(element("p", {}, capital((this.#asked === "rating" ? inWords : inShort)(this.#said))));
    this.#showSaid();
  }

  /** Play while it is in sight; hold no clip while it is not. @param {boolean} seen */
  async see(seen) {
    if (seen && !this.#isLoaded) {
      this.#isLoaded = true;
      const play = () => this.#isLoaded && !lessMotion() && this.#player.play();
      this.#player.load(this.#item.clips.map(({ clip }) => clip)).then(play, () => undefined);
      if (this.#showsPredictions && !this.#isDrawn) {
        this.#isDrawn = await drawPredictions(this.#item.query_id, this.#thumbnails, this.#verdict);
      }
    } else if (!seen && this.#isLoaded) {
      this.#isLoaded = false;
      this.#player.unload();
    }
  }

  /** @param {HTMLElement} clips */
  #addBoard(clips) {
    const board = new RankingBoard(clips, {
      pick: (clip) => announce(this.#ranking.pick(clip)),
      exchange: (one, other) => announce(this.#ranking.exchange(one, other)),
    });
    for (const { frame } of this.#thumbnails) board.add(frame);
    this.#board = board;
  }

  /** The buttons by which an answer is changed or taken back. @returns {HTMLElement[]} */
  #controls() {
    const levels = this.#asked === "rating" ? LEVELS : [];
    const sayings = [
      ...levels.map((level) => ({ said: rated(level), words: levelName(level) })),
      ...this.#item.choices.map((choice) => ({ said: chosen(choice), words: capital(layout.short[choice]) })),
    ];
    const buttons = sayings.map(({ said, words }) => button(words, () => this.#change(said)));
    const takeBack = button("Take back", () => this.#change(NOTHING), { class: "plain" });
    const gold = this.#marksGold ? [this.#goldButton()] : [];
    const all = this.#item.ranking ? [...this.#rankingButtons(buttons), ...buttons] : buttons;
    this.root.addEventListener("said", () => {
      buttons.forEach((one, i) => one.setAttribute("aria-pressed", String(isSame(sayings[i].said, this.#said))));
      for (const one of [...all, takeBack]) one.disabled = !isSaid(this.#said);
    });
    const group = element("div", { class: CHOICES[this.#asked], role: "group", "aria-label": "Your answer" }, ...all);
    return [group, element("div", { class: "acts" }, ...gold, takeBack)];
  }

  /** Have this query come to others unseen, to see whether they say the same. @returns {HTMLButtonElement} */
  #goldButton() {
    const show = () => {
      mark.setAttribute("aria-pressed", String(this.#isGold));
      mark.textContent = this.#isGold ? "★ Gold" : "☆ Gold";
    };
    const act = async () => {
      mark.disabled = true;
      try {
        await this.#outbox.settled(3_000); // an answer that is still on its way cannot be gold yet
        const { gold } = await request("/api/gold", { body: { query_id: this.#item.query_id, gold: !this.#isGold } });
        this.#isGold = gold;
        announce(gold ? "Gold: it comes to others unseen." : "Gold no more.");
        banner("history", "");
      } catch (error) {
        banner("history", sentenceOf(error));
      }
      mark.disabled = false;
      show();
    };
    const mark = button("", act, { class: "plain gold", title: "Put it to others unseen, to see whether they say the same" });
    show();
    return mark;
  }

  /**
   * Those by which clips are ranked anew; until one of them was pressed, a touch of a clip changes nothing.
   * @param {HTMLButtonElement[]} others Hidden meanwhile.
   * @returns {HTMLButtonElement[]}
   */
  #rankingButtons(others) {
    /** @param {boolean} open */
    const show = (open) => {
      for (const one of [anew, ...others]) one.hidden = open;
      for (const one of [tie, send, cancel]) one.hidden = !open;
      if (open) this.#ranking.begin(this.#item.clips.length);
      else this.#showSaid();
    };
    const anew = button("Rank anew", () => {
      show(true);
      this.#board?.focus();
      announce("Choose the best clip first.");
    });
    const close = () => {
      show(false);
      anew.focus();
    };
    const tie = button(layout.words.tie, () => announce(this.#ranking.tie()));
    const cancel = button("Cancel", close);
    const send = button(layout.words.send, () => {
      this.#change(ranked(this.#ranking.ranks.filter((rank) => rank !== null)));
      close();
    }, { class: "main" });
    this.#ranking.addEventListener("change", () => {
      this.#board?.show(this.#ranking.ranks);
      send.disabled = !this.#ranking.isComplete;
      tie.setAttribute("aria-pressed", String(this.#ranking.shares));
    });
    for (const one of [tie, send, cancel]) one.hidden = true;
    return [anew, tie, cancel, send];
  }

  /** @param {Said} said */
  #change(said) {
    if (isSame(said, this.#said)) return;
    const { query_id, kind } = this.#item;
    const body = { id: newId(), query_id, kind, ...said, supersedes: this.#answerId };
    const { remark, comment } = isSaid(said) ? this.#item : NONE; // what was remarked holds for what is said now
    const note = { query: this.#item, was: this.#said };
    this.#outbox.add({ ...body, remark, comment, reaction_ms: null, replays: null, client_time: Date.now() }, note);
    this.#answerId = body.id;
    this.#said = said;
    this.#showSaid();
    this.#when.textContent = isSaid(said) ? "just now · changed" : "Taken back; it will be asked again";
    announce(isSaid(said) ? `Changed: ${inWords(said)}.` : "Taken back.");
  }

  #showSaid() {
    const { choice, ranks } = this.#said;
    this.root.dataset.choice = choice ?? (isSaid(this.#said) ? "given" : "none");
    this.#board?.show(ranks ?? this.#item.clips.map(() => null), false);
    this.root.dispatchEvent(new Event("said"));
  }
}

/** @param {Entry} item */
function remarkOn({ remark, comment }) {
  const said = [remark === null ? null : REASONS[remark], comment].filter((text) => text !== null);
  return said.length === 0 ? [] : [element("p", { class: "remark" }, said.join(": "))];
}

/** @param {string} text */
function capital(text) {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** @param {string} words @param {() => void} act @param {Record<string, any>} [more] @returns {HTMLButtonElement} */
function button(words, act, more = {}) {
  return element("button", { type: "button", onclick: act, ...more }, words);
}

/** @param {string} name @param {import("../../typescript/api").ClipReply} clip */
export function thumbnail(name, clip) {
  const label = SIDES.includes(name) ? `${name} clip` : `clip ${name}`;
  const video = element("video", { poster: clip.poster, preload: "none", muted: true, "aria-label": label });
  const frame = element("div", { class: `thumb ${name}` }, video);
  return { video, frame, root: element("div", {}, frame) };
}
