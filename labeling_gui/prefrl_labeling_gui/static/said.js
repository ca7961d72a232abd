// What somebody says of the clips on the screen: a choice, the rank of each, or how good the only one is.

import { layout } from "./layout.js";
import { orderOf } from "./ranking.js";

/** @typedef {NonNullable<import("../../typescript/api").AnswerRequest["choice"]>} Choice */
/**
 * @typedef {{choice?: Choice | null, ranks?: number[] | null, rating?: number | null}} Said One of them; of what says
 *   nothing, all are null or missing.
 */

/** What takes an answer back. @type {Readonly<{choice: null, ranks: null, rating: null}>} */
export const NOTHING = Object.freeze({ choice: null, ranks: null, rating: null });

/** @param {Choice} choice */
export function chosen(choice) {
  return { ...NOTHING, choice };
}

/** @param {number[]} ranks */
export function ranked(ranks) {
  return { ...NOTHING, ranks };
}

/** @param {number} rating */
export function rated(rating) {
  return { ...NOTHING, rating };
}

/** @param {Readonly<Said>} told Something that has more beside it, as from the server. */
export function saidIn({ choice = null, ranks = null, rating = null }) {
  return { choice, ranks, rating };
}

/** @param {Readonly<Said>} said @returns {boolean} Something is said. */
export function isSaid({ choice, ranks, rating }) {
  return (choice ?? ranks ?? rating ?? null) !== null;
}

/** @param {Readonly<Said>} said @returns {boolean} Clips are compared, or rated: something is learned. */
export function isComparison(said) {
  return isSaid(said) && said.choice !== "cannot_tell";
}

/** @param {Readonly<Said>} one @param {Readonly<Said>} other @returns {boolean} Both say the same. */
export function isSame(one, other) {
  return JSON.stringify(saidIn(one)) === JSON.stringify(saidIn(other));
}

/** @param {Readonly<Said>} said @returns {string} "left", "3 > 1 > 2", or "4". */
export function inShort({ choice, ranks, rating }) {
  if (ranks) return orderOf(ranks);
  if (rating) return String(rating);
  return choice ? layout.short[choice] : "";
}

/** @param {Readonly<Said>} said @returns {string} "Left is better", "Ranked 3, then 1 and 4, then 2", or "Rated 4". */
export function inWords({ choice, ranks, rating }) {
  if (ranks) return `Ranked ${orderOf(ranks).replaceAll(" > ", ", then ").replaceAll(" = ", " and ")}`;
  if (rating) return `Rated ${rating}`;
  return choice ? layout.words[choice] : "";
}
