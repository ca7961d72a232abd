// The strip below the clips: how far the answers are, and what the agent does now.

import { count, duration, element, number } from "./dom.js";

/**
 * @typedef {import("../../typescript/api").TrainerProgress} Trainer What the training does; what it has not said is null.
 * @typedef {"works" | "waits" | "over" | "gone"} Mood
 */

const RATE_KNOWN_FROM = 10;

/**
 * Show progress.
 * @param {HTMLElement} root
 * @param {import("../../typescript/api").Progress} progress
 * @param {{comparisons: number, answers: number}} unsent What is given but not yet stored.
 * @param {boolean} connected The server tells of changes.
 * @param {string} unit What is counted.
 */
export function showProgress(root, progress, unsent, connected, unit) {
  const total = progress.total + unsent.comparisons;
  const mine = progress.answered + unsent.answers;
  const { budget } = progress;
  const done = budget === null ? count(total, unit) : `${number(total)} of ${number(budget)} ${unit}s`;
  const facts = [element("span", {}, done)];
  // The two differ: "can't tell" is an answer but no comparison, and others answer too.
  if (mine !== total) facts.push(element("span", { class: "mine" }, `you gave ${count(mine, "answer")}`));
  if (progress.quota !== null) {
    const given = Math.min(progress.counted + unsent.comparisons, progress.quota);
    facts.push(element("span", { class: "quota" }, `${number(given)} of the ${number(progress.quota)} asked of you`));
  }
  if (progress.per_minute) {
    facts.push(element("span", { class: "pace" }, `${number(Math.round(progress.per_minute))} a minute`));
  }
  // The first few answers are slow, or have a pause among them: what they foretell only discourages.
  if (progress.seconds_left && progress.answered >= RATE_KNOWN_FROM) {
    facts.push(element("span", {}, `${duration(progress.seconds_left)} left`));
  }
  const part = { max: budget ?? 1, value: Math.min(total, budget ?? 0) };
  const bar = element("progress", { ...part, "aria-label": "Answered" });
  const agent = agentState(progress.trainer, connected, unsent.comparisons);
  root.replaceChildren(
    bar,
    element("p", { class: "facts" }, ...facts),
    element(
      "p",
      { class: "agent", dataset: { mood: agent.mood }, title: [agent.sentence + agent.then, progress.trainer.note].filter(Boolean).join(". ") },
      element("span", { class: "dot", "aria-hidden": "true" }),
      element("span", { class: "sentence" }, agent.sentence, element("span", { class: "then" }, agent.then)),
    ),
  );
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
