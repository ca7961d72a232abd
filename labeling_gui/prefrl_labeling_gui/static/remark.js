// What somebody wants to say of clips besides the answer: that a clip is broken, or why they cannot tell.

import { element } from "./dom.js";
import { addAct, openDialog } from "./help.js";

/** @typedef {NonNullable<import("../../typescript/api").AnswerRequest["remark"]>} Reason */
/** @typedef {{remark: Reason | null, comment: string | null}} Remark */

/** @type {Record<Reason, string>} */
export const REASONS = {
  broken: "A clip is broken",
  alike: "They are too alike",
  incomparable: "Each is better in its own way",
  unclear: "The question does not fit",
};
/** Those that are about several clips. @type {readonly string[]} */
const OF_SEVERAL = Object.freeze(["alike", "incomparable"]);

/** What is said of clips of which nothing is said. @type {Readonly<Remark>} */
export const NONE = Object.freeze({ remark: null, comment: null });

/**
 * Ask for a remark; it goes with the answer, and changes nothing about that.
 * @param {Readonly<Remark>} before What was remarked of these clips before.
 * @param {number} n Clips there are.
 * @param {number} longest Characters that a comment may have.
 * @param {(said: Remark) => void} keep
 */
export function askForRemark(before, n, longest, keep) {
  const reasons = Object.entries(REASONS).filter(([value]) => n > 1 || !OF_SEVERAL.includes(value));
  const reason = element(
    "select",
    { id: "reason" },
    element("option", { value: "" }, "Nothing of these"),
    ...reasons.map(([value, text]) => element("option", { value }, text)),
  );
  reason.value = before.remark ?? "";
  const words = element("textarea", { id: "comment", rows: 3, maxLength: longest, value: before.comment ?? "" });
  const done = () => {
    keep({ remark: /** @type {Reason | null} */ (reason.value || null), comment: words.value.trim() || null });
    dialog.close();
  };
  const dialog = openDialog(
    n > 1 ? "A remark on these clips" : "A remark on this clip",
    element("p", {}, "It is stored with your answer, for whoever looks at the answers later. Nothing is learned from it."),
    element(
      "div",
      { class: "fields" },
      element("label", {}, element("span", {}, "In your own words"), words),
      element("label", {}, element("span", {}, "What is the matter"), reason),
    ),
  );
  addAct(dialog, "Keep", done);
  words.focus();
}
