// How the training goes: curves, the agent's newest clip, and clips from the start until now.

import { request } from "./api.js";
import { drawChart } from "./chart.js";
import { byId, element, lessMotion, number } from "./dom.js";
import { Player } from "./player.js";
import { agentState } from "./progress.js";
import { banner, openPage, sentenceOf } from "./shell.js";
import { addWishes } from "./wishes.js";

const LOOK_EVERY = 5_000;
const percent = (share) => `${Math.round(100 * share)} %`;
const SHARE = { format: percent, ticks: [0, 0.5, 1] };
/** @type {Record<string, Partial<import("./chart.js").Curve>>} */
const KNOWN = {
  predicted_return: {
    title: "Predicted return",
    says: "What an episode earns by the reward that was learned from the answers. This is what the agent tries to raise.",
  },
  true_return: {
    title: "True return",
    says: "What an episode would earn by the task’s own reward, which the agent never sees.",
  },
  accuracy: {
    title: "Held-out accuracy",
    says: "How often the learned reward agrees with answers that it was not fitted to. 50 % is guessing.",
    ...SHARE,
  },
  fresh_accuracy: {
    title: "Accuracy on new answers",
    says: "How often it agreed with the newest answers before it had seen them.",
    average: 5,
    ...SHARE,
  },
  labels: { title: "Answers learned from", says: "Answers that the reward is fitted to so far." },
};
const ORDER = Object.keys(KNOWN); // what the task itself measures comes after the true return

const { live, run } = await openPage();
const video = element("video", { "aria-label": "A clip of the agent" });
const player = new Player([video]);
const caption = element("p", { class: "caption" });
const startVideo = element("video", { "aria-label": "The agent at the start" });
const startPlayer = new Player([startVideo]);
const start = element("figure", { id: "start", hidden: true }, startVideo, element("figcaption", {}, "At the start"));
const watch = element("button", { type: "button", onclick: watchItLearn, hidden: true }, "Watch it learn");
/** @type {import("../../typescript/api").ShowcaseEntry[]} */
let showcase = [];
let chosen = "";
let follows = true;
let tour = 0;
let looks = 0;
let resumeCommand = "prefrl resume RUN";

byId("showcase").append(
  element(
    "div",
    { class: "row" },
    element("h2", { id: "showcase-title" }, "The agent now"),
    element("span", { class: "space" }),
    watch,
  ),
  element("div", { class: "screen" }, video),
  caption,
  start,
);
byId("curves").append(element("p", { class: "quiet" }, "Loading…"));

async function look() {
  looks = Date.now();
  let training;
  try {
    training = await request("/api/training");
    banner("training", "");
  } catch (error) {
    banner("training", sentenceOf(error));
    return;
  }
  if (training.resume_command !== null) resumeCommand = training.resume_command;
  showCurves(training.curves);
  if (training.showcase.length !== showcase.length || training.showcase.at(-1)?.clip !== showcase.at(-1)?.clip) {
    showcase = training.showcase;
    showStrip();
    showStart();
  }
  const newest = showcase.at(-1);
  if (newest === undefined) caption.textContent = "Nothing to see yet: the first clip comes with the first steps.";
  else if (follows && newest.clip !== chosen) showClip(newest, false);
}

/** @param {Record<string, any[]>} curves */
function showCurves({ num_timesteps: steps = [], ...measures }) {
  const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.indexOf("true_return") + 0.5);
  const known = Object.entries(measures)
    .filter(([, values]) => values.some((value) => value !== null))
    .sort(([a], [b]) => rank(a) - rank(b));
  const root = byId("curves");
  const names = known.map(([name]) => name).join(" ");
  if (root.dataset.names !== names) {
    root.dataset.names = names;
    root.replaceChildren(...known.map(([name]) => element("div", { class: "card chart", dataset: { curve: name } })));
  }
  if (known.length === 0) {
    const words = [element("h2", {}, "No curves yet"), element("p", {}, "They begin with the agent’s first steps.")];
    root.replaceChildren(element("div", { class: "card empty" }, ...words));
    return;
  }
  known.forEach(([name, values], i) => {
    const title = name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
    const says = "What the task itself counts in an episode.";
    drawChart(/** @type {HTMLElement} */ (root.children[i]), { title, says, steps, values, ...KNOWN[name] });
  });
}

function showStrip() {
  byId("strip").hidden = showcase.length < 2;
  watch.hidden = showcase.length < 2;
  const thumbs = showcase.map((entry) =>
    element(
      "li",
      {},
      element(
        "button",
        { type: "button", "aria-pressed": "false", dataset: { clip: entry.clip }, onclick: () => choose(entry) },
        element("img", { src: entry.poster, alt: "", loading: "lazy", width: 112, height: 112 }),
        element("span", {}, `${number(entry.num_timesteps)} steps`),
      ),
    ),
  );
  const list = element("ol", { tabIndex: 0, "aria-label": "Clips by steps of training" }, ...thumbs);
  byId("strip").replaceChildren(element("h2", { id: "strip-title" }, "From the start until now"), list);
  mark();
}

/** The first clip beside the newest, so that one sees what was learned. */
async function showStart() {
  const [first] = showcase;
  if (showcase.length < 2 || !start.hidden) return;
  start.hidden = false;
  startVideo.poster = first.poster;
  try {
    await startPlayer.load([first.clip]);
    if (!lessMotion()) startPlayer.play();
  } catch {
    start.hidden = true; // it is an extra; what cannot be drawn is said where it is asked for
  }
}

/** @param {import("../../typescript/api").ShowcaseEntry} entry */
function choose(entry) {
  tour += 1;
  follows = entry === showcase.at(-1);
  player.looping = true;
  showClip(entry, true);
}

/** @param {import("../../typescript/api").ShowcaseEntry} entry @param {boolean} asked Somebody asked for it. @returns {Promise<boolean>} It can be seen. */
async function showClip(entry, asked) {
  chosen = entry.clip;
  mark();
  byId("showcase-title").textContent = entry === showcase.at(-1) ? "The agent now" : "The agent then";
  caption.textContent = `After ${number(entry.num_timesteps)} steps`;
  video.poster = entry.poster;
  video.controls = lessMotion();
  try {
    await player.load([entry.clip]);
  } catch {
    if (chosen === entry.clip) caption.textContent = "This clip cannot be shown.";
    return false;
  }
  if (chosen !== entry.clip) return false;
  if (asked || !lessMotion()) player.play();
  return true;
}

/** Play all clips of the strip in their order, each once, and rest on the newest. */
async function watchItLearn() {
  const mine = (tour += 1);
  follows = false;
  for (const entry of showcase) {
    if (mine !== tour) return;
    player.looping = false;
    const isOver = new Promise((resolve) => player.addEventListener("looped", resolve, { once: true }));
    if (await showClip(entry, true)) await isOver;
  }
  if (mine !== tour) return;
  follows = true;
  player.looping = true;
  player.play();
}

function mark() {
  for (const button of byId("strip").querySelectorAll("button")) {
    const on = button.dataset.clip === chosen;
    button.setAttribute("aria-pressed", String(on));
    const list = button.closest("ol");
    const place = button.parentElement.offsetLeft - list.clientWidth / 2;
    if (on) list.scrollTo({ left: place, behavior: lessMotion() ? "auto" : "smooth" });
  }
}

function showAgent() {
  if (live.progress === null) return;
  byId("agent").textContent = agentState(live.progress.trainer, live.connected).sentence;
  byId("note").textContent = live.progress.trainer.note ?? "";
}

live.addEventListener("connection", showAgent);
live.addEventListener("progress", () => {
  showAgent();
  if (Date.now() - looks > LOOK_EVERY) look();
});
addEventListener("resize", look);
await look();
if (run.labeler.role === "owner") addWishes(byId("wishes"), live, () => resumeCommand);
