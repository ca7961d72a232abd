// Which key does what. Only keys of a fixed list can be chosen, so that stored or typed settings stay harmless.

import { LEVELS, levelAction } from "./rating.js";

/** Clips that a ranking may have. */
const MOST_CLIPS = 6;
/**
 * @typedef {import("./asked.js").Asked} Asked
 * @typedef {{id: string, name: string, keys: string[], of?: Asked}} Action Where `of` is named, it can be done only
 *   where that is asked; so one key may do something in each of the three.
 */
/** What can be done by key, with the keys it has until somebody changes them. @type {readonly Action[]} */
const ACTIONS = Object.freeze([
  { id: "left", name: "Left is better", keys: ["ArrowLeft"], of: "pair" },
  { id: "right", name: "Right is better", keys: ["ArrowRight"], of: "pair" },
  { id: "much_left", name: "Left is much better", keys: ["Shift+ArrowLeft"], of: "pair" },
  { id: "much_right", name: "Right is much better", keys: ["Shift+ArrowRight"], of: "pair" },
  { id: "equal", name: "Equally good", keys: ["ArrowUp", "="], of: "pair" },
  ...Array.from({ length: MOST_CLIPS }, (_, i) => ranks(`clip_${i + 1}`, `Clip ${i + 1}`, String(i + 1))),
  ranks("tie", "Equal to the one before", "e"),
  ranks("unpick", "Take the last place back", "Backspace"),
  ranks("send", "Send the ranking", "Enter"),
  ...LEVELS.map(rates),
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

/** What can be answered in some runs of two clips only. */
const NOT_ALWAYS = Object.freeze(["much_left", "much_right"]);
/** @type {readonly string[]} */
let choices = [];
/** @type {Asked} */
let asked = "pair";

/** Say what the run asks, and which choices it takes. @param {readonly string[]} some @param {Asked} what */
export function setChoices(some, what) {
  choices = some;
  asked = what;
}

/** @param {string} id @param {string} name @param {string} key @returns {Action} */
function ranks(id, name, key) {
  return { id, name, keys: [key], of: "ranking" };
}

/** @param {number} level @returns {Action} */
function rates(level) {
  return { id: levelAction(level), name: `Level ${level}`, keys: [String(level)], of: "rating" };
}

/** The keys of all that can be done where an action can. @param {Action} action @param {KeyMap} keys @returns {Set<string>} */
function keysBeside({ id, of }, keys) {
  const beside = ACTIONS.filter((other) => other.id !== id && (of ?? other.of) === (other.of ?? of));
  return new Set(beside.flatMap((other) => keys[other.id] ?? []));
}

/** What an action is called, whether this run knows it or not. @param {string | null} action @returns {string | null} */
export function actionName(action) {
  return ACTIONS.find(({ id }) => id === action)?.name ?? null;
}

/** What can be done by key in this run. */
export function knownActions() {
  return ACTIONS.filter(({ id, of = asked }) => of === asked && (choices.includes(id) || !NOT_ALWAYS.includes(id)));
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
  /** @type {KeyMap} */
  const chosen = {};
  for (const { id } of ACTIONS) if (Array.isArray(stored[id])) chosen[id] = stored[id].filter(isAllowed);
  // What was stored before there was an action leaves it the keys that are free.
  for (const action of ACTIONS) chosen[action.id] ??= freeKeys(action.keys, keysBeside(action, chosen));
  const isFine = ACTIONS.every((action) => {
    const own = chosen[action.id];
    const beside = keysBeside(action, chosen);
    return own.length > 0 && own.length <= 2 && new Set(own).size === own.length && !own.some((key) => beside.has(key));
  });
  return isFine ? chosen : keys;
}

/** @param {readonly string[]} wanted @param {Set<string>} taken @returns {string[]} */
function freeKeys(wanted, taken) {
  const free = wanted.filter((key) => !taken.has(key));
  return free.length > 0 ? free : [[...ALLOWED].find((key) => !taken.has(key)) ?? "Home"];
}

/**
 * Give a key to an action, alone; an action that loses its only key by it gets a free key of its defaults, or
 * the key that was given up.
 * @param {KeyMap} keys
 * @param {string} action
 * @param {string} key
 * @returns {{keys: KeyMap, loser: string | null}} The new map, and which action of this run had the key before.
 */
export function withKey(keys, action, key) {
  const changed = { ...keys, [action]: [key] };
  const losers = ACTIONS.filter((other) => keys[other.id].includes(key) && keysBeside(other, changed).has(key));
  for (const { id } of losers) changed[id] = keys[id].filter((other) => other !== key);
  for (const loser of losers.filter(({ id }) => changed[id].length === 0)) {
    changed[loser.id] = freeKeys([...loser.keys, ...keys[action]], keysBeside(loser, changed)).slice(0, 1);
  }
  const known = knownActions();
  return { keys: changed, loser: losers.find((loser) => known.includes(loser))?.id ?? null };
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

/** Not while somebody types, or a dialog is open. @param {KeyboardEvent} event @returns {boolean} */
function isForPage(event) {
  const target = /** @type {Element} */ (event.target);
  if (event.defaultPrevented || event.isComposing || target.closest?.(EDITABLE)) return false;
  return document.querySelector("dialog[open]") === null;
}

/** @param {KeyboardEvent} event @returns {boolean} */
function isModified(event) {
  return (event.ctrlKey || event.metaKey || event.altKey) && !event.getModifierState("AltGraph");
}

/**
 * Whether somebody means something by a key that means nothing here: one that writes, or an arrow.
 * @param {KeyboardEvent} event Of which there is no action.
 */
export function isMistaken(event) {
  const writes = event.key.length === 1 && event.key !== " ";
  return isForPage(event) && !isModified(event) && !event.repeat && (writes || event.key.startsWith("Arrow"));
}

/** What answers here, in short, and the key that tells the rest. @param {KeyMap} keys @returns {string} "← → ↑ ↓ answer; H shows all keys" */
export function keysInShort(keys) {
  const answers = knownActions().filter(({ id, of }) => id === "cannot_tell" || (of !== undefined && !NOT_ALWAYS.includes(id)));
  return `${answers.map(({ id }) => keyLabel(keys[id][0])).join(" ")} answer; ${keyLabel(keys.help[0])} shows all keys`;
}

/**
 * Which action a key press asks for: none while somebody types, while a dialog is open, or with a modifier key,
 * except Ctrl-Z and ⌘-Z, which undo as everywhere.
 * @param {KeyboardEvent} event
 * @param {KeyMap} keys
 * @returns {string | null}
 */
export function actionOf(event, keys) {
  if (!isForPage(event)) return null;
  const target = /** @type {Element} */ (event.target);
  const modified = isModified(event);
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
  // Where digits need Shift, their keys are meant without it.
  const digit = /^Digit\d$/.test(event.code) && !event.shiftKey ? meant(event.code.slice(-1)) : undefined;
  return meant(key) ?? (says && key !== event.key ? null : plain) ?? digit ?? null;
}
