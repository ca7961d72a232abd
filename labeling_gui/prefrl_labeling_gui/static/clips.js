// Clips held in memory, so that a pair that was loaded plays at once and without network.

import { ApiError } from "./api.js";

const PAUSES = [300, 1_000, 3_000, 8_000];

export class ClipCache {
  /** @type {Map<string, Promise<string>>} Object URLs by the server's URL. */
  #clips = new Map();

  /**
   * Fetch a clip once; without network, as long as it takes.
   * @param {string} url
   * @returns {Promise<string>} An object URL.
   * @throws {ApiError} The server has no such clip, or cannot draw it.
   */
  get(url) {
    let clip = this.#clips.get(url);
    if (clip === undefined) {
      clip = fetched(url);
      clip.catch(() => this.#clips.delete(url));
      this.#clips.set(url, clip);
    }
    return clip;
  }

  /** Let go of all clips but these. @param {Iterable<string>} urls */
  keep(urls) {
    const kept = new Set(urls);
    for (const [url, clip] of this.#clips) {
      if (kept.has(url)) continue;
      this.#clips.delete(url);
      clip.then(URL.revokeObjectURL, () => undefined);
    }
  }
}

/** @param {string} url @returns {Promise<string>} */
async function fetched(url) {
  for (let attempt = 0; ; attempt += 1) {
    let response = null;
    try {
      response = await fetch(url);
      if (response.ok) return URL.createObjectURL(await response.blob());
    } catch {
      response = null;
    }
    const temporary = response === null || [429, 502, 503, 504].includes(response.status);
    if (response !== null && !temporary) throw new ApiError(await sentence(response), response.status);
    await new Promise((resolve) => setTimeout(resolve, PAUSES[Math.min(attempt, PAUSES.length - 1)]));
  }
}

/** @param {Response} response @returns {Promise<string>} */
async function sentence(response) {
  try {
    return (await response.json()).error ?? response.statusText;
  } catch {
    return response.statusText;
  }
}
