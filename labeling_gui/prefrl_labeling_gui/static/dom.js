// Elements and text. Text is only ever set as text, never as HTML: names and questions come from people.

/**
 * Make an element. A property that starts with "on" is a listener; `dataset` and `class` are understood; what the
 * element has no property for becomes an attribute; null and undefined are left out.
 * @param {string} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null)} children
 * @returns {any}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "class") node.className = value;
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/**
 * Make an SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...Node} children
 * @returns {any}
 */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** @param {string} id @returns {any} */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`The page has no element "${id}".`);
  return node;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** @param {number} value @returns {string} 12,345 or 0.123: as many digits as say something. */
export function number(value) {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? whole.format(value) : precise.format(value);
}

/** @param {number} n @param {string} one @param {string} [many] @returns {string} "1 answer", "2 answers". */
export function count(n, one, many = `${one}s`) {
  return `${whole.format(n)} ${n === 1 ? one : many}`;
}

/** @param {number} seconds @returns {string} A length of time, as coarse as an estimate of it is. */
export function duration(seconds) {
  if (seconds < 90) return "about a minute";
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${precise.format(Math.round(seconds / 1800) / 2)} h`;
}

/** @param {number} milliseconds Since 1970. @returns {string} "just now", "12 min ago", or a date. */
export function ago(milliseconds) {
  const seconds = (Date.now() - milliseconds) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  const date = new Date(milliseconds);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return `today, ${time}`;
  return `${date.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
}

/** Somebody asked their system for less motion: nothing starts to move by itself. @returns {boolean} */
export function lessMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
