// The page on which people answer: what is asked, what becomes of an answer, and what is shown when.

import { ApiError, request } from "./api.js";
import { askedAbout } from "./asked.js";
import { Desk } from "./desk.js";
import { byId } from "./dom.js";
import { showHelp } from "./help.js";
import { newId } from "./outbox.js";
import { showProgress } from "./progress.js";
import { Queue } from "./queue.js";
import { NONE, askForRemark } from "./remark.js";
import { showRest } from "./rest.js";
import { NOTHING, inShort, inWords, isSaid, saidIn } from "./said.js";
import { settings } from "./settings.js";
import { announce, banner, openPage, sentenceOf } from "./shell.js";
import { showToast } from "./toast.js";

const UNDO_DEPTH = 30;
const RENEW_EVERY = 120_000;
const AWAY_AFTER = 600_000;
const LOAD_NEXT_AFTER = 80;

const { run, outbox, live } = await openPage();
const desk = new Desk(run, { isAsked: isFirst, answer, actions: { undo, remark, help: showHelp } });
const { asked, clips, sentences, stage } = desk;
const queue = new Queue(() => settings.values.ahead, () => outbox.unsentQueries, isOfThisKind);
/**
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
let lastActive = Date.now();
let loading = 0;

/** @param {Said} said @param {Query} query */
function answer(said, query) {
  const body = { ...newBody(query, said, null), ...remarkOn(query), ...desk.looked };
  given = [...given, { id: body.id, said, query }].slice(-UNDO_DEPTH);
  queue.take();
  showFirst();
  desk.pressed(said);
  say(inWords(said));
  outbox.add(body, { query, was: NOTHING });
  queue.fill();
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
  desk.press("undo");
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
    desk.clear();
  } else if (stage.query === null || !isFirst(stage.query)) {
    desk.show(first);
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

function rest() {
  showRest(byId("rest"), {
    shown: queue.queries.length === 0 && queue.asked,
    reason: queue.failure === null ? settledReason() : "failure",
    trainer: live.progress?.trainer ?? null,
    answered: (live.progress?.answered ?? 0) + outbox.unsent.answers,
  });
}

/** Why nothing is asked; that a quota is given only once what was said last is stored, as it may not count. */
function settledReason() {
  return queue.reason === "quota_given" && outbox.unsent.answers > 0 ? null : queue.reason;
}

function showControls() {
  const { query } = stage;
  const last = given.at(-1);
  desk.showControls({
    answerable: queue.queries.length > 0,
    undoes: last === undefined ? null : inShort(last.said),
    remarked: query !== null && Object.values(remarkOn(query)).some((said) => said !== null),
  });
}

function applySettings() {
  desk.applySettings();
  showControls();
  queue.fill();
}

// Somebody has two tabs open: what is answered in one is not asked in the other, what is taken back is asked again, and
// what is changed there keeps its place among what can be undone here.
outbox.addEventListener("elsewhere", (event) => {
  const { queryId, takesBack, id, said } = /** @type {CustomEvent} */ (event).detail;
  given = takesBack
    ? given.filter(({ query }) => query.query_id !== queryId)
    : given.map((one) => (one.query.query_id === queryId ? { ...one, id, said } : one));
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
    isAnswer(body) && !takenBack.has(body.id) && isOfThisKind(query) ? [{ id: body.id, said: saidIn(body), query }] : [],
  );
  try {
    const { items } = await request(`/api/history?limit=${UNDO_DEPTH}&last_answered=true`);
    recallRemarks(items);
    const known = new Set([...given.map(({ id }) => id), ...takenBack]);
    const stored = items.filter((item) => !known.has(item.answer_id) && isOfThisKind(item));
    // In the order of answering: what was changed under History since is not what was answered last.
    stored.sort((one, other) => one.place - other.place || one.seq - other.seq);
    const earlier = stored.map((item) => ({ id: item.answer_id, said: saidIn(item), query: item }));
    given = [...earlier, ...given].slice(-UNDO_DEPTH);
  } catch (error) {
    banner("history", sentenceOf(error));
  }
  showControls();
}

/** It answers, and neither changes an answer nor takes one back. @param {import("./outbox.js").AnswerBody} body */
function isAnswer(body) {
  return isSaid(body) && (body.supersedes ?? null) === null;
}

/** What was remarked before the page was loaded anew. @param {{query_id: string, remark?: any, comment?: any}[]} said */
function recallRemarks(said) {
  for (const { query_id, remark = null, comment = null } of said) {
    const isSaid = remark !== null || comment !== null;
    if (isSaid && !remarks.has(query_id)) remarks.set(query_id, { remark, comment });
  }
}

for (const sign of ["keydown", "pointerdown"]) addEventListener(sign, () => (lastActive = Date.now()));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  const [first] = queue.queries;
  if (first !== undefined && (first.lease_expires_at ?? 0) <= Date.now()) queue.refresh();
  else queue.fill();
});
settings.addEventListener("change", applySettings);
desk.addEventListener("change", showControls);
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
