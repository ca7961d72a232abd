// How good one clip is: a level, from 1 for the worst to 5 for the best. Each is an action, with a button and a key.

/** @type {readonly number[]} */
export const LEVELS = Object.freeze([1, 2, 3, 4, 5]);
const ENDS = { [LEVELS[0]]: "worst", [LEVELS.length]: "best" };

/** @param {number | string} level @returns {string} What gives it. */
export function levelAction(level) {
  return `level_${level}`;
}

/** @param {number} level @returns {string} "1 worst", "2", and so on to "5 best". */
export function levelName(level) {
  return [level, ENDS[level]].join(" ").trim();
}
