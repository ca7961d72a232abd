// What every page has: the header with its links, whether answers are saved, banners, and the stream of progress.

import { ApiError, request } from "./api.js";
import { askedOf } from "./asked.js";
import { byId, count, element } from "./dom.js";
import { setExamples, showHelp } from "./help.js";
import { keyLabel, setChoices } from "./keys.js";
import { Live } from "./live.js";
import { Outbox } from "./outbox.js";
import { settings } from "./settings.js";
import { showSettings } from "./settings_dialog.js";

const PAGES = [
  { path: "/", name: "Label" },
  { path: "/history", name: "History" },
  { path: "/training", name: "Training" },
  { path: "/people", name: "People", owner: true },
];
const KEYED = ["/", "/practice"];
const SAVE_STATES = { saved: "Saved", saving: "Saving…", waiting: "Waiting for network" };
const LATE_SECONDS = 10;
/** Makes a sentence another one without being heard or seen: a text that stays as it is, is not spoken again. */
const UNHEARD = "\u00a0";

/** @typedef {import("../../typescript/api").RunReply} Run */

/**
 * Build the header, and open outbox and stream; waits until the server can say which run this is.
 * @returns {Promise<{run: Run, outbox: Outbox, live: Live}>}
 */
export async function openPage() {
  const run = await knownRun();
  document.title = [document.title, run.task, "prefrl"].filter((part) => part !== null).join(" · ");
  setExamples(run.examples, run.practice.length > 0);
  setChoices(run.choices, askedOf(run));
  const outbox = new Outbox(`${run.run_id}/${run.labeler.name}`);
  const live = new Live();
  const save = element("span", { class: "save", id: "save" });
  byId("header").replaceChildren(
    element("a", { class: "brand", href: "/" }, "prefrl ", element("span", { class: "task" }, run.task ?? "")),
    navigation(run.labeler.role),
    element("span", { class: "space" }),
    save,
    element("span", { class: "who", title: "Your name here" }, run.labeler.name),
    helpButton(),
    element(
      "button",
      { type: "button", class: "round", id: "settings", "aria-label": "Settings", onclick: showSettings },
      gear(),
    ),
  );
  outbox.addEventListener("change", () => showSaveState(save, outbox));
  outbox.addEventListener("change", () => showBanners(outbox));
  outbox.addEventListener("stored", (event) => live.tell(/** @type {CustomEvent} */ (event).detail.progress));
  setInterval(() => showBanners(outbox), 1_000);
  showSaveState(save, outbox);
  await outbox.open();
  live.open();
  return { run, outbox, live };
}

/**
 * Show a banner, or take it away with an empty sentence.
 * @param {string} name A banner of the same name is replaced.
 * @param {string} sentence
 * @param {{label: string, action: () => void} | null} [button]
 */
export function banner(name, sentence, button = null) {
  const id = `banner-${name}`;
  const shown = document.getElementById(id);
  if (sentence === "") {
    shown?.remove();
    return;
  }
  if (shown?.firstChild?.textContent === sentence) return;
  const made = element("div", { class: "banner", id }, element("span", {}, sentence));
  if (button !== null) made.append(element("button", { type: "button", onclick: button.action }, button.label));
  if (shown === null) byId("banners").append(made);
  else shown.replaceWith(made);
}

let saying = 0;

/**
 * Say something to people who listen to the page: the last of what is said at once, and the same again once more.
 * @param {string} sentence
 */
export function announce(sentence) {
  const place = byId("announcement");
  clearTimeout(saying);
  saying = setTimeout(() => (place.textContent = place.textContent === sentence ? sentence + UNHEARD : sentence));
}

/** @returns {Promise<Run>} */
async function knownRun() {
  for (let pause = 500; ; pause = Math.min(2 * pause, 8_000)) {
    try {
      const run = await request("/api/run");
      banner("server", "");
      return run;
    } catch (error) {
      banner("server", sentenceOf(error));
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** @param {unknown} error @returns {string} */
export function sentenceOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {string} role */
function navigation(role) {
  const links = PAGES.filter((page) => !page.owner || role === "owner").map(({ path, name }) =>
    element("a", { href: path, "aria-current": path === location.pathname ? "page" : null }, name),
  );
  return element("nav", { "aria-label": "Pages" }, ...links);
}

/** @param {HTMLElement} save @param {Outbox} outbox */
function showSaveState(save, outbox) {
  const { state, pending } = outbox;
  const before = save.dataset.state;
  save.dataset.state = state;
  const text = state === "waiting" ? `${SAVE_STATES.waiting} (${pending.length})` : SAVE_STATES[state];
  save.replaceChildren(element("span", { class: "dot", "aria-hidden": "true" }), element("span", {}, text));
  if (state === "waiting" && before !== "waiting") announce("Waiting for network. Your answers are kept.");
  if (state === "saved" && before === "waiting") announce("All answers are saved.");
}

/** @param {Outbox} outbox */
function showBanners(outbox) {
  const { age, failure, pending, refused } = outbox;
  const tells = outbox.state === "waiting" && (age > LATE_SECONDS || failure?.status === 401);
  const { length } = pending;
  const answers = `${count(length, "answer")} ${length === 1 ? "is" : "are"}`;
  const kept = outbox.durable
    ? `${answers} kept in this browser, and sent as soon as possible. You can go on.`
    : `${answers} kept in this tab only: leave it open.`;
  const tryNow = { label: "Try now", action: () => outbox.sendNow() };
  banner("network", tells ? `${sentenceOf(failure)} ${kept}` : "", tryNow);
  banner(
    "refused",
    refused.length > 0 ? `${count(refused.length, "answer")} could not be stored: ${refused[0].refused}` : "",
    { label: "Understood", action: () => outbox.dismiss() },
  );
}

/** With its key, on the pages that listen to keys. */
function helpButton() {
  const key = element("kbd", { "aria-hidden": "true", hidden: !KEYED.includes(location.pathname) });
  const showKey = () => (key.textContent = keyLabel(settings.values.keys.help[0]));
  settings.addEventListener("change", showKey);
  showKey();
  return element("button", { type: "button", id: "help", onclick: showHelp }, "Help", key);
}

function gear() {
  return element("span", { class: "gear", "aria-hidden": "true" });
}
