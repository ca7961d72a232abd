// How two clips lie: beside each other, or one above the other. It is decided here and nowhere else, so that the
// styles, the words on the buttons and the meaning of a swipe never contradict what is seen.

import { LEVELS, levelAction, levelName } from "./rating.js";
import { settings } from "./settings.js";

const ALWAYS = {
  equal: "Equally good",
  cannot_tell: "Can’t tell",
  tie: "Equal to the one before",
  send: "Send ranking",
  ...Object.fromEntries(LEVELS.map((level) => [levelAction(level), levelName(level)])),
};
const WORDS = {
  side: {
    ...ALWAYS,
    left: "Left is better",
    right: "Right is better",
    much_left: "Left is much better",
    much_right: "Right is much better",
  },
  stacked: {
    ...ALWAYS,
    left: "Upper is better",
    right: "Lower is better",
    much_left: "Upper is much better",
    much_right: "Lower is much better",
  },
};
const ALWAYS_SHORT = { equal: "equal", cannot_tell: "can’t tell" };
const SHORT = {
  side: { ...ALWAYS_SHORT, left: "left", right: "right", much_left: "much left", much_right: "much right" },
  stacked: { ...ALWAYS_SHORT, left: "upper", right: "lower", much_left: "much upper", much_right: "much lower" },
};
const SWIPES = {
  side: { left: "←", right: "→", equal: "↑", cannot_tell: "↓", much_left: "⇇", much_right: "⇉" },
  stacked: { left: "↑", right: "↓", equal: "←", cannot_tell: "→", much_left: "⇈", much_right: "⇊" },
};
// By shape, not by the room that is left for the clips: a banner that comes must not rearrange them.
const UPRIGHT = matchMedia("(max-aspect-ratio: 3/4)");

/** Emits "change". */
class Layout extends EventTarget {
  constructor() {
    super();
    UPRIGHT.addEventListener("change", () => this.#apply());
    settings.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  /** @returns {"side" | "stacked"} */
  get name() {
    const { layout } = settings.values;
    return layout === "auto" ? (UPRIGHT.matches ? "stacked" : "side") : layout;
  }

  /** What each choice, and each button beside them, is called. @returns {Record<string, string>} */
  get words() {
    return WORDS[this.name];
  }

  /** The same in one word. @returns {Record<string, string>} */
  get short() {
    return SHORT[this.name];
  }

  /** Where to swipe for each choice. @returns {Record<string, string>} */
  get swipes() {
    return SWIPES[this.name];
  }

  #apply() {
    const { dataset } = document.documentElement;
    if (dataset.layout === this.name) return;
    dataset.layout = this.name;
    this.dispatchEvent(new Event("change"));
  }
}

export const layout = new Layout();
