// The buttons: every action is one, with its key on it.

import { element, lessMotion, number } from "./dom.js";
import { ariaKeys, keyLabel, knownActions } from "./keys.js";
import { layout } from "./layout.js";
import { levelAction } from "./rating.js";

const PULSE_MS = 350;

/**
 * @param {import("./asked.js").Asked} asked
 * @param {readonly string[]} says What may be said and what helps to say it, from left to right.
 * @param {HTMLElement} answers Where the answers go.
 * @param {HTMLElement} tools Where playing and undo go.
 * @param {(action: string) => void} act
 */
export function buildControls(asked, says, answers, tools, act) {
  const buttons = new Map();
  /** @param {string} action @param {string} kind @param {...(Node | string)} content */
  const button = (action, kind, ...content) => {
    const keys = element("span", { class: "caps", "aria-hidden": "true" });
    const made = element("button", { type: "button", class: kind, id: `do-${action}` }, ...content, keys);
    made.addEventListener("click", (event) => {
      act(action);
      // A mouse leaves the focus on what it pressed; the space bar would then press it again.
      if (event.detail > 0) made.blur();
    });
    buttons.set(action, { made, keys });
    return made;
  };
  answers.dataset.choices = String(says.length);
  answers.replaceChildren(
    ...says.map((action) =>
      button(
        action,
        `answer ${action}`,
        element("span", { class: "says" }),
        element("span", { class: "swipe", "aria-hidden": "true" }),
      ),
    ),
  );
  const play = element("span", {}, "Pause");
  const rate = element("output", { id: "rate", "aria-label": "Speed" });
  const undoes = element("span", { class: "undoes" });
  tools.replaceChildren(
    button("undo", "tool", element("span", {}, "Undo", undoes)),
    element("span", { class: "space" }),
    button("remark", "tool", ...worded("Remark", "✎")),
    button("replay", "tool", "Replay"),
    button("pause", "tool", play),
    button("step", "tool", "Step"),
    button("slower", "tool", ...worded("Slower", "−")),
    rate,
    button("faster", "tool", ...worded("Faster", "+")),
  );
  return {
    /** Write the keys onto the buttons. @param {import("./keys.js").KeyMap} keys */
    showKeys(keys) {
      for (const { id } of knownActions()) {
        const target = buttons.get(id);
        if (target === undefined) continue;
        target.made.setAttribute("aria-keyshortcuts", ariaKeys(keys[id]));
        const unsaid = keys[id].filter((key) => levelAction(key) !== id); // a level's number is on its button already
        target.keys.replaceChildren(...unsaid.map((key) => element("kbd", {}, keyLabel(key))));
      }
    },

    /** Let a button light up: only there, as the next pair is seen already. @param {string} action */
    press(action) {
      const lit = { backgroundColor: "color-mix(in srgb, var(--tone, var(--quiet)) 32%, var(--surface))" };
      // Who wants less motion sees the light go on and off, without a fade.
      const frames = lessMotion() ? [lit, lit] : [{ ...lit, scale: "0.97" }, {}];
      buttons.get(action)?.made.animate(frames, { duration: PULSE_MS, id: "pressed" });
    },

    /**
     * @param {{answerable: boolean, playable: boolean, paused: boolean, rate: number, undoes: string | null,
     *          speed: number | null, remarked: boolean, ranking: import("./ranking.js").Ranking}} state What undo takes
     *   back is null where there is nothing; the speed, where it is not known.
     */
    update({ answerable, playable, remarked, paused, rate: playback, undoes: latest, speed: drawn, ranking }) {
      for (const action of says) {
        const { made } = buttons.get(action);
        made.disabled = !answerable || (action === "send" && !ranking.isComplete);
        if (action === "tie") made.setAttribute("aria-pressed", String(ranking.shares));
        made.querySelector(".says").textContent = layout.words[action];
        made.querySelector(".swipe").textContent = asked === "pair" ? layout.swipes[action] : "";
      }
      buttons.get("remark").made.disabled = !answerable;
      for (const action of ["replay", "pause", "step"]) buttons.get(action).made.disabled = !playable;
      buttons.get("remark").made.setAttribute("aria-pressed", String(remarked));
      buttons.get("undo").made.disabled = latest === null;
      play.textContent = paused ? "Play" : "Pause";
      rate.dataset.rate = String(playback);
      const [first, rest] = drawn === null ? [`${number(playback)}×`, ""] : speedWords(drawn * playback);
      rate.replaceChildren(first, element("span", { class: "than" }, rest));
      undoes.textContent = latest === null ? "" : ` “${latest}”`;
    },
  };
}

/** @param {string} word @param {string} sign What stands for the word where there is little room. */
function worded(word, sign) {
  return [element("span", { class: "word" }, word), element("span", { class: "sign", "aria-hidden": "true" }, sign)];
}

/**
 * How fast the clips play, compared with the simulated world.
 * @param {number} speed Seconds of the simulation in one second of playing.
 * @returns {[string, string]} What must be said, and what is left out where there is little room.
 */
function speedWords(speed) {
  if (Math.abs(speed - 1) < 0.05) return ["real", " speed"];
  const times = (ratio) => `${number(Math.round(10 * ratio) / 10)}×`;
  return speed < 1 ? [`${times(1 / speed)} slower`, " than real"] : [`${times(speed)} faster`, " than real"];
}
