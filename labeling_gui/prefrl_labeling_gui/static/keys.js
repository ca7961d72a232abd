// Which key does what. Only keys of a fixed list can be chosen, so that stored or typed settings stay harmless.

/** What can be done by key, with the keys it has until somebody changes them. */
const ACTIONS = Object.freeze([
  { id: "left", name: "Left is better", keys: ["ArrowLeft"] },
  { id: "right", name: "Right is better", keys: ["ArrowRight"] },
  { id: "much_left", name: "Left is much better", keys: ["Shift+ArrowLeft"] },
  { id: "much_right", name: "Right is much better", keys: ["Shift+ArrowRight"] },
  { id: "equal", name: "Equally good", keys: ["ArrowUp", "="] },
  { id: "cannot_tell", name: "Can’t tell", keys: ["ArrowDown", "?"] },
  { id: "undo", name: "Undo", keys: ["u"] },
  { id: "replay", name: "Replay", keys: [" "] },
  { id: "pause", name: "Pause or go on", keys: ["p"] },
  { id: "step", name: "One frame on", keys: ["."] },
  { id: "slower", name: "Slower", keys: ["<"] },
  { id: "faster", name: "Faster", keys: [">"] },
  { id: "remark", name: "Remark", keys: ["n"] },
  { id: "help", name: "Help", keys: ["h"] },
]);

const LABELS = new Map([
  ["ArrowLeft", "←"],
  ["ArrowRight", "→"],
  ["ArrowUp", "↑"],
  ["ArrowDown", "↓"],
  [" ", "Space"],
  ["Enter", "Enter"],
  ["Backspace", "⌫"],
  ["Home", "Home"],
  ["End", "End"],
  ["PageUp", "PgUp"],
  ["PageDown", "PgDn"],
]);
const SHIFT = "Shift+";
const ALLOWED = new Set([
  ..."abcdefghijklmnopqrstuvwxyz0123456789=-+*/.,;:<>?!#'[]",
  ...LABELS.keys(),
  ...[...LABELS.keys()].map((key) => SHIFT + key),
]);
const EDITABLE = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

/** @typedef {Record<string, string[]>} KeyMap Keys (as in KeyboardEvent.key, or Shift+ and that) by action. */

/** What can be answered in some runs only. */
const NOT_ALWAYS = Object.freeze(["much_left", "much_right"]);
/** @type {readonly string[]} */
let choices = [];

/** Say which answers the run takes. @param {readonly string[]} some */
export function setChoices(some) {
  choices = some;
}

/** What an action is called, whether this run knows it or not. @param {string | null} action @returns {string | null} */
export function actionName(action) {
  return ACTIONS.find(({ id }) => id === action)?.name ?? null;
}

/** What can be done by key in this run. */
export function knownActions() {
  return ACTIONS.filter(({ id }) => choices.includes(id) || !NOT_ALWAYS.includes(id));
}

/** @returns {KeyMap} */
export function defaultKeys() {
  return Object.fromEntries(ACTIONS.map(({ id, keys }) => [id, [...keys]]));
}

/** @param {unknown} key @returns {boolean} */
export function isAllowed(key) {
  return typeof key === "string" && ALLOWED.has(key);
}

/**
 * What of a stored key map can be used; the rest is as by default.
 * @param {any} stored
 * @returns {KeyMap}
 */
export function checkedKeys(stored) {
  const keys = defaultKeys();
  if (stored === null || typeof stored !== "object") return keys;
  const given = ACTIONS.map(({ id }) => (Array.isArray(stored[id]) ? stored[id].filter(isAllowed) : null));
  const taken = new Set(given.flat());
  // What was stored before there was an action leaves it the keys that are free.
  const chosen = given.map((some, i) => some ?? freeKeys(ACTIONS[i].keys, taken));
  const unique = new Set(chosen.flat()).size === chosen.flat().length;
  const complete = chosen.every((some) => some.length > 0 && some.length <= 2);
  return unique && complete ? Object.fromEntries(ACTIONS.map(({ id }, i) => [id, [...chosen[i]]])) : keys;
}

/** @param {string[]} wanted @param {Set<string>} taken Grows by what is returned. @returns {string[]} */
function freeKeys(wanted, taken) {
  const free = wanted.filter((key) => !taken.has(key));
  const keys = free.length > 0 ? free : [[...ALLOWED].find((key) => !taken.has(key)) ?? "Home"];
  for (const key of keys) taken.add(key);
  return keys;
}

/**
 * Give a key to an action, alone; an action that loses its only key by it gets a free key of its defaults, or
 * the key that was given up.
 * @param {KeyMap} keys
 * @param {string} action
 * @param {string} key
 * @returns {{keys: KeyMap, loser: string | null}} The new map, and which action had the key before.
 */
export function withKey(keys, action, key) {
  const changed = Object.fromEntries(Object.entries(keys).map(([id, some]) => [id, some.filter((k) => k !== key)]));
  const loser = Object.keys(keys).find((id) => id !== action && keys[id].includes(key)) ?? null;
  changed[action] = [key];
  if (loser !== null && changed[loser].length === 0) {
    const taken = new Set(Object.values(changed).flat());
    const wanted = [...defaultKeys()[loser], ...keys[action], ...ALLOWED];
    changed[loser] = [wanted.find((candidate) => !taken.has(candidate)) ?? "Home"];
  }
  return { keys: changed, loser };
}

/** @param {string} key @returns {string} What is written on a key cap. */
export function keyLabel(key) {
  if (key.startsWith(SHIFT)) return `⇧ ${keyLabel(key.slice(SHIFT.length))}`;
  return LABELS.get(key) ?? key.toUpperCase();
}

/** @param {string[]} keys @returns {string} For the attribute aria-keyshortcuts. */
export function ariaKeys(keys) {
  return keys.map((key) => key.replace(/ $/, "Space")).join(" ");
}

/** @param {KeyboardEvent} event @returns {string} The key of an event as the map names it. */
export function keyOf(event) {
  if (event.key.length === 1 && event.key !== " ") return event.key.toLowerCase();
  return event.shiftKey ? SHIFT + event.key : event.key;
}

/**
 * Which action a key press asks for: none while somebody types, while a dialog is open, or with a modifier key,
 * except Ctrl-Z and ⌘-Z, which undo as everywhere.
 * @param {KeyboardEvent} event
 * @param {KeyMap} keys
 * @returns {string | null}
 */
export function actionOf(event, keys) {
  const target = /** @type {Element} */ (event.target);
  if (event.defaultPrevented || event.isComposing || target.closest?.(EDITABLE)) return null;
  if (document.querySelector("dialog[open]")) return null;
  const modified = (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
  const key = keyOf(event);
  if (modified) return key === "z" && !event.altKey && !event.shiftKey ? "undo" : null;
  if (event.shiftKey && /^[a-z]$/.test(key)) return null;
  // A button that was reached by Tab is pressed by these two, as everywhere.
  if ([" ", "Enter"].includes(event.key) && target.closest?.("button, a, summary")) return null;
  /** @param {string} pressed */
  const meant = (pressed) => knownActions().find(({ id }) => keys[id].includes(pressed))?.id;
  const plain = meant(event.key);
  // Shift changes nothing, but where it may say how much better: nobody says less there than they mean.
  const says = NOT_ALWAYS.includes(`much_${plain}`) && choices.includes(`much_${plain}`);
  return meant(key) ?? (says && key !== event.key ? null : plain) ?? null;
}
