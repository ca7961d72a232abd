// Which place each of several clips has, as somebody gives them: the best first, one after another.

const WORDS = Object.freeze(["first", "second", "third", "fourth", "fifth", "sixth"]);
const SHORT = Object.freeze(["1st", "2nd", "3rd", "4th", "5th", "6th"]);

/** @typedef {(number | null)[]} Ranks Of each clip, 0 for the best, equals share one; null where it has none yet. */

/** @param {number} clip @param {Readonly<Ranks>} ranks @returns {string} "2nd", or "2nd =" where others share it. */
export function placeOf(clip, ranks) {
  const rank = ranks[clip];
  if (rank === null) return "";
  return isShared(rank, ranks) ? `${SHORT[rank]} =` : SHORT[rank];
}

/** @param {number} clip @param {Readonly<Ranks>} ranks @returns {string} "second", or "second with others". */
export function placeInWords(clip, ranks) {
  const rank = ranks[clip];
  if (rank === null) return "no place yet";
  return isShared(rank, ranks) ? `${WORDS[rank]} with others` : WORDS[rank];
}

/** @param {readonly number[]} ranks @returns {string} The clips by their numbers, such as "3 > 1 = 4 > 2". */
export function orderOf(ranks) {
  const numbers = (rank) => ranks.flatMap((other, clip) => (other === rank ? [clip + 1] : []));
  return [...new Set(ranks)].sort((a, b) => a - b).map((rank) => numbers(rank).join(" = ")).join(" > ");
}

/** @param {number} rank @param {Readonly<Ranks>} ranks */
function isShared(rank, ranks) {
  return ranks.filter((other) => other === rank).length > 1;
}

/** Emits "change". What changes it returns a sentence to speak. */
export class Ranking extends EventTarget {
  #n = 0;
  /** @type {{clip: number, shares: boolean}[]} The best first; `shares` has the place of the one before. */
  #picks = [];
  #nextShares = false;

  /** Begin with so many clips of which none has a place. @param {number} n */
  begin(n) {
    this.#n = n;
    this.#set([]);
  }

  /** @returns {Ranks} */
  get ranks() {
    const ranks = Array(this.#n).fill(null);
    let rank = -1;
    for (const { clip, shares } of this.#picks) ranks[clip] = rank += Number(!shares);
    return ranks;
  }

  /** @returns {number | null} The clip that was given a place last. */
  get latest() {
    return (this.isComplete ? this.#picks.at(-2) : this.#picks.at(-1))?.clip ?? null;
  }

  /** Every clip has its place. The last got it by itself. */
  get isComplete() {
    return this.#n > 0 && this.#picks.length === this.#n;
  }

  /** The next clip, or the last where all have a place, shares the place of the one before. */
  get shares() {
    return this.isComplete ? this.#picks.at(-1)?.shares === true : this.#nextShares;
  }

  /** Give a clip the next place; one that has a place loses it, and those after it move up. @param {number} clip */
  pick(clip) {
    if (clip >= this.#n) return "";
    if (this.ranks[clip] !== null) return this.#remove(clip);
    const picks = [...this.#picks, { clip, shares: this.#nextShares }];
    if (picks.length < this.#n - 1) {
      this.#set(picks);
      return `Clip ${clip + 1} is ${placeInWords(clip, this.ranks)}.`;
    }
    const last = this.ranks.findIndex((rank, other) => rank === null && other !== clip);
    this.#set([...picks, { clip: last, shares: false }]);
    const [one, other] = [clip, last].map((each) => `clip ${each + 1} is ${placeInWords(each, this.ranks)}`);
    return `C${one.slice(1)}, ${other}. All have their place.`;
  }

  /** Take the place of the clip back that got one last, and with it that which came by itself. */
  takeBack() {
    return this.latest === null ? "" : this.#remove(this.latest);
  }

  /** Have the next clip share the place of the one before, or the last one where all have a place; or no more. */
  tie() {
    if (this.#picks.length === 0) return "Choose the best clip first.";
    if (this.isComplete) {
      const { clip, shares } = /** @type {{clip: number, shares: boolean}} */ (this.#picks.at(-1));
      this.#set([...this.#picks.slice(0, -1), { clip, shares: !shares }]);
      return `Clip ${clip + 1} is ${placeInWords(clip, this.ranks)}.`;
    }
    this.#set(this.#picks, !this.#nextShares);
    return this.#nextShares ? "The next clip is equal to the one before." : "The next clip has a place of its own.";
  }

  /** Have two clips change places, once all have one. @param {number} one @param {number} other */
  exchange(one, other) {
    if (!this.isComplete || one === other) return "";
    const swapped = new Map([[one, other], [other, one]]);
    this.#set(this.#picks.map(({ clip, shares }) => ({ clip: swapped.get(clip) ?? clip, shares })));
    return `Clips ${one + 1} and ${other + 1} have changed places.`;
  }

  /** @param {number} clip */
  #remove(clip) {
    // What came by itself goes as well; who takes that back means the one that made it come.
    const given = this.isComplete ? this.#picks.slice(0, -1) : this.#picks;
    const known = given.findIndex((pick) => pick.clip === clip);
    const at = known < 0 ? given.length - 1 : known;
    const after = given.slice(at + 1);
    if (after.length > 0 && !given[at].shares) after[0] = { ...after[0], shares: false };
    this.#set([...given.slice(0, at), ...after]);
    return `Clip ${given[at].clip + 1} has no place any more.`;
  }

  /** @param {{clip: number, shares: boolean}[]} picks @param {boolean} nextShares */
  #set(picks, nextShares = false) {
    this.#picks = picks;
    this.#nextShares = nextShares;
    this.dispatchEvent(new Event("change"));
  }
}
