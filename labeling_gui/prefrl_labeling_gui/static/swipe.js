// A swipe over the clips answers: towards the better clip, and across for the rest. What letting go would say is
// shown while the finger still moves, so that nobody has to remember it.

const LEAST = 56;
const BESIDE = { left: "left", right: "right", up: "equal", down: "cannot_tell" };
const STACKED = { up: "left", down: "right", left: "equal", right: "cannot_tell" };

/**
 * @param {HTMLElement} stage
 * @param {{stacked: () => boolean, preview: (choice: string | null) => void, choose: (choice: string) => void}} options
 */
export function listenForSwipes(stage, { stacked, preview, choose }) {
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
    const far = Math.hypot(x, y) >= LEAST;
    const direction = Math.abs(x) > Math.abs(y) ? (x < 0 ? "left" : "right") : y < 0 ? "up" : "down";
    show(far ? (stacked() ? STACKED : BESIDE)[direction] : null);
  });
  stage.addEventListener("pointerup", () => {
    const chosen = choice;
    end();
    if (chosen !== null) choose(chosen);
  });
  stage.addEventListener("pointercancel", end);
}
