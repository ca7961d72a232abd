// The dialog in which somebody suits the page to themselves.

import { element } from "./dom.js";
import { openDialog } from "./help.js";
import { actionName, defaultKeys, isAllowed, keyLabel, keyOf, knownActions, withKey } from "./keys.js";
import { settings } from "./settings.js";

const THEMES = { auto: "As the system", light: "Light", dark: "Dark" };
const LAYOUTS = { auto: "By screen size", side: "Side by side", stacked: "One above the other" };
const AHEAD = { 3: "3: the newest behaviour", 10: "10: for a slow network", 50: "50: for a journey without network" };

/** Show the settings. */
export function showSettings() {
  const said = element("p", { class: "said", role: "status" });
  const table = element("div", { class: "key-table" });
  showKeys(table, said);
  openDialog(
    "Settings",
    element(
      "div",
      { class: "fields" },
      choice("Colours", "theme", THEMES, String),
      choice("Two clips", "layout", LAYOUTS, String),
      choice("Questions loaded ahead", "ahead", AHEAD, Number),
    ),
    element("h3", {}, "Keys"),
    element("p", { class: "quiet" }, "Press a button, then the key that you want. Ctrl-Z and ⌘-Z always undo."),
    table,
    said,
    element(
      "p",
      {},
      element(
        "button",
        {
          type: "button",
          onclick: () => {
            settings.set({ keys: defaultKeys() });
            showKeys(table, said);
            said.textContent = "All keys are reset.";
          },
        },
        "Reset all keys",
      ),
    ),
  );
}

/**
 * @param {string} name
 * @param {string} setting
 * @param {Record<string, string>} options What is shown, by value.
 * @param {(text: string) => any} read Make a value of an option's.
 */
function choice(name, setting, options, read) {
  const select = element(
    "select",
    { onchange: () => settings.set({ [setting]: read(select.value) }) },
    ...Object.entries(options).map(([value, text]) => element("option", { value }, text)),
  );
  select.value = String(settings.values[setting]);
  return element("label", {}, element("span", {}, name), select);
}

/** @param {HTMLElement} table @param {HTMLElement} said */
function showKeys(table, said) {
  const rows = knownActions().map(({ id, name }) => {
    const caps = settings.values.keys[id].map((key) => element("kbd", {}, keyLabel(key)));
    const button = element(
      "button",
      { type: "button", "aria-label": `Key for: ${name}`, dataset: { action: id }, onclick: () => listen(button) },
      ...caps,
    );
    return element("div", {}, element("span", {}, name), button);
  });
  table.replaceChildren(...rows);

  /** @param {HTMLButtonElement} button */
  function listen(button) {
    const action = button.dataset.action ?? "";
    const name = actionName(action) ?? "";
    button.replaceChildren("Press a key");
    button.classList.add("listening");
    const finish = (sentence) => {
      button.removeEventListener("keydown", take);
      button.removeEventListener("blur", leave);
      showKeys(table, said);
      /** @type {HTMLElement | null} */ (table.querySelector(`[data-action="${action}"]`))?.focus();
      said.textContent = sentence;
    };
    const leave = () => finish("");
    /** @param {KeyboardEvent} event */
    const take = (event) => {
      if (["Shift", "Control", "Alt", "Meta", "AltGraph"].includes(event.key)) return;
      if (event.key === "Tab") return;
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Escape") return leave();
      const key = keyOf(event);
      if (!isAllowed(key)) return finish(`${event.key} cannot be used here. Letters, digits, arrows and signs can.`);
      const { keys, loser } = withKey(settings.values.keys, action, key);
      settings.set({ keys });
      const other = actionName(loser);
      finish(
        loser === null
          ? `${keyLabel(key)} is now “${name}”.`
          : `${keyLabel(key)} is now “${name}”; “${other}” is on ${keyLabel(keys[loser][0])}.`,
      );
    };
    button.addEventListener("keydown", take);
    button.addEventListener("blur", leave);
  }
}
