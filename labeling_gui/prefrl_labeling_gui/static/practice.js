// The page on which somebody practises: the desk of the page that asks, and clips whose order is known. Nothing said
// here leaves the page: it knows neither what is really asked nor the outbox.

import { Desk } from "./desk.js";
import { byId, element } from "./dom.js";
import { showHelp } from "./help.js";
import { questionsOf, verdictOn } from "./practice_questions.js";
import { inShort, inWords } from "./said.js";
import { settings } from "./settings.js";
import { announce, openPage } from "./shell.js";

const VERDICTS = {
  true: "Most would say the same.",
  false: "Most would say something else.",
  null: "You may always say “can’t tell”.",
};

const { run } = await openPage();
/** @typedef {import("./said.js").Said} Said */
const desk = new Desk(run, { isAsked, answer, actions: { undo, help: () => showHelp({ practising: true }) } });
const questions = questionsOf(run.practice, desk.asked);
/** @type {(Said | null)[]} What was said of each question; null of the one that is asked. */
const said = [null];
const told = byId("told");
const verdict = element("div");
const next = element("button", { type: "button", class: "main", onclick: goOn });
const nextWord = element("span");
next.append(nextWord, " ", element("kbd", { "aria-hidden": "true" }, "Enter"));
told.append(verdict, next); // once: what is moved loses the focus
const at = element("p");
const escape = element("kbd", { "aria-hidden": "true" }, "Esc");
byId("practice").append(at, element("a", { class: "leave", href: "/" }, "Stop practising", escape));

function isAsked() {
  return said.at(-1) === null && questions.length > 0;
}

/** @param {Said} given */
function answer(given) {
  said[said.length - 1] = given;
  desk.pressed(given);
  show();
  const { agrees, why } = verdictOn(questions[said.length - 1], given);
  announce(`${inWords(given)}. ${VERDICTS[`${agrees}`]} ${why} Enter goes on.`);
}

/** Ask the same once more. */
function undo() {
  if (isAsked()) return;
  said[said.length - 1] = null;
  desk.press("undo");
  ask();
}

/** Ask what comes next, or leave after the last. */
function goOn() {
  if (said.length === questions.length) location.assign("/");
  else {
    said.push(null);
    ask();
  }
}

function ask() {
  const { query } = questions[said.length - 1];
  if (desk.stage.query === query) desk.ranking.begin(query.clips.length);
  else desk.show(query);
  const following = questions[said.length];
  if (following !== undefined) desk.stage.prepare(following.query);
  show();
}

/** Show what was said of the clips that are seen, and what most would say. */
function show() {
  const given = said.at(-1) ?? null;
  byId("label").dataset.told = String(given !== null);
  at.textContent = `Practice ${said.length} of ${questions.length}: nothing of it counts.`;
  desk.showControls({ answerable: given === null, playable: true, undoes: given === null ? null : inShort(given) });
  told.hidden = given === null;
  if (given === null) return;
  const { agrees, why } = verdictOn(questions[said.length - 1], given);
  told.dataset.agrees = String(agrees);
  nextWord.textContent = said.length === questions.length ? "Begin" : "Next";
  const words = [element("strong", {}, VERDICTS[`${agrees}`]), " ", why];
  if (said.length === questions.length) words.push(element("p", { class: "quiet" }, score()));
  verdict.replaceChildren(...words);
}

function score() {
  const agreed = said.filter((given, i) => given !== null && verdictOn(questions[i], given).agrees === true).length;
  return `In ${agreed} of ${questions.length} you said what most would say.`;
}

// Enter goes on, and not the button's focus, by which Space would go on, too, in place of playing the clips again. It
// comes before the keys of the desk, where Enter sends a ranking.
document.addEventListener("keydown", onKey, { capture: true });

/** @param {KeyboardEvent} event */
function onKey(event) {
  const { key, target, repeat } = event;
  if (document.querySelector("dialog[open]") !== null) return;
  if (key === "Escape" && !repeat) location.assign("/");
  if (key !== "Enter" || isAsked() || target !== document.body) return;
  event.stopPropagation();
  if (!repeat) goOn(); // one that is held has sent the ranking
}
settings.addEventListener("change", () => {
  desk.applySettings();
  show();
});
desk.addEventListener("change", show);
desk.applySettings();
if (questions.length > 0) ask();
else location.replace("/"); // somebody came by an old link
