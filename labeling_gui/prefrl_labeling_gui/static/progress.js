// The strip below the clips: how far the answers are, and what the agent does now.

import { count, duration, element, number } from "./dom.js";

/**
 * @typedef {{state: string | null, alive: boolean, num_timesteps: number | null, labels: number | null,
 *            labels_due: number | null}} Trainer What the training does; what it has not said is null.
 */

/**
 * Show progress.
 * @param {HTMLElement} root
 * @param {any} progress As GET /api/progress.
 * @param {{comparisons: number, answers: number}} unsent What is given but not yet stored.
 */
export function showProgress(root, progress, unsent) {
  const total = progress.total + unsent.comparisons;
  const mine = progress.answered + unsent.answers;
  const { budget } = progress;
  const of = budget === null ? "" : ` of ${number(budget)}`;
  const facts = [element("span", {}, `${number(total)}${of} answered`)];
  if (mine !== total) facts.push(element("span", { class: "mine" }, `${number(mine)} by you`));
  if (progress.per_minute) facts.push(element("span", {}, `${number(Math.round(progress.per_minute))} a minute`));
  if (progress.seconds_left) facts.push(element("span", {}, `${duration(progress.seconds_left)} left`));
  const done = { max: budget ?? 1, value: Math.min(total, budget ?? 0) };
  const bar = element("progress", { ...done, "aria-label": "Answered" });
  const agent = agentState(progress.trainer);
  root.replaceChildren(
    bar,
    element("p", { class: "facts" }, ...facts),
    element(
      "p",
      { class: "agent", dataset: { mood: agent.mood } },
      element("span", { class: "dot", "aria-hidden": "true" }),
      agent.sentence,
    ),
  );
}

/**
 * What the agent does now, in one short sentence.
 * @param {Trainer} trainer
 * @returns {{mood: "works" | "waits" | "over" | "gone", sentence: string}}
 */
export function agentState({ state, alive, num_timesteps, labels, labels_due }) {
  if (state === null) return { mood: "gone", sentence: "Training has not begun" };
  const steps = count(num_timesteps ?? 0, "step");
  if (state === "finished") return { mood: "over", sentence: `The agent has finished, after ${steps}` };
  if (state === "stopped") return { mood: "gone", sentence: `Training was stopped after ${steps}` };
  if (!alive) return { mood: "gone", sentence: `Training is not running; it got to ${steps}` };
  if (state === "starting") return { mood: "works", sentence: "The agent is starting" };
  const missing = Math.round((labels_due ?? 0) - (labels ?? 0));
  if (state === "waiting") {
    const wanted = missing > 0 ? count(missing, "answer") : "your next answer";
    return { mood: "waits", sentence: `The agent waits for ${wanted}, after ${steps}` };
  }
  const lead = `${count(Math.abs(missing), "answer")} ${missing > 0 ? "ahead" : "behind"}`;
  return { mood: "works", sentence: `The agent trains: ${steps}${missing === 0 ? "" : `, ${lead}`}` };
}
