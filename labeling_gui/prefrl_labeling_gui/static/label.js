// The page on which people answer: what happens on a key, and what is shown when.

import { ApiError, request } from "./api.js";
import { ClipCache } from "./clips.js";
import { buildControls } from "./controls.js";
import { byId, element } from "./dom.js";
import { showHelp } from "./help.js";
import { actionOf, keyLabel } from "./keys.js";
import { layout } from "./layout.js";
import { showLegend } from "./legend.js";
import { newId } from "./outbox.js";
import { showProgress } from "./progress.js";
import { Queue } from "./queue.js";
import { NONE, askForRemark } from "./remark.js";
import { showRest } from "./rest.js";
import { RATES, settings } from "./settings.js";
import { announce, banner, openPage, sentenceOf } from "./shell.js";
import { Stage } from "./stage.js";
import { listenForSwipes } from "./swipe.js";
import { showToast } from "./toast.js";

const UNDO_DEPTH = 30;
const RENEW_EVERY = 120_000;
const AWAY_AFTER = 600_000;
const LOAD_NEXT_AFTER = 80;
const LOOK_FIRST = "Look at both clips first.";
const NOTHING_SEEN = "This pair cannot be seen: answer “can’t tell”.";
const PAIR_IS_THERE = "The next pair is there.";

const { run, outbox, live } = await openPage();
showQuestion(run.question ?? "");
showLegend(byId("legend"), run.legend);

const clips = new ClipCache();
const stage = new Stage(byId("stage"), clips, { leastLook: run.least_look_seconds, howToPlay });
const queue = new Queue(() => settings.values.ahead, unsentQueries);
/**
 * @typedef {import("./outbox.js").Choice} Choice
 * @typedef {{id: string, choice: Choice, pair: import("./queue.js").Pair}} Given
 */
/** @type {Given[]} What can be undone, newest last. */
let given = [];
/** Settled once `given` holds what an earlier page stored: who is quicker than the server undoes that all the same. */
let recalled = Promise.resolve();
/** @type {Set<string | null>} Answers that were taken back here: the server may not know it when it is asked. */
const takenBack = new Set();
/** @type {Map<string, import("./remark.js").Remark>} By query; kept for an answer that is taken back. */
const remarks = new Map();
let look = { since: 0, replays: 0 };
let lastActive = Date.now();
let loading = 0;

const actions = {
  left: () => answer("left"),
  right: () => answer("right"),
  equal: () => answer("equal"),
  cannot_tell: () => answer("cannot_tell"),
  much_left: () => answer("much_left"),
  much_right: () => answer("much_right"),
  undo,
  replay: () => {
    look.replays += 1;
    stage.replay();
  },
  pause: () => stage.toggle(),
  step: () => stage.step(),
  slower: () => changeRate(-1),
  faster: () => changeRate(1),
  remark,
  help: showHelp,
};
const controls = buildControls(run.choices, byId("answers"), byId("tools"), (action) => actions[action]());

/** @param {Choice} choice */
function answer(choice) {
  const pair = stage.pair;
  if (pair === null || !isFirst(pair) || !stage.settled) return;
  // Nobody compares what they have not seen; that they cannot tell, they may say at once.
  const problem = choice === "cannot_tell" ? "" : stage.failed ? NOTHING_SEEN : stage.seen ? "" : LOOK_FIRST;
  if (problem !== "") {
    showToast(problem);
    announce(problem);
    return;
  }
  const seconds = look.since === 0 ? null : Math.round(performance.now() - look.since);
  const body = { ...newBody(pair, choice, null), ...remarkOn(pair), reaction_ms: seconds, replays: look.replays };
  given = [...given, { id: body.id, choice, pair }].slice(-UNDO_DEPTH);
  queue.take();
  showFirst();
  stage.forgetPointer();
  controls.press(choice);
  say(layout.words[choice]);
  outbox.add(body, { pair, was: null });
  queue.fill();
}

/** Ask what is the matter with the pair that is seen. */
function remark() {
  const { pair } = stage;
  if (pair === null || !isFirst(pair)) return;
  askForRemark(remarkOn(pair), run.longest_comment, (said) => {
    remarks.set(pair.query_id, said);
    showControls();
    announce("Kept; it goes with your answer.");
  });
}

/** @param {import("./queue.js").Pair} pair */
function remarkOn(pair) {
  return remarks.get(pair.query_id) ?? NONE;
}

async function undo() {
  if (given.length === 0) await recalled;
  const last = given.at(-1);
  if (last === undefined) {
    announce("There is nothing to undo.");
    return;
  }
  given = given.slice(0, -1);
  takenBack.add(last.id);
  queue.putBack(last.pair);
  showFirst();
  controls.press("undo");
  say(`Taken back: ${layout.words[last.choice]}`);
  outbox.add(newBody(last.pair, null, last.id), { pair: last.pair, was: last.choice });
}

/** Tell what was done, and in the same breath whether a pair is there. @param {string} done */
function say(done) {
  announce(stage.settled ? `${done}. ${PAIR_IS_THERE}` : done);
}

/** @param {import("./queue.js").Pair} pair @param {Choice | null} choice @param {string | null} supersedes */
function newBody(pair, choice, supersedes) {
  const shown = { reaction_ms: null, replays: null, client_time: Date.now() };
  return { id: newId(), query_id: pair.query_id, kind: run.feedback, choice, supersedes, ...shown };
}

/** @param {import("./queue.js").Pair} pair @returns {boolean} It is to be answered now. */
function isFirst(pair) {
  return pair.query_id === queue.pairs[0]?.query_id;
}

/** Show the pair that is to be answered now, or why there is none. */
function showFirst() {
  const [first] = queue.pairs;
  byId("label").dataset.rests = String(first === undefined);
  if (first === undefined) stage.clear();
  else if (stage.pair === null || !isFirst(stage.pair)) {
    look = { since: 0, replays: 0 };
    stage.show(first);
  }
  showControls();
  rest();
  const signedOut = queue.failure instanceof ApiError && queue.failure.status === 401;
  banner("claims", signedOut ? sentenceOf(queue.failure) : "");
  // What follows is loaded a moment later: starting this pair comes first.
  clearTimeout(loading);
  loading = setTimeout(loadNext, LOAD_NEXT_AFTER);
}

/** Load the next pair, and fetch the clips of those after it. */
function loadNext() {
  if (queue.pairs.length > 1) stage.prepare(queue.pairs[1]);
  const near = [...queue.pairs, ...given.slice(-2).map(({ pair }) => pair)];
  const urls = near.flatMap(({ left, right }) => [left.clip, right.clip]);
  clips.keep(urls);
  for (const url of urls) clips.get(url).catch(() => undefined); // the stage shows what failed when its turn comes
}

/** The question itself, and in smaller type what may follow it. @param {string} question */
function showQuestion(question) {
  const end = question.indexOf("? ") + 1 || question.length;
  byId("question").replaceChildren(question.slice(0, end), element("span", {}, question.slice(end)));
}

function rest() {
  showRest(byId("rest"), {
    shown: queue.pairs.length === 0 && queue.asked,
    reason: queue.failure === null ? queue.reason : "failure",
    trainer: live.progress?.trainer ?? null,
    answered: (live.progress?.answered ?? 0) + unsent().answers,
  });
}

/** What to do where clips do not play by themselves. */
function howToPlay() {
  const byTouch = matchMedia("(hover: none)").matches;
  return byTouch ? "Tap Replay to play" : `Press ${keyLabel(settings.values.keys.replay[0])} to play`;
}

function showControls() {
  controls.update({
    answerable: queue.pairs.length > 0,
    paused: stage.paused,
    rate: settings.values.rate,
    undoes: given.at(-1)?.choice ?? null,
    speed: stage.pair?.left.speed ?? null,
    remarked: stage.pair !== null && Object.values(remarkOn(stage.pair)).some((said) => said !== null),
  });
}

/** @param {number} direction */
function changeRate(direction) {
  const at = RATES.indexOf(settings.values.rate) + direction;
  if (RATES[at] === undefined) return;
  settings.set({ rate: RATES[at] });
  announce(byId("rate").textContent);
}

/** Queries whose newest unsent word is an answer, not an undo. @returns {string[]} */
function unsentQueries() {
  const newest = new Map(outbox.pending.map(({ body }) => [body.query_id, body.choice]));
  return [...newest].filter(([, choice]) => choice !== null).map(([query]) => query);
}

/** How much more there is than the server knows of; less, where an undo waits to be sent. */
function unsent() {
  const change = { answers: 0, comparisons: 0 };
  for (const { body, note } of outbox.pending) {
    change.answers += Number(body.choice !== null) - Number(note.was !== null);
    change.comparisons += Number(isComparison(body.choice)) - Number(isComparison(note.was));
  }
  return change;
}

/** @param {string | null} choice @returns {boolean} */
function isComparison(choice) {
  return choice !== null && choice !== "cannot_tell";
}

function applySettings() {
  stage.rate = settings.values.rate;
  controls.showKeys(settings.values.keys);
  showControls();
  queue.fill();
}

// Somebody has two tabs open: what is answered in one is not asked in the other, what is taken back is asked again.
outbox.addEventListener("elsewhere", (event) => {
  const { queryId, choice } = /** @type {CustomEvent} */ (event).detail;
  given = given.filter(({ pair }) => pair.query_id !== queryId);
  const shown = stage.pair;
  if (choice === null) queue.allow(queryId);
  else queue.drop(queryId);
  showFirst();
  if (choice !== null && shown?.query_id === queryId) showToast("Answered in another tab.");
  queue.fill();
});

/** What can be undone although the page was loaded anew: what waits to be sent, and before it what is stored. */
async function recallAnswers() {
  for (const { body } of outbox.pending) takenBack.add(body.supersedes ?? null);
  recallRemarks(outbox.pending.map(({ body }) => body));
  given = outbox.pending.flatMap(({ body: { id, choice }, note }) =>
    choice === null || takenBack.has(id) ? [] : [{ id, choice, pair: note.pair }],
  );
  try {
    const { items } = await request(`/api/history?limit=${UNDO_DEPTH}`);
    recallRemarks(items);
    const known = new Set(given.map(({ id }) => id));
    const stored = items.filter(({ answer_id: id }) => !known.has(id) && !takenBack.has(id)).reverse();
    const earlier = stored.map(({ answer_id: id, choice, ...pair }) => ({ id, choice, pair }));
    given = [...earlier, ...given].slice(-UNDO_DEPTH);
  } catch (error) {
    banner("history", sentenceOf(error));
  }
  showControls();
}

/** What was remarked before the page was loaded anew. @param {{query_id: string, remark?: any, comment?: any}[]} said */
function recallRemarks(said) {
  for (const { query_id, remark = null, comment = null } of said) {
    const isSaid = remark !== null || comment !== null;
    if (isSaid && !remarks.has(query_id)) remarks.set(query_id, { remark, comment });
  }
}

document.addEventListener("keydown", (event) => {
  lastActive = Date.now();
  const action = actionOf(event, settings.values.keys);
  if (action === null) return;
  event.preventDefault();
  const repeats = action === "step" || action === "slower" || action === "faster";
  if (!event.repeat || repeats) actions[action]();
});
addEventListener("pointerdown", () => (lastActive = Date.now()));
listenForSwipes(byId("stage"), {
  stacked: () => layout.name === "stacked",
  choices: run.choices,
  preview: (choice) => stage.preview(choice),
  choose: (choice) => {
    const { pair } = stage;
    actions[choice]();
    if (stage.pair !== pair) showToast(layout.words[choice]);
  },
});
byId("stage").addEventListener("click", (event) => {
  const side = event.target.closest(".side")?.dataset.side;
  if (side === undefined || event.pointerType !== "mouse") return;
  const much = `much_${side}`;
  actions[event.shiftKey && run.choices.includes(/** @type {Choice} */ (much)) ? much : side]();
});
document.addEventListener("dialog", () => stage.cover(document.querySelector("dialog[open]") !== null));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  const [first] = queue.pairs;
  if (first !== undefined && (first.lease_expires_at ?? 0) <= Date.now()) queue.refresh();
  else queue.fill();
});
settings.addEventListener("change", applySettings);
layout.addEventListener("change", showControls);
stage.addEventListener("change", showControls);
stage.addEventListener("shown", () => {
  look.since = performance.now();
  announce(PAIR_IS_THERE);
});
queue.addEventListener("change", showFirst);
queue.addEventListener("progress", (event) => live.tell(/** @type {CustomEvent} */ (event).detail));
live.addEventListener("queries", () => queue.fill());
if (run.state !== "ready") live.addEventListener("queries", () => location.reload(), { once: true });
live.addEventListener("progress", showNow);
live.addEventListener("connection", showNow);
outbox.addEventListener("change", showNow);
outbox.addEventListener("stored", () => queue.pairs.length === 0 && queue.fill());
setInterval(() => {
  if (!document.hidden && Date.now() - lastActive < AWAY_AFTER) queue.renew();
}, RENEW_EVERY);
setInterval(() => queue.pairs.length === 0 && !document.hidden && queue.fill(), 5_000);

function showNow() {
  if (live.progress === null) return;
  showProgress(byId("progress"), live.progress, unsent(), live.connected);
  rest();
}

if (!settings.values.helpSeen) showHelp();
await outbox.settled(3_000);
applySettings();
recalled = recallAnswers();
