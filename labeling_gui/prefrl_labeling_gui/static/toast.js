// What a swipe has said, for a moment, in the place of the question: the next clips stay free.

import { byId, lessMotion } from "./dom.js";

const MILLISECONDS = 1_200;
let hiding = 0;

/** @param {string} sentence @param {number} [milliseconds] For which it is seen. */
export function showToast(sentence, milliseconds = MILLISECONDS) {
  const toast = byId("toast");
  toast.textContent = sentence;
  toast.hidden = false;
  toast.getAnimations().forEach((animation) => animation.cancel());
  if (!lessMotion()) toast.animate([{ opacity: 1 }, { opacity: 1, offset: 0.75 }, { opacity: 0 }], milliseconds);
  clearTimeout(hiding);
  hiding = setTimeout(() => (toast.hidden = true), milliseconds);
}
