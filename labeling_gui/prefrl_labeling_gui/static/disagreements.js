// For the owner: what people say opposite things of, in one list, and whose answer holds.

import { request } from "./api.js";
import { DisagreementCard } from "./disagreement_card.js";
import { byId, element, number } from "./dom.js";
import { layout } from "./layout.js";
import { banner, openPage, sentenceOf } from "./shell.js";

await openPage();
/** @type {Map<Element, DisagreementCard>} */
const cards = new Map();
const looking = new IntersectionObserver(
  (entries) => entries.forEach(({ target, isIntersecting }) => cards.get(target)?.see(isIntersecting)),
  { rootMargin: "80px" },
);
let asked = 0;
let nOpen = 0;
let nSettled = 0;

async function showAnew() {
  asked += 1;
  const mine = asked;
  let reply;
  try {
    reply = await request("/api/disagreements");
  } catch (error) {
    if (mine === asked) banner("disagreements", sentenceOf(error), { label: "Try again", action: showAnew });
    return;
  }
  if (mine !== asked) return; // asked for again meanwhile
  banner("disagreements", "");
  looking.disconnect();
  for (const card of cards.values()) card.see(false);
  cards.clear();
  byId("answers").replaceChildren();
  [nOpen, nSettled] = [reply.n_open, reply.n_settled];
  for (const item of reply.items) show(item);
  if (cards.size === 0) showNothing();
  showSummary();
}

/** @param {import("../../typescript/api").DisagreementEntry} item */
function show(item) {
  const card = new DisagreementCard(item);
  card.root.addEventListener("settled", (/** @type {CustomEvent<number>} */ { detail }) => {
    [nOpen, nSettled] = [nOpen - detail, nSettled + detail];
    showSummary();
  });
  byId("answers").append(card.root);
  cards.set(card.root, card);
  looking.observe(card.root);
}

function showSummary() {
  const all = nOpen + nSettled;
  const rest = all > cards.size ? ` · the newest ${number(cards.size)} are shown` : "";
  byId("summary").textContent = all === 0 ? "" : `${number(nOpen)} to settle, ${number(nSettled)} settled${rest}`;
}

function showNothing() {
  byId("answers").replaceChildren(
    element(
      "li",
      { class: "empty card" },
      element("h2", {}, "Nobody contradicts anybody"),
      element(
        "p",
        {},
        "Where people who are asked the same say opposite things, it is listed here. To ask several the same, train with ",
        element("code", {}, "--feedback.overlap 2"),
        ".",
      ),
    ),
  );
}

layout.addEventListener("change", showAnew); // left and right are called otherwise
await showAnew();
