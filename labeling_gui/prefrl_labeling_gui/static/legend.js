// Which colour is which part of the body.

import { element } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {import("../../typescript/api").LegendEntry[]} legend Empty where clips have the environment's own colours.
 */
export function showLegend(root, legend) {
  root.hidden = legend.length === 0;
  root.replaceChildren(
    ...legend.map(({ name, colour }) => {
      const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.backgroundColor = colour;
      return element("li", {}, swatch, name);
    }),
  );
}
