// The pairs that this tab has claimed: the one that is shown first, and those after it.

import { request } from "./api.js";

const MOST_PER_CLAIM = 5;
const RETRY_AFTER = 3_000;

/**
 * @typedef {import("../../typescript/api").PairReply} PairReply
 * @typedef {Omit<PairReply, "lease_expires_at"> & Partial<PairReply>} Pair One that was answered has no lease any more.
 * @typedef {import("../../typescript/api").ClaimsReply} ClaimsReply
 */

/** Emits "change" when pairs came, or the reason why none come changed; and "progress" (detail) with each reply. */
export class Queue extends EventTarget {
  /** @type {Pair[]} The first is to be answered now. */
  pairs = [];
  /** @type {string | null} Why there are no more: "none_open", "budget_used", "finished". */
  reason = null;
  /** @type {Error | null} Why the last claim failed; null when it did not. */
  failure = null;
  /** The server was asked at least once. */
  asked = false;
  /** @type {Set<string>} What was answered here: a claim may overtake its answer and bring it again. */
  #answered = new Set();
  #ahead;
  #unsent;
  /** @type {Promise<void> | null} */
  #claiming = null;
  #timer = 0;

  /**
   * @param {() => number} ahead How many pairs to hold.
   * @param {() => string[]} unsent Queries whose answers the server does not know yet.
   */
  constructor(ahead, unsent) {
    super();
    this.#ahead = ahead;
    this.#unsent = unsent;
  }

  /** Take the first pair off, because it is answered. */
  take() {
    const pair = this.pairs.shift();
    if (pair !== undefined) this.#answered.add(pair.query_id);
  }

  /** Ask a pair no more, because it is answered elsewhere. @param {string} queryId */
  drop(queryId) {
    this.pairs = this.pairs.filter((pair) => pair.query_id !== queryId);
    this.#answered.add(queryId);
  }

  /** Ask a pair again if it comes, because its answer was taken back elsewhere. @param {string} queryId */
  allow(queryId) {
    this.#answered.delete(queryId);
  }

  /** Put a pair before all others, because its answer was taken back. @param {Pair} pair */
  putBack(pair) {
    this.#answered.delete(pair.query_id);
    this.pairs = [pair, ...this.pairs.filter((other) => other.query_id !== pair.query_id)];
  }

  /** Claim until enough are held. Calls while one is under way wait for that one. @returns {Promise<void>} */
  fill() {
    this.#claiming ??= this.#fill().finally(() => (this.#claiming = null));
    return this.#claiming;
  }

  /** Keep what is held for this person for longer. */
  async renew() {
    if (this.pairs.length > 0) await this.#claim(1).catch(() => undefined);
  }

  /** Ask anew for everything: the leases may have ended while nobody looked. */
  async refresh() {
    await this.#claiming;
    const [shown] = this.pairs;
    this.pairs = [];
    await this.fill();
    if (this.failure !== null && shown !== undefined) this.putBack(shown);
  }

  async #fill() {
    clearTimeout(this.#timer);
    try {
      for (let missing = this.#missing(); missing > 0; missing = this.#missing()) {
        const n = Math.min(missing, MOST_PER_CLAIM);
        if ((await this.#claim(n)) < n) break;
      }
      this.failure = null;
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
      this.#timer = setTimeout(() => this.fill(), RETRY_AFTER);
    }
    this.asked = true;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {number} n @returns {Promise<number>} How many came that are new. */
  async #claim(n) {
    const unsent = this.#unsent();
    const holding = [...this.pairs.map((pair) => pair.query_id), ...unsent];
    /** @type {ClaimsReply} */
    const reply = await request("/api/claims", { body: { n, holding: [...new Set(holding)] } });
    const known = new Set([...this.pairs.map((pair) => pair.query_id), ...unsent, ...this.#answered]);
    const fresh = reply.queries.filter((pair) => !known.has(pair.query_id));
    this.pairs.push(...fresh);
    this.reason = reply.reason;
    this.dispatchEvent(new CustomEvent("progress", { detail: reply.progress }));
    if (fresh.length > 0) this.dispatchEvent(new Event("change"));
    return fresh.length;
  }

  #missing() {
    return this.#ahead() - this.pairs.length;
  }
}
