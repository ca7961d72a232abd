// A swipe over the clips answers: towards the better clip, farther where it is much better, and across for the rest.
// What letting go would say is shown while the finger still moves, so that nobody has to remember it.

const LEAST = 56;
/** How far a swipe has to go to say "much": so many pixels, and this share of the clips. */
const FAR = 150;
const FAR_SHARE = 0.35;
const BESIDE = { left: "left", right: "right", up: "equal", down: "cannot_tell" };
const STACKED = { up: "left", down: "right", left: "equal", right: "cannot_tell" };

/**
 * @param {HTMLElement} stage
 * @param {{stacked: () => boolean, choices: readonly string[], preview: (choice: string | null) => void,
 *          choose: (choice: string) => void}} options
 */
export function listenForSwipes(stage, { stacked, choices, preview, choose }) {
  let start = null;
  let choice = null;

  /** @param {string | null} next */
  const show = (next) => {
    if (next !== choice) preview(next);
    choice = next;
  };
  const end = () => {
    start = null;
    show(null);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" || !event.isPrimary) return;
    start = { x: event.clientX, y: event.clientY, id: event.pointerId };
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (start === null || event.pointerId !== start.id) return;
    const x = event.clientX - start.x;
    const y = event.clientY - start.y;
    const length = Math.hypot(x, y);
    const sideways = Math.abs(x) > Math.abs(y);
    const far = Math.max(FAR, FAR_SHARE * (sideways ? stage.clientWidth : stage.clientHeight));
    const direction = sideways ? (x < 0 ? "left" : "right") : y < 0 ? "up" : "down";
    const plain = (stacked() ? STACKED : BESIDE)[direction];
    const much = length >= far && choices.includes(`much_${plain}`);
    show(length < LEAST ? null : much ? `much_${plain}` : plain);
  });
  stage.addEventListener("pointerup", () => {
    const chosen = choice;
    end();
    if (chosen !== null) choose(chosen);
  });
  stage.addEventListener("pointercancel", end);
}
