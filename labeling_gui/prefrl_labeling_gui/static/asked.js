// What is asked of clips: which of two is better, how several follow each other, or how good one is.

/** @typedef {"pair" | "ranking" | "rating"} Asked */

/** @param {{ranking: boolean, levels: number}} told What the server says. @returns {Asked} */
export function askedOf({ ranking, levels }) {
  if (levels > 0) return "rating";
  return ranking ? "ranking" : "pair";
}

/** @param {number} n Clips. @returns {Asked} What can be asked of so many. */
export function askedAbout(n) {
  if (n === 1) return "rating";
  return n === 2 ? "pair" : "ranking";
}

/**
 * What the page that asks says of it: how to answer, below the question; what is counted; and of the clips that are
 * not looked at yet, that cannot be seen, and that come next.
 * @type {Record<Asked, {how: string, unit: string, lookFirst: string, unseen: string, isNext: string}>}
 */
export const SENTENCES = {
  pair: {
    how: "",
    unit: "comparison",
    lookFirst: "Look at both clips first.",
    unseen: "This pair cannot be seen: answer “can’t tell”.",
    isNext: "The next pair is there.",
  },
  ranking: {
    how: "Rank the clips, the best first. ",
    unit: "ranking",
    lookFirst: "Look at all clips first.",
    unseen: "These clips cannot be seen: answer “can’t tell”.",
    isNext: "The next clips are there.",
  },
  rating: {
    how: "Rate this one clip. ",
    unit: "rating",
    lookFirst: "Look at the clip first.",
    unseen: "This clip cannot be seen: answer “can’t tell”.",
    isNext: "The next clip is there.",
  },
};
