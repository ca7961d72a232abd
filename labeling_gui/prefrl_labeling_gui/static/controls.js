// The buttons: every action is one, with its key on it.

import { element, number } from "./dom.js";
import { ACTIONS, ariaKeys, keyLabel } from "./keys.js";

const ANSWERS = [
  { action: "left", wide: "Left is better", stacked: "Upper is better", swipe: "↑" },
  { action: "equal", wide: "Equally good", stacked: "Equally good", swipe: "←" },
  { action: "cannot_tell", wide: "Can’t tell", stacked: "Can’t tell", swipe: "→" },
  { action: "right", wide: "Right is better", stacked: "Lower is better", swipe: "↓" },
];
const SHORT = { left: "left", right: "right", equal: "equal", cannot_tell: "can’t tell" };

/**
 * @param {HTMLElement} answers Where the answers go.
 * @param {HTMLElement} tools Where playing and undo go.
 * @param {(action: string) => void} act
 */
export function buildControls(answers, tools, act) {
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
  answers.replaceChildren(
    ...ANSWERS.map(({ action, wide, stacked, swipe }) =>
      button(
        action,
        `answer ${action}`,
        element("span", { class: "wide" }, wide),
        element("span", { class: "stacked" }, stacked),
        element("span", { class: "swipe", "aria-hidden": "true" }, swipe),
      ),
    ),
  );
  const play = element("span", {}, "Pause");
  const rate = element("output", { id: "rate", "aria-label": "Speed" });
  const undoes = element("span", { class: "undoes" });
  const speed = element("span", { class: "speed" });
  tools.replaceChildren(
    button("undo", "tool", element("span", {}, "Undo", undoes)),
    element("span", { class: "space" }),
    button("replay", "tool", "Replay"),
    button("pause", "tool", play),
    button("step", "tool", "Step"),
    button("slower", "tool", ...worded("Slower", "−")),
    rate,
    button("faster", "tool", ...worded("Faster", "+")),
    element("span", { class: "space" }),
    speed,
  );
  return {
    /** Write the keys onto the buttons. @param {import("./keys.js").KeyMap} keys */
    showKeys(keys) {
      for (const { id } of ACTIONS) {
        const target = buttons.get(id);
        if (target === undefined) continue;
        target.made.setAttribute("aria-keyshortcuts", ariaKeys(keys[id]));
        target.keys.replaceChildren(...keys[id].map((key) => element("kbd", {}, keyLabel(key))));
      }
    },

    /** Let a button light up as if pressed. @param {string} action */
    press(action) {
      buttons.get(action)?.made.animate([{ filter: "brightness(1.25)", scale: "0.98" }, {}], 220);
    },

    /**
     * @param {{answerable: boolean, paused: boolean, rate: number, undoes: string | null, speed: number | null}} state
     */
    update({ answerable, paused, rate: playback, undoes: choice, speed: drawn }) {
      for (const { action } of ANSWERS) buttons.get(action).made.disabled = !answerable;
      for (const action of ["replay", "pause", "step"]) buttons.get(action).made.disabled = !answerable;
      buttons.get("undo").made.disabled = choice === null;
      play.textContent = paused ? "Play" : "Pause";
      rate.textContent = `${playback}×`;
      undoes.textContent = choice === null ? "" : ` “${SHORT[choice]}”`;
      speed.textContent = drawn === null ? "" : motion(drawn * playback);
    },
  };
}

/** @param {string} word @param {string} sign What stands for the word where there is little room. */
function worded(word, sign) {
  return [element("span", { class: "word" }, word), element("span", { class: "sign", "aria-hidden": "true" }, sign)];
}

/** @param {number} speed Seconds of the simulation in one second of the clip. @returns {string} */
function motion(speed) {
  if (Math.abs(speed - 1) < 0.05) return "Real time";
  const times = (ratio) => `${number(Math.round(10 * ratio) / 10)}×`;
  return speed < 1 ? `Slow motion, ${times(1 / speed)}` : `${times(speed)} faster than real`;
}
