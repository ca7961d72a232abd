// What somebody chose for themselves. It stays in this browser; the server never hears of it.

import { checkedKeys } from "./keys.js";

const KEY = "prefrl.settings";

/** Playback rates that can be chosen, relative to the clip as drawn. */
export const RATES = Object.freeze([0.25, 0.5, 0.75, 1, 1.5, 2, 4]);
/** @type {Record<string, readonly any[]>} */
const CHOICES = {
  theme: ["auto", "light", "dark"],
  layout: ["auto", "side", "stacked"],
  ahead: [3, 10, 50],
  rate: RATES,
  helpSeen: [false, true],
};
/** @type {Record<string, any>} */
const DEFAULTS = { theme: "auto", layout: "auto", ahead: 3, rate: 1, helpSeen: false };

/** Emits "change". Values outside the lists above count as not chosen. */
class Settings extends EventTarget {
  constructor() {
    super();
    this.values = this.#read();
    addEventListener("storage", (event) => {
      if (event.key !== KEY) return;
      this.values = this.#read();
      this.#apply();
    });
  }

  /** Choose some values. @param {Record<string, any>} some */
  set(some) {
    this.values = checked({ ...this.values, ...some });
    try {
      localStorage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // A browser that keeps nothing: the choice holds until the page is left.
    }
    this.#apply();
  }

  #read() {
    try {
      return checked(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
    } catch {
      return checked({});
    }
  }

  #apply() {
    const { theme } = this.values;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {any} stored */
function checked(stored) {
  const values = Object.entries(CHOICES).map(([name, choices]) => [
    name,
    choices.includes(stored?.[name]) ? stored[name] : DEFAULTS[name],
  ]);
  return { ...Object.fromEntries(values), keys: checkedKeys(stored?.keys) };
}

export const settings = new Settings();
