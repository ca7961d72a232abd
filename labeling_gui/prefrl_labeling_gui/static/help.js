// What a person must know to label, on one short page over the clips.

import { element, lessMotion } from "./dom.js";
import { keyLabel, knownActions } from "./keys.js";
import { LEVELS, levelAction } from "./rating.js";
import { settings } from "./settings.js";

/** @typedef {[string | string[], string][]} Lines Actions, by one key or several, and what they do. */

/** @type {Lines} */
const ANSWERS = [
  [[levelAction(LEVELS[0]), levelAction(LEVELS.length)], "how good it is, from the worst to the best"],
  [["clip_1", "clip_2"], "and so on: the next place, the best first; again takes it back"],
  ["tie", "the next clip is equal to the one before"],
  ["send", "send the ranking, once all have their place"],
  ["unpick", "take the last place back"],
  ["left", "left (or upper) is better"],
  ["right", "right (or lower) is better"],
  ["much_left", "left (or upper) is much better"],
  ["much_right", "right (or lower) is much better"],
  ["equal", "equally good"],
  ["cannot_tell", "can’t tell: costs nothing, teaches nothing"],
  ["undo", "undo, as often as you like"],
];
/** @type {Lines} */
const PLAYING = [
  ["replay", "play again"],
  ["pause", "pause"],
  ["step", "one frame on"],
  ["slower", "slower"],
  ["faster", "faster"],
  ["remark", "a remark"],
  ["help", "this help"],
];

const PRACTICE = "/practice";
const WORDS = { good: "Good", bad: "Bad", tricky: "Tricky" };
/** @type {import("../../typescript/api").ExampleEntry[]} */
let examples = [];
let canPractise = false;

/**
 * Say which examples the help shows, and whether there is something to practise on.
 * @param {typeof examples} some
 * @param {boolean} practises
 */
export function setExamples(some, practises) {
  examples = some;
  canPractise = practises;
}

/** Short clips of what is asked for, and of what is not, which play over and over. */
function exampleRow() {
  const figures = examples.map(({ name, sentence, clip }) => {
    const playing = lessMotion() ? { controls: true } : { autoplay: true };
    const video = element("video", { src: clip, muted: true, loop: true, playsInline: true, ...playing });
    video.setAttribute("aria-label", `${WORDS[name]} example`);
    const words = element("figcaption", {}, element("strong", {}, WORDS[name]), sentence === "" ? "" : `: ${sentence}`);
    return element("figure", {}, video, words);
  });
  return element("div", { class: "examples" }, ...figures);
}

/** An offer to try the keys first. */
function practice() {
  const button = element("button", { type: "button", onclick: () => location.assign(PRACTICE) }, "Practise");
  return element("p", { class: "practise" }, button, element("span", {}, "Five questions that count for nothing."));
}

/** Show the help, and note that it was seen. @param {{practising?: boolean}} where */
export function showHelp({ practising = false } = {}) {
  const question = document.getElementById("question")?.textContent;
  const dialog = openDialog(
    question || "Some clips, one question",
    element(
      "div",
      { class: "help" },
      element(
        "div",
        {},
        element("p", {}, whatToDo(), practising ? " Here nothing is learned from it." : " The agent learns while you answer."),
        examples.length > 0 ? exampleRow() : null,
        canPractise && !practising ? practice() : null,
      ),
      element(
        "div",
        {},
        keyList("keys", practising ? ANSWERS.filter(([actions]) => actions !== "undo") : ANSWERS),
        isKnown("left") ? element("p", { class: "mouse" }, "Or click the better clip.") : null,
        keyList("keys several", practising ? PLAYING.filter(([actions]) => actions !== "remark") : PLAYING),
        element("p", { class: "touch" }, byTouch()),
        element(
          "p",
          { class: "quiet" },
          practising ? "The gear changes keys." : "No answer is lost. The gear changes keys, History changes answers.",
        ),
      ),
    ),
  );
  const key = element("kbd", { "aria-hidden": "true" }, keyLabel("Enter"));
  closeOf(dialog).replaceChildren(settings.values.helpSeen ? "Go on " : "Start ", key);
  settings.set({ helpSeen: true });
}

/** @returns {string} */
function whatToDo() {
  if (isKnown("send")) return "Rank these clips of an agent that learns, the best first. A quick look is enough.";
  if (isKnown(levelAction(1))) {
    return "Say how close this clip of an agent comes: 1 is the worst you expect of it, 5 the best. A quick look is enough.";
  }
  return "Say which of two clips comes closer. A quick look is enough.";
}

/** @returns {string} How to answer where there are no keys. */
function byTouch() {
  const last = "“Can’t tell” costs nothing and teaches nothing; undo as often as you like.";
  if (isKnown("send")) {
    return `Tap the clips, the best first; a second tap takes a place back. Drag one onto another to exchange them, then press “Send ranking”. ${last}`;
  }
  if (isKnown(levelAction(1))) return `Tap how good the clip is. ${last}`;
  const much = isKnown("much_left") ? " (farther: much better)" : "";
  return `Press a button, or swipe over the clips: towards the better one${much}, or across for “equal” and “can’t tell”. ${last}`;
}

/** @param {string} action @returns {boolean} It can be done in this run. */
function isKnown(action) {
  return knownActions().some(({ id }) => id === action);
}

/** @param {string} kind @param {Lines} lines */
function keyList(kind, lines) {
  const { keys } = settings.values;
  const all = lines.map(([actions, text]) => ({ actions: [actions].flat(), text }));
  const rows = all.filter(({ actions }) => actions.every(isKnown)).map(({ actions, text }) =>
    element(
      "div",
      {},
      element("dt", {}, ...actions.flatMap((action) => keys[action]).map((key) => element("kbd", {}, keyLabel(key)))),
      element("dd", {}, text),
    ),
  );
  return element("dl", { class: kind }, ...rows);
}

/**
 * Open a dialog over the page; Escape and its button close it.
 * @param {string} title
 * @param {...Node} content
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, ...content) {
  const close = element("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close");
  const dialog = element(
    "dialog",
    { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
    element("h2", { id: "dialog-title" }, title),
    ...content,
    element("p", { class: "buttons" }, close),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  document.body.append(dialog);
  dialog.showModal();
  close.focus({ preventScroll: true });
  dialog.scrollTop = 0;
  document.dispatchEvent(new Event("dialog"));
  dialog.addEventListener("close", () => document.dispatchEvent(new Event("dialog")));
  return dialog;
}

/**
 * Give an open dialog a button that does something, beside the one that closes it, which then says "Cancel".
 * @param {HTMLDialogElement} dialog
 * @param {string} words
 * @param {() => void} act
 */
export function addAct(dialog, words, act) {
  const close = closeOf(dialog);
  close.className = "";
  close.textContent = "Cancel";
  close.after(" ", element("button", { type: "button", class: "main", onclick: act }, words));
}

/** The button that closes a dialog. @param {HTMLDialogElement} dialog */
function closeOf(dialog) {
  return /** @type {HTMLButtonElement} */ (dialog.querySelector(".buttons:last-child button"));
}
