// One query of which people say opposite things: its clips, who says what, and whose answer holds.

import { CLIPS, SIDES, thumbnail } from "./answer_card.js";
import { request } from "./api.js";
import { askedAbout } from "./asked.js";
import { element, lessMotion } from "./dom.js";
import { Player } from "./player.js";
import { REASONS } from "./remark.js";
import { inWords } from "./said.js";
import { announce, banner, sentenceOf } from "./shell.js";

/** A card. While it is out of sight it holds no clips. Its root emits "settled" when that has changed. */
export class DisagreementCard {
  root;
  #item;
  #player;
  #isLoaded = false;
  /** @type {string | null} */
  #holds;
  /** @type {{labeler: string, row: HTMLElement, button: HTMLButtonElement}[]} */
  #rows;
  #state = element("p", { class: "state" });
  #takeBack = element("button", { type: "button", class: "plain", onclick: () => this.#settle(null) }, "Take back");

  /** @param {import("../../typescript/api").DisagreementEntry} item */
  constructor(item) {
    this.#item = item;
    this.#holds = item.holds;
    const asked = askedAbout(item.clips.length);
    const thumbnails = item.clips.map((clip, i) => thumbnail(asked === "pair" ? SIDES[i] : String(i + 1), clip));
    if (asked === "ranking") thumbnails.forEach(({ frame }, i) => frame.append(element("span", { class: "number" }, String(i + 1))));
    this.#player = new Player(thumbnails.map(({ video }) => video));
    this.#rows = item.opinions.map((opinion) => this.#row(opinion));
    const clips = element(
      "div",
      { class: CLIPS[asked], dataset: { clips: String(item.clips.length) } },
      ...thumbnails.map(({ root }) => root),
    );
    const opinions = element("ul", { class: "opinions", "aria-label": "Who says what" }, ...this.#rows.map(({ row }) => row));
    this.root = element("li", { class: "answer card" }, clips, opinions, this.#state, this.#takeBack);
    if (lessMotion()) {
      this.root.addEventListener("pointerenter", () => this.#player.replay());
      this.root.addEventListener("pointerleave", () => this.#player.stop());
    }
    this.#show();
  }

  /** Play while it is in sight; hold no clip while it is not. @param {boolean} seen */
  see(seen) {
    if (seen === this.#isLoaded) return;
    this.#isLoaded = seen;
    if (!seen) {
      this.#player.unload();
      return;
    }
    const play = () => this.#isLoaded && !lessMotion() && this.#player.play();
    this.#player.load(this.#item.clips.map(({ clip }) => clip)).then(play, () => undefined);
  }

  /** @param {import("../../typescript/api").OpinionReply} opinion */
  #row(opinion) {
    const { labeler, remark, comment } = opinion;
    const words = inWords(opinion);
    const says = `${labeler}: ${words.slice(0, 1).toLowerCase()}${words.slice(1)}`;
    const more = [remark === null ? null : REASONS[remark], comment].filter((text) => text !== null);
    const button = element(
      "button",
      { type: "button", "aria-label": `This holds. ${says}`, onclick: () => this.#settle(labeler) },
      "This holds",
    );
    const remarks = more.length === 0 ? [] : [element("span", { class: "quiet" }, ` (${more.join(": ")})`)];
    const row = element("li", {}, element("span", { class: "says" }, says, ...remarks), button);
    return { labeler, row, button };
  }

  /** @param {string | null} labeler Whose answer holds from now on; null for all again. */
  async #settle(labeler) {
    if (labeler === this.#holds) return;
    try {
      await request("/api/settle", { body: { query_id: this.#item.query_id, labeler } });
    } catch (error) {
      banner("disagreements", sentenceOf(error));
      return;
    }
    banner("disagreements", "");
    const more = Number(labeler !== null) - Number(this.#holds !== null);
    this.#holds = labeler;
    if (labeler === null) this.#rows[0]?.button.focus(); // before the button that was pressed goes
    this.#show();
    announce(labeler === null ? "Taken back: all answers count again." : `Settled: what ${labeler} says holds.`);
    this.root.dispatchEvent(new CustomEvent("settled", { detail: more }));
  }

  #show() {
    const holds = this.#holds;
    this.root.dataset.settled = String(holds !== null);
    for (const { labeler, row, button } of this.#rows) {
      row.dataset.holds = String(labeler === holds);
      button.setAttribute("aria-pressed", String(labeler === holds));
    }
    this.#takeBack.hidden = holds === null;
    this.#state.replaceChildren(holds === null ? "Not settled" : element("span", { class: "mark" }, "✓ Settled"));
    if (holds === null || this.#rows.some(({ labeler }) => labeler === holds)) return;
    this.#state.append(`Nothing is learned from these clips: ${holds}, whose answer holds, has taken it back or is set aside.`);
  }
}
