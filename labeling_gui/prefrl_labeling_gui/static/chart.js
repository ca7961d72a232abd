// A curve over the steps of training: one measure, one chart.

import { element, number, svg } from "./dom.js";

const HEIGHT = 150;
const MARGIN = { top: 10, right: 12, bottom: 24, left: 52 };

/**
 * @typedef {object} Curve With at least one value.
 * @property {string} title
 * @property {string} says What it shows, in a sentence.
 * @property {number[]} steps
 * @property {(number | null)[]} values
 * @property {(value: number) => string} [format]
 * @property {number[]} [ticks] Of the axis, where they do not follow from the values.
 * @property {number} [average] Draw the mean of so many latest values, and the values themselves thinly.
 */

/**
 * Draw a curve; what is not known (null) is left out. It follows the size of its place, and shows the value under
 * the pointer.
 * @param {HTMLElement} root
 * @param {Curve} curve
 */
export function drawChart(root, { title, says, steps, values, format = number, ticks, average = 1 }) {
  const known = steps.flatMap((step, i) => {
    const value = values[i];
    return value === null ? [] : [{ step, value }];
  });
  const points = averaged(known, average);
  const newest = points[points.length - 1];
  const now = element("strong", {}, format(newest.value));
  const heading = element("h3", {}, title, now);
  const sentence = average > 1 ? `${says} Mean of the latest ${Math.min(average, known.length)}; thin: each.` : says;
  const width = Math.max(root.clientWidth - 2 * Number.parseFloat(getComputedStyle(root).paddingLeft), 160);
  const scale = scales(known, width, Math.max(...steps, 1), ticks);
  const path = (some) => some.map((point) => scale.place(point).join(",")).join(" ");
  const line = svg("polyline", { class: "curve", points: path(points) });
  const each = svg("polyline", { class: "each", points: average > 1 ? path(known) : "" });
  const [x, y] = scale.place(newest);
  const dot = svg("circle", { class: "here", cx: x, cy: y, r: 4 });
  const label = `${title}: ${format(newest.value)} after ${number(newest.step)} steps`;
  const chart = svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
    ...axes(scale, width, format),
    each,
    line,
    dot,
  );
  const show = (point) => {
    const [cx, cy] = scale.place(point);
    dot.setAttribute("cx", String(cx));
    dot.setAttribute("cy", String(cy));
    now.textContent = point === newest ? format(point.value) : `${format(point.value)} at ${number(point.step)}`;
  };
  chart.addEventListener("pointermove", (event) => {
    const step = scale.stepAt(event.clientX - chart.getBoundingClientRect().left);
    show(points.reduce((best, point) => (Math.abs(point.step - step) < Math.abs(best.step - step) ? point : best)));
  });
  chart.addEventListener("pointerleave", () => show(newest));
  root.replaceChildren(heading, chart, element("p", { class: "says" }, sentence));
}

/**
 * @typedef {{step: number, value: number}} Point
 * @param {Point[]} points
 * @param {number} n
 * @returns {Point[]} Each with the mean of the latest `n` values.
 */
function averaged(points, n) {
  return points.map(({ step }, i) => {
    const latest = points.slice(Math.max(0, i - n + 1), i + 1);
    return { step, value: latest.reduce((sum, { value }) => sum + value, 0) / latest.length };
  });
}

/**
 * @param {Point[]} points
 * @param {number} width
 * @param {number} last Step on the right.
 * @param {number[]} [fixed] Ticks.
 */
function scales(points, width, last, fixed) {
  const values = points.map(({ value }) => value);
  const ticks = fixed ?? roundTicks(Math.min(...values), Math.max(...values));
  const [low, high] = [ticks[0], ticks[ticks.length - 1]];
  const room = { x: width - MARGIN.left - MARGIN.right, y: HEIGHT - MARGIN.top - MARGIN.bottom };
  return {
    ticks,
    last,
    /** @param {{step: number, value: number}} point */
    place: ({ step, value }) => [
      Number((MARGIN.left + (step / last) * room.x).toFixed(1)),
      Number((MARGIN.top + (1 - (value - low) / (high - low)) * room.y).toFixed(1)),
    ],
    /** @param {number} x */
    stepAt: (x) => ((x - MARGIN.left) / room.x) * last,
  };
}

/** @param {ReturnType<typeof scales>} scale @param {number} width @param {(value: number) => string} format */
function axes(scale, width, format) {
  let before = "";
  const lines = scale.ticks.flatMap((value) => {
    const [, y] = scale.place({ step: 0, value });
    const text = svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" });
    const said = format(value);
    text.textContent = said === before ? "" : said; // steps finer than what is said would say the same twice
    before = said;
    return [svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }), text];
  });
  const ends = [
    [MARGIN.left, "start", "0"],
    [width - MARGIN.right, "end", `${number(scale.last)} steps`],
  ].map(([x, anchor, words]) => {
    const text = svg("text", { x, y: HEIGHT - 6, "text-anchor": anchor });
    text.textContent = String(words);
    return text;
  });
  return [...lines, ...ends];
}

/**
 * Two to five round numbers that enclose a range.
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
export function roundTicks(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const first = Math.floor(low / unit);
  const last = Math.max(Math.ceil(high / unit), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * unit).toPrecision(12)));
}
