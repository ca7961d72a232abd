// For the owner: who answers, how well people agree, and links by which others come in.

import { request } from "./api.js";
import { ago, byId, count, element, number } from "./dom.js";
import { addAct, openDialog } from "./help.js";
import { announce, banner, openPage, sentenceOf } from "./shell.js";

const LOOK_EVERY = 10_000;
const OWNS = ", sees what all say, invites people, and says what the agent does";
/** Between the names of several people; no name has one of them. */
const SEPARATORS = /[,;\n]/;

await openPage();

/** Who has, or had, a link. @type {Set<string>} */
let linked = new Set();

async function look() {
  try {
    const { people, agreement, n_disagreements, shortfall, owner_answers, local_only } = await request("/api/people");
    linked = new Set(people.map(({ name }) => name));
    showEverybody(people);
    showAgreement(agreement);
    byId("disagreements").textContent = `${count(n_disagreements, "disagreement")} to settle`;
    showShortfall(shortfall, owner_answers);
    byId("local").hidden = !local_only;
    banner("people", "");
  } catch (error) {
    banner("people", sentenceOf(error));
  }
}

/**
 * @typedef {import("../../typescript/api").PeopleEntry} Entry
 * @param {Entry[]} people
 */
function showEverybody(people) {
  const list = byId("people");
  const open = new Set([...list.querySelectorAll("details[open]")].map((one) => one.dataset.name));
  const { row, act } = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset ?? {};
  list.replaceChildren(...people.map((person) => entry(person, open.has(person.name))));
  if (row === undefined) return; // whoever was at a button is at the same one of the new list
  const buttons = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("[data-row]")]);
  buttons.find(({ dataset }) => dataset.row === row && dataset.act === act)?.focus();
}

/** One person in short, and on demand all that is known. @param {Entry} person @param {boolean} open */
function entry(person, open) {
  const { name, quality, last_seen } = person;
  const agrees = quality?.agreement == null ? "" : `agrees ${share(quality.agreement)}`;
  return element(
    "li",
    { class: person.revoked || person.set_aside ? "revoked" : "" },
    element(
      "details",
      { open, dataset: { name } },
      element(
        "summary",
        { dataset: { row: name, act: "open" } },
        element("span", { class: "name" }, element("strong", {}, name), ...marks(person)),
        " ",
        element("span", { class: "short" }, count(person.answers, "answer")),
        " ",
        element("span", { class: "short" }, agrees),
        " ",
        element("span", { class: "short" }, last_seen === null ? "never seen" : ago(last_seen)),
      ),
      figures(person),
      element("p", { class: "acts" }, ...acts(person)),
    ),
    ...warnings(person),
  );
}

/** What is known of how somebody answers, each with what it says. @param {Entry} person */
function figures({ per_minute, error_estimate, quality }) {
  const gold = quality?.gold == null ? null : `${share(quality.gold)} of ${number(quality.n_gold)}`;
  const facts = [
    ["Pace", known(per_minute, (pace) => `${number(Math.round(pace))} a minute`), "Pauses left out."],
    ["Time", known(quality?.median_seconds, (seconds) => `${number(seconds)} s`), "Median, from seeing to answering."],
    ["Too fast", known(quality?.too_fast, share), "In under half a second."],
    ["Left / right", sides(quality), "Sides are drawn at random: expect half and half."],
    ["Agrees", known(quality?.agreement, share), "With what others say of the same clips."],
    ["Gold", gold, "As you said where you marked gold under History."],
    ["Errs in", known(error_estimate, share), "From clips that are asked twice, unnoticed."],
  ].filter(([, value]) => value !== null);
  if (facts.length === 0) return element("p", { class: "quiet" }, "Nothing to tell yet.");
  const cards = facts.map(([label, value, says]) =>
    element("div", {}, element("dt", {}, label), " ", element("dd", {}, value), " ", element("dd", { class: "quiet" }, says)),
  );
  return element("dl", { class: "figures" }, ...cards);
}

/** @param {Entry} person */
function marks(person) {
  const words = person.role === "owner" ? ["owner"] : [];
  if (person.revoked) words.push("locked out");
  if (person.set_aside) words.push("set aside");
  if (person.quota !== null) words.push(`${number(person.counted)} of at most ${count(person.quota, "answer")}`);
  return words.map((word) => element("span", { class: "badge" }, word));
}

/** What the owner should look at. @param {Entry} person */
function warnings(person) {
  return (person.quality?.warnings ?? []).map((sentence) => element("p", { class: "warning" }, sentence));
}

/** @param {import("../../typescript/api").QualityReply | null} quality */
function sides(quality) {
  if (quality === null || quality.left === null || quality.right === null) return null;
  return `${percent(quality.left)} / ${percent(quality.right)} %`;
}

/** @param {number | null | undefined} value @param {(value: number) => string} text @returns {string | null} */
function known(value, text) {
  return value == null ? null : text(value);
}

/** @param {Entry} person */
function acts(person) {
  /** @param {string} act @param {string} words @param {() => void} onclick */
  const button = (act, words, onclick) =>
    element("button", { type: "button", dataset: { row: person.name, act }, onclick }, words);
  const aside = button("aside", person.set_aside ? "Count again" : "Set aside", () => setAside(person));
  if (!person.comes_by_link) return [aside];
  const link = button("link", "New link", () => newLink(person.name));
  const limit = person.role === "owner" ? [] : [button("limit", "Limit", () => askForQuota(person))];
  const lock = button("lock", "Lock out", () => askToLockOut(person.name));
  return person.revoked ? [link, aside] : [...limit, link, aside, lock];
}

/** @param {number} value @returns {string} */
function share(value) {
  return `${percent(value)} %`;
}

/** @param {number} value From 0 to 1. */
function percent(value) {
  return number(Math.round(100 * value));
}

/** @param {{raw: number | null, alpha: number | null, n_pairs: number}} agreement */
function showAgreement({ raw, alpha, n_pairs }) {
  const facts = [
    [known(raw, share), "say the same"],
    [known(alpha, number), "Krippendorff’s alpha: 1 is always the same, 0 is chance"],
    [n_pairs === 0 ? null : number(n_pairs), n_pairs === 1 ? "pair that several people answered" : "pairs that several people answered"],
  ].filter(([value]) => value !== null);
  byId("agreement-facts").replaceChildren(
    ...facts.map(([value, text]) => element("div", {}, element("dt", {}, text), element("dd", {}, value))),
  );
  byId("agreement-none").hidden = facts.length > 0;
}

/**
 * Say so where all who were invited will have given what they were asked for, and the training still waits: a warning,
 * unless an owner answers as well.
 * @param {number} n Answers that are missing then.
 * @param {boolean} ownerAnswers
 */
function showShortfall(n, ownerAnswers) {
  const place = byId("shortfall");
  place.hidden = n === 0;
  place.className = ownerAnswers ? "quiet" : "warning";
  if (n === 0) return;
  const answers = count(n, "answer");
  place.textContent = ownerAnswers
    ? `These limits leave ${answers} to you: owners have none.`
    : `These limits leave ${answers} that nobody gives, and the training would wait for ever: raise them, invite others, or answer those yourself.`;
}

/** @param {string} id */
function quotaField(id) {
  const about = { id, type: "number", inputMode: "numeric", min: 1, max: 2 ** 31 - 1, step: 1, placeholder: "no limit" };
  return element("input", { ...about, class: "quota", autocomplete: "off" });
}

/** @param {HTMLInputElement} field What it says; null where it says nothing. */
function quotaIn(field) {
  return field.value === "" ? null : field.valueAsNumber;
}

/**
 * Invite everybody whose name was written, one after the other; a name that is refused stays to be written anew.
 * @param {SubmitEvent} event
 */
async function invite(event) {
  event.preventDefault();
  const field = byId("names");
  const role = byId("role").value;
  const quota = role === "owner" ? null : quotaIn(byId("quota"));
  const names = field.value.split(SEPARATORS).map((name) => name.trim()).filter((name) => name !== "");
  beginAct();
  const refused = [];
  for (const name of names) {
    try {
      const reply = await request("/api/people", { body: { name, role, quota } });
      showLink(reply.name, reply.link, role === "owner" ? OWNS : "");
    } catch (error) {
      refused.push(name);
      banner("act", sentenceOf(error));
    }
  }
  field.value = refused.join(", ");
  look();
}

/** @param {string} name */
async function newLink(name) {
  beginAct();
  try {
    const { link } = await request(`/api/people/${encodeURIComponent(name)}/link`, { body: {} });
    showLink(name, link);
  } catch (error) {
    banner("act", sentenceOf(error));
  }
  look();
}

/** Take away what was said of an earlier invitation: its link is nobody else's, its failure is over. */
function beginAct() {
  banner("act", "");
  byId("invited").replaceChildren();
}

/** @param {string} name @param {string} link @param {string} [more] What else whoever opens it does. */
function showLink(name, link, more = "") {
  const earlier = linked.has(name) ? " Their earlier link works no more." : "";
  const field = element("input", { class: "link", value: link, readOnly: true, "aria-label": `Link for ${name}` });
  const copy = element("button", { type: "button", class: "main", onclick: () => copyLink(field, copy) }, "Copy");
  field.addEventListener("focus", () => field.select());
  byId("invited").append(
    element("p", {}, `The link for ${name}. It is shown only now.${earlier}`),
    element("div", { class: "row" }, field, copy),
    element("p", { class: "quiet" }, `Whoever opens it answers as ${name}${more}: send it to nobody else.`),
  );
}

/** @param {HTMLInputElement} field @param {HTMLButtonElement} button */
async function copyLink(field, button) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    document.execCommand("copy"); // where the page came by plain HTTP there is no other way
  }
  button.textContent = "Copied";
  announce("Copied.");
  setTimeout(() => (button.textContent = "Copy"), 2_000);
}

/** Have nothing be learned from what somebody says, or again from all of it. @param {Entry} person */
async function setAside({ name, set_aside }) {
  beginAct();
  try {
    await request(`/api/people/${encodeURIComponent(name)}/aside`, { body: { aside: !set_aside } });
    announce(set_aside ? `The answers of ${name} count again.` : `The answers of ${name} are set aside.`);
  } catch (error) {
    banner("act", sentenceOf(error));
  }
  look();
}

/** Ask how many answers somebody is asked for at most. @param {Entry} person */
function askForQuota({ name, quota }) {
  const field = quotaField("new-quota");
  field.value = quota === null ? "" : String(quota);
  const set = async () => {
    if (!field.reportValidity()) return;
    dialog.close();
    beginAct();
    try {
      const reply = await request(`/api/people/${encodeURIComponent(name)}/quota`, { body: { quota: quotaIn(field) } });
      announce(reply.quota === null ? `${name} is asked as long as there is anything.` : `${name} is asked for ${count(reply.quota, "answer")} at most.`);
    } catch (error) {
      banner("act", sentenceOf(error));
    }
    look();
  };
  const dialog = openDialog(
    `How many answers of ${name}?`,
    element("p", { class: "row" }, element("label", { htmlFor: "new-quota" }, "At most"), field),
    element("p", { class: "quiet" }, "Who has given them is thanked, and others go on. “Can’t tell”, what is asked a second time and gold do not count."),
  );
  addAct(dialog, "Set", set);
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // else it presses the button that has the focus once the dialog is closed
    set();
  });
  field.focus();
}

/** @param {string} name */
function askToLockOut(name) {
  const lock = async () => {
    dialog.close();
    beginAct();
    try {
      await request(`/api/people/${encodeURIComponent(name)}/revoke`, { body: {} });
      announce(`${name} is locked out.`);
    } catch (error) {
      banner("act", sentenceOf(error));
    }
    look();
  };
  const dialog = openDialog(
    `Lock ${name} out?`,
    element("p", {}, "Their link and their open pages stop working at once. Their answers stay."),
  );
  addAct(dialog, "Lock out", lock);
}

byId("invitation").append(
  element("h2", { id: "invitation-title" }, "Invite people"),
  element(
    "form",
    { onsubmit: invite },
    element("label", { htmlFor: "names" }, "Names"),
    element("input", { id: "names", required: true, autocomplete: "off", placeholder: "Ada, Grace H." }),
    element("label", { htmlFor: "role" }, "as"),
    element(
      "select",
      { id: "role", onchange: () => (byId("quota").disabled = byId("role").value === "owner") },
      element("option", { value: "labeler" }, "labellers"),
      element("option", { value: "owner" }, "owners, who may do all you may"),
    ),
    element("label", { htmlFor: "quota" }, "answers of each, at most"),
    quotaField("quota"),
    element("button", { type: "submit", class: "main" }, "Make links"),
  ),
  element("p", { id: "shortfall", class: "warning", role: "status", hidden: true }),
  element(
    "p",
    { id: "local", class: "quiet", hidden: true },
    "Links work on this machine only. To let others in: ",
    element("code", {}, "prefrl train … --no-page"),
    ", and ",
    element("code", {}, "prefrl label RUN --host … --allow-host …"),
    ".",
  ),
  element("div", { id: "invited", role: "status" }),
);
byId("everybody").append(
  element("h2", { id: "everybody-title" }, "Everybody"),
  element("ul", { id: "people" }),
  element("p", { class: "quiet" }, "Set aside: kept, but nothing is learned from it. Lock out: the link ends, the answers stay."),
);
byId("agreement").append(
  element("h2", { id: "agreement-title" }, "Agreement"),
  element("dl", { id: "agreement-facts" }),
  element("p", { id: "agreement-none", class: "quiet" }, "Nobody has answered what others answered, too."),
  element("p", {}, element("a", { id: "disagreements", href: "/disagreements" }, "Disagreements")),
);
setInterval(() => !document.hidden && look(), LOOK_EVERY);
await look();
