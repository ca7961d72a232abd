// Requests to the server that the page came from.

/** An answer of the server that is no success (`status` 4xx or 5xx), or none at all (`status` 0). */
export class ApiError extends Error {
  /** @param {string} message One sentence to show. @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** Trying again later may help: no network, a server that restarts, too many requests, a lost session. */
  get passing() {
    return this.status === 0 || this.status >= 500 || [401, 403, 408, 425, 429].includes(this.status);
  }
}

/**
 * GET a path, or POST `body` to it, and return the JSON that comes back.
 * @param {string} path
 * @param {{body?: object, milliseconds?: number}} [options]
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export async function request(path, { body, milliseconds = 20_000 } = {}) {
  const options = { signal: AbortSignal.timeout(milliseconds), headers: { Accept: "application/json" } };
  if (body !== undefined) {
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  let content;
  try {
    response = await fetch(path, options);
    content = await response.json();
  } catch {
    throw new ApiError("The server cannot be reached.", response !== undefined && !response.ok ? response.status : 0);
  }
  if (!response.ok) {
    throw new ApiError(typeof content?.error === "string" ? content.error : response.statusText, response.status);
  }
  return content;
}
