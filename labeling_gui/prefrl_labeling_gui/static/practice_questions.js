// What is asked in practice: clips whose order is known, and what most would say of them.

import { layout } from "./layout.js";
import { LEVELS } from "./rating.js";
import { orderOf } from "./ranking.js";

const QUESTIONS = 5;
/** Of two clips, how many places they are apart at least: what is nearer, few would tell. */
const LEAST_APART = 2;
/** Clips of a ranking. */
const RANKED = 4;
/** How many levels from what most would say is right, too. */
const NEAR = 1;

/**
 * @typedef {import("../../typescript/api").PracticeEntry} PracticeEntry
 * @typedef {{query: import("./queue.js").Query, places: number[], entries: PracticeEntry[], n: number}} Question In the
 *   order of the screen; of `n` clips, that at place 0 is the worst.
 * @typedef {{agrees: boolean | null, why: string}} Verdict Whether most would say the same; null where nothing was said.
 */

/**
 * Draw the questions, the easiest pair first.
 * @param {PracticeEntry[]} clips The worst first.
 * @param {import("./asked.js").Asked} asked
 * @returns {Question[]}
 */
export function questionsOf(clips, asked) {
  const all = clips.map((_, place) => place);
  const drawn = { pair: () => pairs(all), ranking: () => rankings(all), rating: () => shuffled(all).map((place) => [place]) };
  return drawn[asked]()
    .slice(0, QUESTIONS)
    .map((places, i) => {
      const entries = places.map((place) => clips[place]);
      // Only what the stage needs; how fast the agent was, nobody knows of these.
      const shown = entries.map(({ clip, fps }) => ({ clip, fps, poster: "", duration_s: 0, speed: 0 }));
      return { query: { query_id: `practice ${i + 1}`, clips: shown }, places, entries, n: clips.length };
    });
}

/**
 * What most would say, and why.
 * @param {Question} question
 * @param {Readonly<import("./said.js").Said>} said
 * @returns {Verdict}
 */
export function verdictOn({ places, entries, n }, { choice, ranks, rating }) {
  const best = places.indexOf(Math.max(...places));
  const worst = places.indexOf(Math.min(...places));
  const said = choice !== "cannot_tell";
  if (places.length === 1) {
    const level = levelOf(places[0], n);
    return { agrees: said ? Math.abs((rating ?? 0) - level) <= NEAR : null, why: `About a ${level}: ${entries[0].sentence}` };
  }
  if (places.length === 2) {
    const [side, other] = best === 0 ? ["left", "right"] : ["right", "left"];
    const why = `${layout.words[side]}: ${entries[best].sentence} ${capital(layout.short[other])}: ${entries[worst].sentence}`;
    return { agrees: said ? choice === side || choice === `much_${side}` : null, why };
  }
  const order = ranksOf(places);
  const ends = [best, worst].map((clip) => `Clip ${clip + 1}: ${entries[clip].sentence}`);
  const why = `The best first: ${orderOf(order).replaceAll(" > ", ", ")}. ${ends.join(" ")}`;
  return { agrees: said ? places.every((_, clip) => isInPlace(places, ranks ?? [], clip)) : null, why };
}

/**
 * Whether a clip is ranked before all that are clearly worse. Of those nearer than that few would tell.
 * @param {number[]} places @param {readonly number[]} ranks @param {number} clip
 */
function isInPlace(places, ranks, clip) {
  return places.every((place, other) => places[clip] - place < LEAST_APART || ranks[clip] < ranks[other]);
}

/** @param {number} place @param {number} n Clips. @returns {number} The level that most would give it. */
function levelOf(place, n) {
  return Math.round(LEVELS[0] + (place * (LEVELS.length - 1)) / (n - 1));
}

/** @param {number[]} places @returns {number[]} 0 for the best. */
function ranksOf(places) {
  return places.map((place) => places.filter((other) => other > place).length);
}

/** @param {number[]} all @returns {number[][]} */
function pairs(all) {
  const apart = all.flatMap((one) => all.filter((other) => other - one >= LEAST_APART).map((other) => [one, other]));
  const drawn = shuffled(apart).slice(0, QUESTIONS);
  return drawn.sort((one, other) => other[1] - other[0] - (one[1] - one[0])).map(shuffled);
}

/** @param {number[]} all @returns {number[][]} */
function rankings(all) {
  return Array.from({ length: QUESTIONS }, () => shuffled(all).slice(0, RANKED));
}

/** @template T @param {T[]} some @returns {T[]} */
function shuffled(some) {
  const found = [...some];
  for (let i = found.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}

/** @param {string} words */
function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
