// Where clips are seen and something is said of them: stage, buttons, keys, mouse and finger. What is asked, and what
// becomes of what is said, is the page's.

import { SENTENCES, askedOf } from "./asked.js";
import { ClipCache } from "./clips.js";
import { buildControls } from "./controls.js";
import { byId, element } from "./dom.js";
import { actionOf, isMistaken, keyLabel, keysInShort } from "./keys.js";
import { layout } from "./layout.js";
import { showLegend } from "./legend.js";
import { Ranking } from "./ranking.js";
import { RankingBoard } from "./ranking_board.js";
import { LEVELS, levelAction } from "./rating.js";
import { chosen, isComparison, ranked, rated } from "./said.js";
import { RATES, settings } from "./settings.js";
import { announce } from "./shell.js";
import { Stage } from "./stage.js";
import { listenForSwipes } from "./swipe.js";
import { showToast } from "./toast.js";

const READING_MS = 5_000;
const RANK_ALL = "Give every clip its place first.";

/**
 * @typedef {import("./said.js").Choice} Choice
 * @typedef {import("./said.js").Said} Said
 * @typedef {import("./queue.js").Query} Query
 */

/** Emits "change" when what the buttons show may have changed. */
export class Desk extends EventTarget {
  #run;
  #page;
  /** @type {RankingBoard | null} */
  #board = null;
  #controls;
  /** @type {Record<string, () => void>} */
  #actions;
  #look = { since: 0, replays: 0 };
  #toldKeys = false;
  clips = new ClipCache();
  ranking = new Ranking();

  /**
   * @param {import("./shell.js").Run} run
   * @param {{isAsked: (query: Query) => boolean, answer: (said: Said, query: Query) => void,
   *          actions: Record<string, () => void>}} page Whether a query is to be answered now; what becomes of an
   *   answer; and what else its buttons and keys do: at least `undo`.
   */
  constructor(run, page) {
    super();
    this.#run = run;
    this.#page = page;
    this.asked = askedOf(run);
    this.sentences = SENTENCES[this.asked];
    byId("label").dataset.asked = this.asked;
    showQuestion(run.question ?? "", this.sentences.how);
    showLegend(byId("legend"), run.legend);
    if (this.asked === "ranking") {
      /** @param {number} clip */
      const pick = (clip) => this.#pick(clip);
      /** @param {number} one @param {number} other */
      const exchange = (one, other) => this.#rank(() => this.ranking.exchange(one, other));
      this.#board = new RankingBoard(byId("stage"), { pick, exchange });
    }
    const { asked } = this;
    const leastLook = run.least_look_seconds;
    this.stage = new Stage(byId("stage"), this.clips, { leastLook, howToPlay, asked, board: this.#board });
    this.#actions = { ...this.#ownActions(), ...page.actions };
    const says = {
      pair: run.choices,
      ranking: ["tie", ...run.choices, "send"],
      rating: [...LEVELS.map(levelAction), ...run.choices],
    }[asked];
    if (asked === "rating") byId("answers").ariaLabel = "Your answer, from 1 for the worst to 5 for the best";
    this.#controls = buildControls(asked, says, byId("answers"), byId("tools"), (action) => this.#act(action));
    this.#listen();
  }

  /** How long the clips that are seen have been there [ms], null before they are, and how often they were replayed. */
  get looked() {
    const { since, replays } = this.#look;
    return { reaction_ms: since === 0 ? null : Math.round(performance.now() - since), replays };
  }

  /** Show a query, from its start. @param {Query} query */
  show(query) {
    this.#look = { since: 0, replays: 0 };
    this.stage.show(query);
    this.ranking.begin(query.clips.length);
  }

  /** Show none. */
  clear() {
    this.stage.clear();
    this.ranking.begin(0);
  }

  /** Let the button of what was said light up. @param {Said} said */
  pressed(said) {
    this.stage.forgetPointer();
    this.press(said.choice ?? (said.rating ? levelAction(said.rating) : "send"));
  }

  /** Let a button light up. @param {string} action */
  press(action) {
    this.#controls.press(action);
  }

  /** Write keys and speed as they are set. */
  applySettings() {
    this.stage.rate = settings.values.rate;
    this.#controls.showKeys(settings.values.keys);
  }

  /**
   * @param {{answerable: boolean, playable?: boolean, undoes: string | null, remarked?: boolean}} state Whether something
   *   can be said, and played; and what undo takes back, in short, but for places of a ranking.
   */
  showControls({ answerable, playable = answerable, undoes, remarked = false }) {
    const latest = this.#latest;
    this.#controls.update({
      answerable,
      playable,
      paused: this.stage.paused,
      rate: settings.values.rate,
      undoes: latest === null ? undoes : `clip ${latest + 1}`,
      speed: this.stage.query?.clips[0].speed || null,
      remarked,
      ranking: this.ranking,
    });
    this.#board?.show(this.ranking.ranks, answerable);
  }

  /** @returns {Record<string, () => void>} */
  #ownActions() {
    /** @param {Choice} choice */
    const choose = (choice) => () => this.#answer(chosen(choice));
    return {
      left: choose("left"),
      right: choose("right"),
      equal: choose("equal"),
      cannot_tell: choose("cannot_tell"),
      much_left: choose("much_left"),
      much_right: choose("much_right"),
      ...Object.fromEntries(Array.from({ length: 6 }, (_, clip) => [`clip_${clip + 1}`, () => this.#pick(clip)])),
      ...Object.fromEntries(LEVELS.map((level) => [levelAction(level), () => this.#answer(rated(level))])),
      tie: () => this.#rank(() => this.ranking.tie()),
      unpick: () => this.#unpick(),
      send: () => this.#send(),
      replay: () => {
        this.#look.replays += 1;
        this.stage.replay();
      },
      pause: () => this.stage.toggle(),
      step: () => this.stage.step(),
      slower: () => changeRate(-1),
      faster: () => changeRate(1),
    };
  }

  #listen() {
    const { stage, ranking } = this;
    const change = () => this.dispatchEvent(new Event("change"));
    for (const changing of [stage, ranking, layout]) changing.addEventListener("change", change);
    stage.addEventListener("shown", () => {
      this.#look.since = performance.now();
      announce(this.sentences.isNext);
    });
    document.addEventListener("dialog", () => stage.cover(document.querySelector("dialog[open]") !== null));
    document.addEventListener("keydown", (event) => {
      const action = actionOf(event, settings.values.keys);
      if (action === null) {
        if (isMistaken(event)) this.#tellKeys();
        return;
      }
      event.preventDefault();
      const repeats = action === "step" || action === "slower" || action === "faster";
      if (!event.repeat || repeats) this.#act(action);
    });
    if (this.asked !== "pair") return;
    listenForSwipes(byId("stage"), {
      stacked: () => layout.name === "stacked",
      choices: this.#run.choices,
      preview: (choice) => stage.preview(choice),
      choose: (choice) => {
        const { query } = stage;
        this.#act(choice);
        if (stage.query !== query) showToast(layout.words[choice]);
      },
    });
    byId("stage").addEventListener("click", (event) => this.#chooseClip(event));
  }

  /** Say which keys there are: once, as who plays on the keyboard needs no more. */
  #tellKeys() {
    if (this.#toldKeys) return;
    this.#toldKeys = true;
    refuse(keysInShort(settings.values.keys), READING_MS);
  }

  /** @param {string} action */
  #act(action) {
    if (action === "undo" && this.#latest !== null) this.#unpick();
    else this.#actions[action]?.();
  }

  /** The clip whose place is taken back first, while the clips are ranked. */
  get #latest() {
    const { query } = this.stage;
    return query !== null && this.#page.isAsked(query) ? this.ranking.latest : null;
  }

  /** The better clip itself was clicked. @param {any} event */
  #chooseClip(event) {
    const side = event.target.closest(".side")?.dataset.side;
    if (side === undefined || event.pointerType !== "mouse") return;
    const much = `much_${side}`;
    this.#act(event.shiftKey && this.#run.choices.includes(/** @type {Choice} */ (much)) ? much : side);
  }

  /** @param {Said} said */
  #answer(said) {
    const { query } = this.stage;
    if (query === null || !this.#page.isAsked(query) || !this.stage.settled) return;
    // Nobody compares what they have not seen; that they cannot tell, they may say at once.
    if (isComparison(said) && !this.#isLookedAt()) return;
    this.#page.answer(said, query);
  }

  /** Whether the clips that are seen can be compared; where not, why is said. */
  #isLookedAt() {
    if (this.stage.seen && !this.stage.failed) return true;
    refuse(this.stage.failed ? this.sentences.unseen : this.sentences.lookFirst);
    return false;
  }

  /** Change the ranking of the clips that are seen, and say what was done. @param {() => string} change */
  #rank(change) {
    const { query } = this.stage;
    if (query === null || !this.#page.isAsked(query) || !this.stage.settled || !this.#isLookedAt()) return;
    const done = change();
    if (done !== "") announce(done);
  }

  /** @param {number} clip */
  #pick(clip) {
    this.#rank(() => this.ranking.pick(clip));
  }

  #unpick() {
    this.#rank(() => this.ranking.takeBack());
  }

  #send() {
    const ranks = this.ranking.ranks.filter((place) => place !== null);
    if (this.ranking.isComplete) this.#answer(ranked(ranks));
    else if (this.stage.query !== null) refuse(RANK_ALL);
  }
}

/** @param {string} problem @param {number} [milliseconds] For which it is seen. */
function refuse(problem, milliseconds) {
  showToast(problem, milliseconds);
  announce(problem);
}

/** The question itself, and in smaller type what may follow it. @param {string} question @param {string} how To answer. */
function showQuestion(question, how) {
  const end = question.indexOf("? ") + 1 || question.length;
  byId("question").replaceChildren(`${question.slice(0, end)} `, element("span", {}, how + question.slice(end).trim()));
}

/** What to do where clips do not play by themselves. */
function howToPlay() {
  const byTouch = matchMedia("(hover: none)").matches;
  return byTouch ? "Tap Replay to play" : `Press ${keyLabel(settings.values.keys.replay[0])} to play`;
}

/** @param {number} direction */
function changeRate(direction) {
  const at = RATES.indexOf(settings.values.rate) + direction;
  if (RATES[at] === undefined) return;
  settings.set({ rate: RATES[at] });
  announce(byId("rate").textContent);
}
