// Past answers as small looping pairs, each of which can be changed or taken back.

import { request } from "./api.js";
import { ago, byId, count, element, lessMotion } from "./dom.js";
import { layout } from "./layout.js";
import { newId } from "./outbox.js";
import { Player } from "./player.js";
import { drawPredictions } from "./predictions.js";
import { NONE, REASONS } from "./remark.js";
import { announce, banner, openPage, sentenceOf } from "./shell.js";

/** @typedef {import("./outbox.js").Choice} Choice */

const AT_ONCE = 24;

const { run, outbox } = await openPage();
const cards = new Map();
const looking = new IntersectionObserver(
  (entries) => entries.forEach(({ target, isIntersecting }) => cards.get(target)?.see(isIntersecting)),
  { rootMargin: "80px" },
);
let before = null;
let asked = 0;

/** @returns {string} Whose answers are shown. */
function labeler() {
  return byId("labeler").value || run.labeler.name;
}

async function showOlder() {
  const query = new URLSearchParams({ limit: String(AT_ONCE) });
  if (before !== null) query.set("before", String(before));
  if (labeler() !== run.labeler.name) query.set("labeler", labeler());
  asked += 1;
  const mine = asked;
  try {
    const { items, next_before } = await request(`/api/history?${query}`);
    if (mine !== asked) return; // somebody else's answers, or a second click, have been asked for meanwhile
    for (const item of items) show(item);
    before = next_before;
    banner("history", "");
  } catch (error) {
    if (mine === asked) banner("history", sentenceOf(error), { label: "Try again", action: showOlder });
    return;
  }
  byId("more").hidden = before === null;
  byId("summary").textContent =
    cards.size === 0 ? "" : `${before === null ? "" : "The newest "}${count(cards.size, "answer")}`;
  if (cards.size === 0) showNothing();
}

async function showAnew() {
  looking.disconnect();
  for (const card of cards.values()) card.see(false);
  cards.clear();
  byId("answers").replaceChildren();
  before = null;
  await showOlder();
}

function showNothing() {
  const own = labeler() === run.labeler.name;
  byId("answers").replaceChildren(
    element(
      "li",
      { class: "empty card" },
      element("h2", {}, "No answers yet"),
      own ? element("p", {}, element("a", { href: "/" }, "Give the first one")) : null,
    ),
  );
}

/** @param {import("../../typescript/api").HistoryEntry} item */
function show(item) {
  const sides = ["left", "right"].map((name) => thumbnail(name, item[name]));
  const [left, right] = sides;
  const root = element("li", { class: "answer card" });
  const player = new Player(sides.map(({ video }) => video));
  const clips = [item.left.clip, item.right.clip];
  let loaded = false;
  let drawn = false;

  /** @param {boolean} seen Play while it is in sight; hold no clip while it is not. */
  const see = async (seen) => {
    if (seen && !loaded) {
      loaded = true;
      player.load(clips).then(() => loaded && !lessMotion() && player.play(), () => undefined);
      if (run.show_predictions && !drawn) drawn = await drawPredictions(item.query_id, left, right, verdict);
    } else if (!seen && loaded) {
      loaded = false;
      player.unload();
    }
  };
  if (lessMotion()) {
    root.addEventListener("pointerenter", () => player.replay());
    root.addEventListener("pointerleave", () => player.stop());
  }
  const when = element("p", { class: "quiet when" }, ago(item.server_time), item.changed ? " · changed" : "");
  const verdict = element("p", { class: "verdict quiet" });
  root.append(
    element("div", { class: "pair" }, left.root, right.root),
    verdict,
    ...remarkOn(item),
    when,
  );
  if (labeler() === run.labeler.name) root.append(...choices(item, root, when));
  else root.append(element("p", {}, word(item.choice)));
  root.dataset.choice = item.choice;
  byId("answers").append(root);
  cards.set(root, { see });
  looking.observe(root);
}

/** @param {import("../../typescript/api").HistoryEntry} item */
function remarkOn({ remark, comment }) {
  const said = [remark === null ? null : REASONS[remark], comment].filter((text) => text !== null);
  return said.length === 0 ? [] : [element("p", { class: "remark" }, said.join(": "))];
}

/** What a choice is called, as on the page that asks. @param {string} choice @returns {string} */
function word(choice) {
  const short = layout.short[choice];
  return short[0].toUpperCase() + short.slice(1);
}

/** @param {string} name @param {import("../../typescript/api").ClipReply} clip */
function thumbnail(name, clip) {
  const video = element("video", { poster: clip.poster, preload: "none", muted: true, "aria-label": `${name} clip` });
  return { video, root: element("div", {}, element("div", { class: `thumb ${name}` }, video)) };
}

/**
 * The buttons by which an answer is changed or taken back.
 * @param {import("../../typescript/api").HistoryEntry} item
 * @param {HTMLElement} root
 * @param {HTMLElement} when Where it is said when the answer was given.
 * @returns {HTMLElement[]}
 */
function choices(item, root, when) {
  let current = item.answer_id;
  /** @type {Choice | null} */
  let said = item.choice;
  const buttons = item.choices.map((choice) =>
    element(
      "button",
      {
        type: "button",
        dataset: { choice },
        "aria-pressed": String(choice === item.choice),
        onclick: () => change(choice),
      },
      word(choice),
    ),
  );
  const takeBack = element("button", { type: "button", class: "plain", onclick: () => change(null) }, "Take back");

  /** @param {Choice | null} choice */
  function change(choice) {
    if (choice === said) return;
    const note = { pair: item, was: said };
    const body = { id: newId(), query_id: item.query_id, kind: item.kind, choice, supersedes: current };
    const { remark, comment } = choice === null ? NONE : item; // what was remarked holds for what is said now
    outbox.add({ ...body, remark, comment, reaction_ms: null, replays: null, client_time: Date.now() }, note);
    current = body.id;
    said = choice;
    root.dataset.choice = choice ?? "none";
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.choice === choice));
    when.textContent = choice === null ? "Taken back; it will be asked again" : "just now · changed";
    for (const button of [...buttons, takeBack]) button.disabled = choice === null;
    announce(choice === null ? "Taken back." : `Changed to ${word(choice)}.`);
  }

  return [element("div", { class: "choices", role: "group", "aria-label": "Your answer" }, ...buttons), takeBack];
}

async function offerOthers() {
  if (run.labeler.role !== "owner") return;
  byId("export-everybody").hidden = false;
  const { people } = await request("/api/people");
  const names = people.map(({ name }) => name);
  if (names.length < 2) return;
  byId("labeler").replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  byId("labeler").value = run.labeler.name;
  byId("whose").hidden = false;
  byId("labeler").addEventListener("change", showAnew);
}

let refusals = 0;
outbox.addEventListener("change", () => {
  // What was refused did not happen: show what the server has.
  if (outbox.refused.length > refusals) showAnew();
  refusals = outbox.refused.length;
});
layout.addEventListener("change", showAnew); // the clips lie in another way, so left and right are called otherwise
byId("older").addEventListener("click", showOlder);
await outbox.settled(3_000);
try {
  await offerOthers();
} catch (error) {
  banner("history", sentenceOf(error));
}
await showOlder();
