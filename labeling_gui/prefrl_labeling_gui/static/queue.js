// What this tab has claimed to be answered: the query that is shown first, and those after it.

import { request } from "./api.js";

const MOST_PER_CLAIM = 5;
const RETRY_AFTER = 3_000;

/**
 * @typedef {import("../../typescript/api").QueryReply} QueryReply
 * @typedef {Omit<QueryReply, "lease_expires_at"> & Partial<QueryReply>} Query One that was answered has no lease any more.
 * @typedef {import("../../typescript/api").ClaimsReply} ClaimsReply
 */

/** Emits "change" when queries came, or the reason why none come changed; and "progress" (detail) with each reply. */
export class Queue extends EventTarget {
  /** @type {Query[]} The first is to be answered now. */
  queries = [];
  /** @type {string | null} Why there are no more: "none_open", "quota_given", "budget_used", "finished". */
  reason = null;
  /** @type {Error | null} Why the last claim failed; null when it did not. */
  failure = null;
  /** The server was asked at least once. */
  asked = false;
  /** @type {Set<string>} What was answered here: a claim may overtake its answer and bring it again. */
  #answered = new Set();
  /** What came last is of a kind that this page does not ask. */
  isOfAnotherKind = false;
  #ahead;
  #unsent;
  #isOfThisKind;
  /** @type {Promise<void> | null} */
  #claiming = null;
  #timer = 0;

  /**
   * @param {() => number} ahead How many to hold.
   * @param {() => string[]} unsent Queries whose answers the server does not know yet.
   * @param {(query: QueryReply) => boolean} isOfThisKind Whether the page can show it.
   */
  constructor(ahead, unsent, isOfThisKind) {
    super();
    this.#isOfThisKind = isOfThisKind;
    this.#ahead = ahead;
    this.#unsent = unsent;
  }

  /** Take the first one off, because it is answered. */
  take() {
    const query = this.queries.shift();
    if (query !== undefined) this.#answered.add(query.query_id);
  }

  /** Ask one no more, because it is answered elsewhere. @param {string} queryId */
  drop(queryId) {
    this.queries = this.queries.filter((query) => query.query_id !== queryId);
    this.#answered.add(queryId);
  }

  /** Ask one again if it comes, because its answer was taken back elsewhere. @param {string} queryId */
  allow(queryId) {
    this.#answered.delete(queryId);
  }

  /** Put one before all others, because its answer was taken back. @param {Query} query */
  putBack(query) {
    this.#answered.delete(query.query_id);
    this.queries = [query, ...this.queries.filter((other) => other.query_id !== query.query_id)];
  }

  /** Claim until enough are held. Calls while one is under way wait for that one. @returns {Promise<void>} */
  fill() {
    this.#claiming ??= this.#fill().finally(() => (this.#claiming = null));
    return this.#claiming;
  }

  /** Keep what is held for this person for longer. */
  async renew() {
    if (this.queries.length > 0) await this.#claim(1).catch(() => undefined);
  }

  /** Ask anew for everything: the leases may have ended while nobody looked. */
  async refresh() {
    await this.#claiming;
    const [shown] = this.queries;
    this.queries = [];
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
    const holding = [...this.queries.map((query) => query.query_id), ...unsent];
    /** @type {ClaimsReply} */
    const reply = await request("/api/claims", { body: { n, holding: [...new Set(holding)] } });
    const known = new Set([...this.queries.map((query) => query.query_id), ...unsent, ...this.#answered]);
    const fresh = reply.queries.filter((query) => !known.has(query.query_id) && this.#isOfThisKind(query));
    this.isOfAnotherKind = reply.queries.some((query) => !this.#isOfThisKind(query));
    this.queries.push(...fresh);
    this.reason = reply.reason;
    this.dispatchEvent(new CustomEvent("progress", { detail: reply.progress }));
    if (fresh.length > 0) this.dispatchEvent(new Event("change"));
    return fresh.length;
  }

  #missing() {
    return this.#ahead() - this.queries.length;
  }
}
