// The owner's buttons: pause the agent, have it go on, stop the training and keep what it has learned.

import { request } from "./api.js";
import { element } from "./dom.js";
import { addAct, openDialog } from "./help.js";
import { banner, sentenceOf } from "./shell.js";

/** @typedef {import("../../typescript/api").TrainerProgress} Trainer */

/**
 * Fill a place with the buttons, and keep them in step with what the training does.
 * @param {HTMLElement} root
 * @param {import("./live.js").Live} live
 * @param {() => string} resumeCommand How one goes on after a stop.
 */
export function addWishes(root, live, resumeCommand) {
  const pause = element("button", { type: "button", id: "pause", onclick: () => wish(isHeld() ? "go_on" : "pause") });
  const stop = element("button", { type: "button", id: "stop", onclick: askToStop }, "Stop and keep");
  const said = element("p", { class: "quiet", id: "wish", role: "status", tabIndex: -1 });
  root.append(pause, stop, said);

  const isHeld = () => live.progress?.trainer.wish === "pause";

  function show() {
    const trainer = live.progress?.trainer;
    if (trainer === undefined) return;
    const words = wishWords(trainer, live.connected, resumeCommand());
    if (said.textContent !== words) said.textContent = words; // what stays as it is, is not spoken again
    pause.textContent = isHeld() ? "Go on" : "Pause"; // one button, so that it keeps the focus
    for (const button of [pause, stop]) {
      button.hidden = !trainer.listens;
      button.disabled = !live.connected || trainer.wish === "stop";
    }
    root.hidden = !trainer.listens && words === "";
  }

  /** @param {"go_on" | "pause" | "stop"} what */
  async function wish(what) {
    banner("act", "");
    try {
      live.tell((await request("/api/agent", { body: { wish: what } })).progress);
    } catch (error) {
      banner("act", sentenceOf(error));
    }
  }

  function askToStop() {
    const act = async () => {
      dialog.close();
      await wish("stop");
      if (stop.disabled) said.focus(); // its button is of no use any more
    };
    const dialog = openDialog(
      "Stop the training, and keep it?",
      element("p", {}, "The agent stops soon, and all that it has learned is saved. Every answer is kept."),
      element("p", {}, "You can go on with it at any time, from where it stopped: ", element("code", {}, resumeCommand())),
      element("p", { class: "quiet" }, "Where the training has opened this page, the page ends with it."),
    );
    addAct(dialog, "Stop and keep", act);
  }

  live.addEventListener("connection", show);
  live.addEventListener("progress", show);
  show();
}

/**
 * What has been wished and is not so yet, or how one goes on; empty where there is nothing to say.
 * @param {Trainer} trainer
 * @param {boolean} connected
 * @param {string} command
 */
function wishWords({ state, alive, listens, wish }, connected, command) {
  const resume = `Go on with “${command}”.`;
  if (state === null || state === "finished") return "";
  if (!alive) return resume;
  if (wish === "stop" && !connected) return `It was told to save and stop. ${resume}`;
  if (!listens || !connected) return "";
  const after = state === "training" ? " after this rollout" : "";
  if (wish === "stop") return `Saving and stopping${after}…`;
  if (wish === "pause") return state === "paused" ? "" : `Pausing${after}…`;
  return state === "paused" ? "Going on…" : "";
}
