// What stands in the place of the clips when there is nothing to answer: why, and what the agent does meanwhile.

import { request } from "./api.js";
import { count, element, lessMotion } from "./dom.js";
import { Player } from "./player.js";

const LOOK_EVERY = 15_000;
let shownClip = "";
let lastLook = 0;

/**
 * @typedef {{title: string, lines: string[], clip: boolean, links: boolean}} Message
 * @param {HTMLElement} root
 * @param {{shown: boolean, reason: string | null, trainer: any, answered: number}} state
 */
export function showRest(root, { shown, reason, trainer, answered }) {
  root.hidden = !shown;
  if (!shown) {
    forget(root);
    return;
  }
  const message = messageFor(reason, trainer, answered);
  const said = [message.title, ...message.lines].join("\n");
  if (root.dataset.said !== said) {
    forget(root);
    root.dataset.said = said;
    root.append(
      element("div", { class: "now" }, element("div", { class: "hopper", "aria-hidden": "true" })),
      element(
        "div",
        { class: "words" },
        element("h2", {}, message.title),
        ...message.lines.map((line) => element("p", {}, line)),
        message.links ? links() : null,
      ),
    );
  }
  if (message.clip && Date.now() - lastLook > LOOK_EVERY) showNewestClip(root);
}

/** @param {string | null} reason @param {import("../../typescript/api").TrainerProgress | null} trainer @param {number} answered @returns {Message} */
function messageFor(reason, trainer, answered) {
  if (reason === "failure") {
    const line = "The next clips come by themselves as soon as there is a connection again.";
    return { title: "Waiting for the server", lines: [line], clip: false, links: false };
  }
  if (reason === "finished" || trainer?.state === "finished") {
    const thanks = answered > 0 ? `You gave ${count(answered, "answer")}.` : "";
    const line = `${thanks} The agent has finished its training; this is what it does now.`.trim();
    return { title: "Thank you!", lines: [line], clip: true, links: true };
  }
  if (reason === "budget_used") {
    const line = "Thank you! The agent goes on alone with what it learned from them. This is what it does now.";
    return { title: "Every question is answered", lines: [line], clip: true, links: true };
  }
  if (reason === "quota_given") {
    const line =
      "Thank you! You gave as many answers as you were asked for, and others go on. With Undo you can change your last answer. This is what the agent does now.";
    return { title: "Your share is done", lines: [line], clip: true, links: true };
  }
  const begun = trainer !== null && trainer.state !== null;
  if (begun && (trainer.state === "stopped" || !trainer.alive)) {
    const line =
      "All answers are kept. Whoever started this run can go on with “prefrl resume”; clips then come by themselves.";
    return { title: "Training is not running", lines: [line], clip: true, links: true };
  }
  if (trainer?.state === "paused") {
    const line = "Whoever started this run has paused it, and the next clips come once it goes on. This is what it does now.";
    return { title: "The agent is paused", lines: [line], clip: true, links: true };
  }
  if (answered === 0) {
    const line = "It tries out its first movements. The first clips come by themselves, in a few seconds.";
    return { title: "The agent is warming up", lines: [line], clip: false, links: false };
  }
  const line =
    "The agent tries out what it has learned from you. The next clips come by themselves. This is what it does now.";
  return { title: "You are quicker than the agent", lines: [line], clip: true, links: false };
}

/** @param {HTMLElement} root */
async function showNewestClip(root) {
  lastLook = Date.now();
  let showcase;
  try {
    ({ showcase } = await request("/api/training"));
  } catch {
    return; // the clip is an extra; that the server is away is said elsewhere
  }
  const newest = showcase.at(-1);
  const place = root.querySelector(".now");
  if (newest === undefined || place === null || newest.clip === shownClip) return;
  shownClip = newest.clip;
  const video = element("video", { "aria-label": "What the agent does now" });
  const player = new Player([video]);
  try {
    await player.load([newest.clip]);
  } catch {
    return;
  }
  place.replaceChildren(video);
  if (lessMotion()) video.controls = true;
  else player.play();
}

function links() {
  return element(
    "p",
    { class: "links" },
    element("a", { href: "/training" }, "Watch how it learned"),
    element("a", { href: "/history" }, "Look at your answers"),
  );
}

/** @param {HTMLElement} root */
function forget(root) {
  if (root.childElementCount === 0) return;
  root.replaceChildren();
  delete root.dataset.said;
  shownClip = "";
  lastLook = 0;
}
