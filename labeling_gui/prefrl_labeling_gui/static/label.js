// The page on which people answer: what happens on a key, and what is shown when.

import { ApiError, request } from "./api.js";
import { SENTENCES, askedAbout, askedOf } from "./asked.js";
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
import { Ranking } from "./ranking.js";
import { RankingBoard } from "./ranking_board.js";
import { LEVELS, levelAction } from "./rating.js";
import { NONE, askForRemark } from "./remark.js";
import { showRest } from "./rest.js";
import { NOTHING, chosen, inShort, inWords, isComparison, isSaid, ranked, rated, saidIn } from "./said.js";
import { RATES, settings } from "./settings.js";
import { announce, banner, openPage, sentenceOf } from "./shell.js";
import { Stage } from "./stage.js";
import { listenForSwipes } from "./swipe.js";
import { showToast } from "./toast.js";

const UNDO_DEPTH = 30;
const RENEW_EVERY = 120_000;
const AWAY_AFTER = 600_000;
const LOAD_NEXT_AFTER = 80;
const RANK_ALL = "Give every clip its place first.";

const { run, outbox, live } = await openPage();
const asked = askedOf(run);
const sentences = SENTENCES[asked];
byId("label").dataset.asked = asked;
showQuestion(run.question ?? "", sentences.how);
showLegend(byId("legend"), run.legend);

const clips = new ClipCache();
const ranking = new Ranking();
const board = asked === "ranking" ? new RankingBoard(byId("stage"), { pick, exchange }) : null;
const stage = new Stage(byId("stage"), clips, { leastLook: run.least_look_seconds, howToPlay, asked, board });
const queue = new Queue(() => settings.values.ahead, () => outbox.unsentQueries, isOfThisKind);
/**
 * @typedef {import("./said.js").Choice} Choice
 * @typedef {import("./said.js").Said} Said
 * @typedef {import("./queue.js").Query} Query
 * @typedef {{id: string, said: Said, query: Query}} Given
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
  left: () => answer(chosen("left")),
  right: () => answer(chosen("right")),
  equal: () => answer(chosen("equal")),
  cannot_tell: () => answer(chosen("cannot_tell")),
  much_left: () => answer(chosen("much_left")),
  much_right: () => answer(chosen("much_right")),
  ...Object.fromEntries(Array.from({ length: 6 }, (_, clip) => [`clip_${clip + 1}`, () => pick(clip)])),
  ...Object.fromEntries(LEVELS.map((level) => [levelAction(level), () => answer(rated(level))])),
  tie: () => rank(() => ranking.tie()),
  unpick: () => rank(() => ranking.takeBack()),
  send,
  undo: () => (ranking.latest === null ? undo() : actions.unpick()),
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
const says = {
  pair: run.choices,
  ranking: ["tie", ...run.choices, "send"],
  rating: [...LEVELS.map(levelAction), ...run.choices],
}[asked];
if (asked === "rating") byId("answers").ariaLabel = "Your answer, from 1 for the worst to 5 for the best";
const controls = buildControls(asked, says, byId("answers"), byId("tools"), (action) => actions[action]());

/** @param {Said} said */
function answer(said) {
  const { query } = stage;
  if (query === null || !isFirst(query) || !stage.settled) return;
  // Nobody compares what they have not seen; that they cannot tell, they may say at once.
  if (isComparison(said) && !isLookedAt()) return;
  const seconds = look.since === 0 ? null : Math.round(performance.now() - look.since);
  const body = { ...newBody(query, said, null), ...remarkOn(query), reaction_ms: seconds, replays: look.replays };
  given = [...given, { id: body.id, said, query }].slice(-UNDO_DEPTH);
  queue.take();
  showFirst();
  stage.forgetPointer();
  controls.press(said.choice ?? (said.rating ? levelAction(said.rating) : "send"));
  say(inWords(said));
  outbox.add(body, { query, was: NOTHING });
  queue.fill();
}

/** Whether the clips that are seen can be compared; where not, why is said. */
function isLookedAt() {
  if (stage.seen && !stage.failed) return true;
  refuse(stage.failed ? sentences.unseen : sentences.lookFirst);
  return false;
}

/** @param {string} problem */
function refuse(problem) {
  showToast(problem);
  announce(problem);
}

/** Change the ranking of the clips that are seen, and say what was done. @param {() => string} change */
function rank(change) {
  if (stage.query === null || !isFirst(stage.query) || !stage.settled || !isLookedAt()) return;
  const done = change();
  if (done !== "") announce(done);
}

/** @param {number} clip */
function pick(clip) {
  rank(() => ranking.pick(clip));
}

/** @param {number} one @param {number} other */
function exchange(one, other) {
  rank(() => ranking.exchange(one, other));
}

function send() {
  const ranks = ranking.ranks.filter((place) => place !== null);
  if (ranking.isComplete) answer(ranked(ranks));
  else if (stage.query !== null) refuse(RANK_ALL);
}

/** Ask what is the matter with the clips that are seen. */
function remark() {
  const { query } = stage;
  if (query === null || !isFirst(query)) return;
  askForRemark(remarkOn(query), query.clips.length, run.longest_comment, (said) => {
    remarks.set(query.query_id, said);
    showControls();
    announce("Kept; it goes with your answer.");
  });
}

/** @param {Query} query */
function remarkOn(query) {
  return remarks.get(query.query_id) ?? NONE;
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
  queue.putBack(last.query);
  showFirst();
  controls.press("undo");
  say(`Taken back: ${inWords(last.said)}`);
  outbox.add(newBody(last.query, NOTHING, last.id), { query: last.query, was: last.said });
}

/** Tell what was done, and in the same breath whether the next clips are there. @param {string} done */
function say(done) {
  announce(stage.settled ? `${done}. ${sentences.isNext}` : done);
}

/** @param {Query} query @param {Said} said @param {string | null} supersedes */
function newBody(query, said, supersedes) {
  const shown = { reaction_ms: null, replays: null, client_time: Date.now() };
  return { id: newId(), query_id: query.query_id, kind: run.feedback, ...said, supersedes, ...shown };
}

/** @param {Query} query @returns {boolean} It is to be answered now. */
function isFirst(query) {
  return query.query_id === queue.queries[0]?.query_id;
}

/** Whether this page can show a query: a run that asks something else may have begun since. @param {Query} query */
function isOfThisKind({ clips: { length } }) {
  return askedAbout(length) === asked;
}

/** Show what is to be answered now, or why there is nothing. */
function showFirst() {
  const [first] = queue.queries;
  byId("label").dataset.rests = String(first === undefined);
  if (first === undefined) {
    stage.clear();
    ranking.begin(0);
  } else if (stage.query === null || !isFirst(stage.query)) {
    look = { since: 0, replays: 0 };
    stage.show(first);
    ranking.begin(first.clips.length);
  }
  showControls();
  rest();
  const signedOut = queue.failure instanceof ApiError && queue.failure.status === 401;
  banner("claims", signedOut ? sentenceOf(queue.failure) : "");
  const reload = { label: "Reload", action: () => location.reload() };
  banner("kind", queue.isOfAnotherKind ? "The training asks something else now." : "", reload);
  // What follows is loaded a moment later: starting these clips comes first.
  clearTimeout(loading);
  loading = setTimeout(loadNext, LOAD_NEXT_AFTER);
}

/** Load the clips that come next, and fetch those after them. */
function loadNext() {
  if (queue.queries.length > 1) stage.prepare(queue.queries[1]);
  const near = [...queue.queries, ...given.slice(-2).map(({ query }) => query)];
  const urls = near.flatMap((query) => query.clips.map(({ clip }) => clip));
  clips.keep(urls);
  for (const url of urls) clips.get(url).catch(() => undefined); // the stage shows what failed when its turn comes
}

/** The question itself, and in smaller type what may follow it. @param {string} question @param {string} how To answer. */
function showQuestion(question, how) {
  const end = question.indexOf("? ") + 1 || question.length;
  byId("question").replaceChildren(`${question.slice(0, end)} `, element("span", {}, how + question.slice(end).trim()));
}

function rest() {
  showRest(byId("rest"), {
    shown: queue.queries.length === 0 && queue.asked,
    reason: queue.failure === null ? queue.reason : "failure",
    trainer: live.progress?.trainer ?? null,
    answered: (live.progress?.answered ?? 0) + outbox.unsent.answers,
  });
}

/** What to do where clips do not play by themselves. */
function howToPlay() {
  const byTouch = matchMedia("(hover: none)").matches;
  return byTouch ? "Tap Replay to play" : `Press ${keyLabel(settings.values.keys.replay[0])} to play`;
}

function showControls() {
  controls.update({
    answerable: queue.queries.length > 0,
    paused: stage.paused,
    rate: settings.values.rate,
    undoes: undoes(),
    speed: stage.query?.clips[0].speed ?? null,
    remarked: stage.query !== null && Object.values(remarkOn(stage.query)).some((said) => said !== null),
    ranking,
  });
  board?.show(ranking.ranks, queue.queries.length > 0);
}

/** What an undo would take back, in short; null where there is nothing. */
function undoes() {
  if (ranking.latest !== null) return `clip ${ranking.latest + 1}`;
  const last = given.at(-1);
  return last === undefined ? null : inShort(last.said);
}

/** @param {number} direction */
function changeRate(direction) {
  const at = RATES.indexOf(settings.values.rate) + direction;
  if (RATES[at] === undefined) return;
  settings.set({ rate: RATES[at] });
  announce(byId("rate").textContent);
}

function applySettings() {
  stage.rate = settings.values.rate;
  controls.showKeys(settings.values.keys);
  showControls();
  queue.fill();
}

// Somebody has two tabs open: what is answered in one is not asked in the other, what is taken back is asked again.
outbox.addEventListener("elsewhere", (event) => {
  const { queryId, takesBack } = /** @type {CustomEvent} */ (event).detail;
  given = given.filter(({ query }) => query.query_id !== queryId);
  const shown = stage.query;
  if (takesBack) queue.allow(queryId);
  else queue.drop(queryId);
  showFirst();
  if (!takesBack && shown?.query_id === queryId) showToast("Answered in another tab.");
  queue.fill();
});

/** What can be undone although the page was loaded anew: what waits to be sent, and before it what is stored. */
async function recallAnswers() {
  for (const { body } of outbox.pending) takenBack.add(body.supersedes ?? null);
  recallRemarks(outbox.pending.map(({ body }) => body));
  given = outbox.pending.flatMap(({ body, note: { query } }) =>
    isSaid(body) && !takenBack.has(body.id) && isOfThisKind(query) ? [{ id: body.id, said: saidIn(body), query }] : [],
  );
  try {
    const { items } = await request(`/api/history?limit=${UNDO_DEPTH}`);
    recallRemarks(items);
    const known = new Set([...given.map(({ id }) => id), ...takenBack]);
    const stored = items.filter((item) => !known.has(item.answer_id) && isOfThisKind(item)).reverse();
    const earlier = stored.map((item) => ({ id: item.answer_id, said: saidIn(item), query: item }));
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
if (asked === "pair") {
  listenForSwipes(byId("stage"), {
    stacked: () => layout.name === "stacked",
    choices: run.choices,
    preview: (choice) => stage.preview(choice),
    choose: (choice) => {
      const { query } = stage;
      actions[choice]();
      if (stage.query !== query) showToast(layout.words[choice]);
    },
  });
  byId("stage").addEventListener("click", chooseClip);
}

/** The better clip itself was clicked. @param {any} event */
function chooseClip(event) {
  const side = event.target.closest(".side")?.dataset.side;
  if (side === undefined || event.pointerType !== "mouse") return;
  const much = `much_${side}`;
  actions[event.shiftKey && run.choices.includes(/** @type {Choice} */ (much)) ? much : side]();
}

document.addEventListener("dialog", () => stage.cover(document.querySelector("dialog[open]") !== null));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  const [first] = queue.queries;
  if (first !== undefined && (first.lease_expires_at ?? 0) <= Date.now()) queue.refresh();
  else queue.fill();
});
settings.addEventListener("change", applySettings);
layout.addEventListener("change", showControls);
stage.addEventListener("change", showControls);
ranking.addEventListener("change", showControls);
stage.addEventListener("shown", () => {
  look.since = performance.now();
  announce(sentences.isNext);
});
queue.addEventListener("change", showFirst);
queue.addEventListener("progress", (event) => live.tell(/** @type {CustomEvent} */ (event).detail));
live.addEventListener("queries", () => queue.fill());
if (run.state !== "ready") live.addEventListener("queries", () => location.reload(), { once: true });
live.addEventListener("progress", showNow);
live.addEventListener("connection", showNow);
outbox.addEventListener("change", showNow);
outbox.addEventListener("stored", () => queue.queries.length === 0 && queue.fill());
setInterval(() => {
  if (!document.hidden && Date.now() - lastActive < AWAY_AFTER) queue.renew();
}, RENEW_EVERY);
setInterval(() => queue.queries.length === 0 && !document.hidden && queue.fill(), 5_000);

function showNow() {
  if (live.progress === null) return;
  showProgress(byId("progress"), live.progress, outbox.unsent, live.connected, sentences.unit);
  rest();
}

if (!settings.values.helpSeen) showHelp();
await outbox.settled(3_000);
applySettings();
recalled = recallAnswers();
