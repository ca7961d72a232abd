// Answers on their way to the server. One is written into the browser's database before it is sent and deleted
// after the server said that it is stored, so that neither a network failure nor a closed tab loses any.
// They are sent one at a time in the order in which they were given: an undo must follow what it takes back.

import { ApiError, request } from "./api.js";
import { isComparison, isSaid, saidIn } from "./said.js";

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8_000;

/**
 * @typedef {import("../../typescript/api").AnswerRequest} AnswerBody
 * @typedef {{query: import("./queue.js").Query, was: import("./said.js").Said}} Note What was shown, and said before.
 * @typedef {{scope: string, body: AnswerBody, note: Note, since: number, refused: string | null}} Entry
 */

const last = { time: 0, number: 0 };

/**
 * A UUID of version 7, greater than those made before on this page. (`crypto.randomUUID` knows only version 4, and
 * is missing where the page came by plain HTTP.)
 * @returns {string}
 */
export function newId() {
  const now = Date.now();
  Object.assign(last, now > last.time ? { time: now, number: 0 } : { number: last.number + 1 });
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  new DataView(bytes.buffer).setBigUint64(0, (BigInt(last.time) << 16n) | BigInt(0x7000 | (last.number & 0xfff)));
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * Emits "change" when `state` or what is in it changes, "stored" (detail: the reply) for each answer stored, and
 * "elsewhere" (detail: `queryId`, `takesBack`, `id`, `said`) for each that the same person gives, or takes back, in another tab.
 */
export class Outbox extends EventTarget {
  /** @type {Entry[]} In the order in which they were given. */
  #entries = [];
  /** @type {IDBDatabase | null} Null where the browser keeps nothing. */
  #database = null;
  #sending = false;
  /** @type {ApiError | null} Why the last attempt failed. */
  #failure = null;
  #pause = FIRST_PAUSE;
  #timer = 0;
  #tabs;

  /** @param {string} scope Whose answers, in which run: those of others in this browser stay untouched. */
  constructor(scope) {
    super();
    this.scope = scope;
    this.#tabs = new BroadcastChannel(`prefrl/${scope}`);
    this.#tabs.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("elsewhere", { detail: data }));
    addEventListener("online", () => this.sendNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.sendNow();
    });
  }

  /** Read what an earlier page left behind, and begin to send it. */
  async open() {
    try {
      this.#database = await openDatabase();
      const kept = await result(this.#store("readonly").getAll());
      const own = kept.filter((entry) => entry.scope === this.scope);
      this.#entries = own.sort((a, b) => (a.body.id < b.body.id ? -1 : 1));
    } catch {
      this.#database = null;
    }
    this.sendNow();
  }

  /** False where the browser keeps nothing: then a closed tab does lose what has not been sent. */
  get durable() {
    return this.#database !== null;
  }

  /** @returns {Entry[]} What the server has not acknowledged. */
  get pending() {
    return this.#entries.filter((entry) => entry.refused === null);
  }

  /** Queries whose newest unsent word is an answer, not an undo. @returns {string[]} */
  get unsentQueries() {
    const newest = new Map(this.pending.map(({ body }) => [body.query_id, isSaid(body)]));
    return [...newest].filter(([, said]) => said).map(([query]) => query);
  }

  /** How much more there is than the server knows of; less, where an undo waits to be sent. */
  get unsent() {
    const change = { answers: 0, comparisons: 0 };
    for (const { body, note } of this.pending) {
      change.answers += Number(isSaid(body)) - Number(isSaid(note.was));
      change.comparisons += Number(isComparison(body)) - Number(isComparison(note.was));
    }
    return change;
  }

  /** @returns {Entry[]} What the server will not take. */
  get refused() {
    return this.#entries.filter((entry) => entry.refused !== null);
  }

  /** @returns {"saved" | "saving" | "waiting"} */
  get state() {
    if (this.pending.length === 0) return "saved";
    return this.#failure === null ? "saving" : "waiting";
  }

  /** Why the last attempt failed; null when it did not. @returns {ApiError | null} */
  get failure() {
    return this.#failure;
  }

  /** Seconds for which the oldest answer has been waiting. */
  get age() {
    const oldest = this.pending[0];
    return oldest === undefined ? 0 : (Date.now() - oldest.since) / 1000;
  }

  /**
   * Keep an answer, then send it.
   * @param {AnswerBody} body
   * @param {Note} note For whoever undoes or counts the answer before it is sent.
   */
  async add(body, note) {
    const entry = { scope: this.scope, body, note, since: Date.now(), refused: null };
    this.#entries.push(entry);
    this.#tabs.postMessage({ queryId: body.query_id, takesBack: !isSaid(body), id: body.id, said: saidIn(body) });
    this.#changed();
    await this.#write((store) => store.put(entry));
    if (this.#failure === null) this.sendNow();
  }

  /** Forget what the server refused, once somebody has read why. */
  async dismiss() {
    const ids = this.refused.map((entry) => entry.body.id);
    this.#entries = this.pending;
    this.#changed();
    for (const id of ids) await this.#write((store) => store.delete(id));
  }

  /** Send at once what is waiting, without the rest of the pause. */
  sendNow() {
    clearTimeout(this.#timer);
    if (!this.#sending) this.#send();
  }

  /** @param {number} milliseconds @returns {Promise<void>} When all is stored, or the time is over. */
  async settled(milliseconds) {
    if (this.state !== "saving") return;
    await new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
      this.addEventListener("change", () => this.state === "saving" || resolve(undefined));
    });
  }

  async #send() {
    this.#sending = true;
    try {
      for (let entry = this.pending[0]; entry !== undefined; entry = this.pending[0]) await this.#sendOne(entry);
    } catch (error) {
      this.#failure = error instanceof ApiError ? error : new ApiError(String(error), 0);
      this.#timer = setTimeout(() => this.sendNow(), this.#pause * (0.75 + Math.random() / 2));
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    } finally {
      this.#sending = false;
      this.#changed();
    }
  }

  /** @param {Entry} entry @throws {ApiError} It could not be sent now. */
  async #sendOne(entry) {
    let reply = null;
    try {
      reply = await request("/api/answers", { body: entry.body });
    } catch (error) {
      if (!(error instanceof ApiError) || error.passing) throw error;
      entry.refused = error.message;
      await this.#write((store) => store.put(entry));
    }
    this.#failure = null;
    this.#pause = FIRST_PAUSE;
    if (reply !== null) {
      this.#entries = this.#entries.filter((other) => other !== entry);
      await this.#write((store) => store.delete(entry.body.id));
      this.dispatchEvent(new CustomEvent("stored", { detail: reply }));
    }
    this.#changed();
  }

  /** @param {(store: IDBObjectStore) => void} change */
  async #write(change) {
    if (this.#database === null) return;
    try {
      const store = this.#store("readwrite");
      change(store);
      await committed(store.transaction);
    } catch {
      this.#database = null;
      this.#changed();
    }
  }

  /** @param {IDBTransactionMode} mode */
  #store(mode) {
    if (this.#database === null) throw new Error("This browser keeps nothing.");
    return this.#database.transaction("answers", mode, { durability: "strict" }).objectStore("answers");
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  const opening = indexedDB.open("prefrl-outbox", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("answers", { keyPath: "body.id" });
  return result(opening);
}

/** @param {IDBRequest} request @returns {Promise<any>} */
function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}
