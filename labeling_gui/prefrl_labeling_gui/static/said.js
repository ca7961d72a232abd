// What somebody says of the clips on the screen: a choice, or the rank of each clip.

import { layout } from "./layout.js";
import { orderOf } from "./ranking.js";

/** @typedef {NonNullable<import("../../typescript/api").AnswerRequest["choice"]>} Choice */
/** @typedef {{choice?: Choice | null, ranks?: number[] | null}} Said Of what says nothing, both are null or missing. */

/** What takes an answer back. @type {Readonly<{choice: null, ranks: null}>} */
export const NOTHING = Object.freeze({ choice: null, ranks: null });

/** @param {Choice} choice */
export function chosen(choice) {
  return { choice, ranks: null };
}

/** @param {number[]} ranks */
export function ranked(ranks) {
  return { choice: null, ranks };
}

/** @param {Readonly<Said>} said @returns {boolean} Something is said. */
export function isSaid({ choice, ranks }) {
  return (choice ?? ranks ?? null) !== null;
}

/** @param {Readonly<Said>} said @returns {boolean} Clips are compared. */
export function isComparison(said) {
  return isSaid(said) && said.choice !== "cannot_tell";
}

/** @param {Readonly<Said>} one @param {Readonly<Said>} other @returns {boolean} Both say the same. */
export function isSame(one, other) {
  return (one.choice ?? null) === (other.choice ?? null) && String(one.ranks ?? "") === String(other.ranks ?? "");
}

/** @param {Readonly<Said>} said @returns {string} "left", or "3 > 1 > 2". */
export function inShort({ choice, ranks }) {
  if (ranks) return orderOf(ranks);
  return choice ? layout.short[choice] : "";
}

/** @param {Readonly<Said>} said @returns {string} "Left is better", or "Ranked 3, then 1 and 4, then 2". */
export function inWords({ choice, ranks }) {
  if (ranks) return `Ranked ${orderOf(ranks).replaceAll(" > ", ", then ").replaceAll(" = ", " and ")}`;
  return choice ? layout.words[choice] : "";
}
