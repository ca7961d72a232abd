// Past answers as small looping clips, each of which can be changed or taken back.

import { AnswerCard } from "./answer_card.js";
import { request } from "./api.js";
import { byId, count, element } from "./dom.js";
import { layout } from "./layout.js";
import { banner, openPage, sentenceOf } from "./shell.js";

const AT_ONCE = 24;

const { run, outbox } = await openPage();
/** @type {Map<Element, AnswerCard>} */
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
  const isOwn = labeler() === run.labeler.name;
  const marksGold = isOwn && run.labeler.role === "owner";
  const card = new AnswerCard(item, { outbox, isOwn, showsPredictions: run.show_predictions, marksGold });
  byId("answers").append(card.root);
  cards.set(card.root, card);
  looking.observe(card.root);
}

async function offerOthers() {
  if (run.labeler.role !== "owner") return;
  byId("export-everybody").hidden = false;
  const { people, n_disagreements } = await request("/api/people");
  byId("disagreements").textContent = `Disagreements (${n_disagreements})`;
  byId("disagreements").hidden = false;
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
