// The strip below the clips: how far the answers are, and what the agent does now.

import { count, duration, element, number } from "./dom.js";

/**
 * @typedef {import("../../typescript/api").Progress} Progress
 * @typedef {import("../../typescript/api").TrainerProgress} Trainer What the training does; what it has not said is null.
 * @typedef {"works" | "waits" | "over" | "gone"} Mood
 */

const RATE_KNOWN_FROM = 10;

/**
 * Show how far whoever looks is, and on demand all else.
 * @param {HTMLElement} root
 * @param {Progress} progress
 * @param {{comparisons: number, answers: number}} unsent What is given but not yet stored.
 * @param {boolean} connected The server tells of changes.
 * @param {string} unit What is counted.
 */
export function showProgress(root, progress, unsent, connected, unit) {
  const [bar, facts, figures, line] = partsOf(root);
  const agent = agentState(progress.trainer, connected, unsent.comparisons);
  // The first few answers are slow, or have a pause among them: what they foretell only discourages.
  const known = progress.answered >= RATE_KNOWN_FROM;
  const pace = known && progress.per_minute ? `${number(Math.round(progress.per_minute))} a minute` : null;
  const left = known && progress.seconds_left ? duration(progress.seconds_left) : null;
  const all = share(progress.total + unsent.comparisons, progress.budget, "of", unit);
  const { quota } = progress;
  const own = quota === null ? null : share(Math.min(progress.counted + unsent.comparisons, quota), quota, "of your", unit);
  const shown = own ?? all;
  bar.max = shown.most ?? 1;
  bar.value = shown.most === null ? 0 : Math.min(shown.given, shown.most);
  facts.textContent = [shown.words, left === null ? null : `${left} left`].filter((part) => part !== null).join(" · ");
  const lines = [
    // The two differ: "can't tell" is an answer but no comparison, and others answer too.
    ["You gave", count(progress.answered + unsent.answers, "answer")],
    own === null ? null : ["Asked of you", own.words],
    ["All together", all.words],
    pace === null ? null : ["Your pace", pace],
    left === null ? null : ["Time left", left],
    ["The agent", [agent.sentence + agent.then, progress.trainer.note].filter(Boolean).join(". ")],
  ].filter((one) => one !== null);
  figures.replaceChildren(
    ...lines.map(([name, words]) => element("div", {}, element("dt", {}, name), " ", element("dd", {}, words))),
  );
  line.dataset.mood = agent.mood;
  line.replaceChildren(
    element("span", { class: "dot", "aria-hidden": "true" }),
    element("span", { class: "sentence" }, agent.sentence, element("span", { class: "then" }, agent.then)),
  );
}

/** What stays while the numbers change, so that what is open stays open. @param {HTMLElement} root @returns {any[]} */
function partsOf(root) {
  if (root.childElementCount === 0) {
    root.append(
      element("progress", { "aria-label": "Answered" }),
      element("button", { type: "button", class: "facts", popovertarget: "figures", title: "All figures" }),
      element("dl", { id: "figures", popover: "auto" }),
      element("p", { class: "agent" }),
    );
  }
  return [...root.children];
}

/** @param {number} given @param {number | null} most @param {string} of @param {string} unit */
function share(given, most, of, unit) {
  const words = most === null ? count(given, unit) : `${number(given)} ${of} ${count(most, unit)}`;
  return { given, most, words };
}

/**
 * What the agent does now, in one short sentence; and what comes then, which goes on with it where there is room.
 * @param {Trainer} trainer
 * @param {boolean} connected What the trainer said last is what it does now.
 * @param {number} [unsent] Answers it waits for that are given but not yet stored.
 * @returns {{mood: Mood, sentence: string, then: string}}
 */
export function agentState(trainer, connected, unsent = 0) {
  const waits_for = trainer.waits_for == null ? null : trainer.waits_for - unsent;
  const told = toldState({ ...trainer, waits_for });
  const starts = trainer.state === "waiting" && trainer.alive && trainer.refits === 0 && waits_for !== null;
  if (connected) return { ...told, then: starts ? ", while you go on answering" : "" };
  return { mood: "gone", sentence: `Last seen: ${told.sentence[0].toLowerCase()}${told.sentence.slice(1)}`, then: "" };
}

/** @param {Trainer} trainer @returns {{mood: Mood, sentence: string}} */
function toldState({ state, alive, num_timesteps, labels, labels_due, refits, waits_for, policies }) {
  if (state === null) return { mood: "gone", sentence: "Training has not begun" };
  const steps = count(num_timesteps ?? 0, "step");
  if (state === "finished") return { mood: "over", sentence: `The agent has finished, after ${steps}` };
  if (state === "stopped") return { mood: "gone", sentence: `Training was stopped after ${steps}` };
  if (!alive) return { mood: "gone", sentence: `Training is not running; it got to ${steps}` };
  if (state === "starting") return { mood: "works", sentence: "The agent is starting" };
  if (state === "waiting") return { mood: "waits", sentence: waitingFor(waits_for ?? null, refits === 0, steps) };
  if (state === "paused") return { mood: "waits", sentence: `The agent is paused, after ${steps}` };
  const missing = Math.round((labels_due ?? 0) - (labels ?? 0));
  const lead = `${count(Math.abs(missing), "answer")} ${missing > 0 ? "ahead" : "behind"}`;
  // After a fresh start the clips look like those of a beginner again.
  const which = (policies ?? 1) > 1 ? `, policy ${policies}` : "";
  return { mood: "works", sentence: `The agent trains: ${steps}${which}${missing === 0 ? "" : `, ${lead}`}` };
}

/**
 * @param {number | null} n Answers that are missing; null where the trainer does not say.
 * @param {boolean} first It has learned from none yet.
 * @param {string} steps How far it is.
 */
function waitingFor(n, first, steps) {
  if (n === null) return "The agent waits for answers";
  if (n <= 0) return first ? "The agent starts to train in a moment" : "The agent goes on in a moment";
  if (first) return `The agent starts to train after ${number(n)} more ${n === 1 ? "answer" : "answers"}`;
  return `The agent waits for ${count(n, "answer")}, after ${steps}`;
}
