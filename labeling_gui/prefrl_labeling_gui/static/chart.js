// A curve over the steps of training: one measure, one chart.

import { element, number, svg } from "./dom.js";

const HEIGHT = 150;
const MARGIN = { top: 10, right: 12, bottom: 24, left: 52 };

/**
 * Draw a curve; what is not known (null) is left out. It follows the size of its place, and shows the value under
 * the pointer.
 * @param {HTMLElement} root
 * @param {{title: string, steps: number[], values: (number | null)[], format?: (value: number) => string}} data With
 *   at least one value.
 */
export function drawChart(root, { title, steps, values, format = number }) {
  const points = steps.flatMap((step, i) => (values[i] === null ? [] : [{ step, value: values[i] }]));
  const newest = points[points.length - 1];
  const now = element("strong", {}, format(newest.value));
  const heading = element("h3", {}, title, now);
  const width = Math.max(root.clientWidth - 2 * Number.parseFloat(getComputedStyle(root).paddingLeft), 160);
  const scale = scales(points, width, Math.max(...steps, 1));
  const places = points.map((point) => scale.place(point).join(","));
  const line = svg("polyline", { class: "curve", points: places.join(" ") });
  const [x, y] = scale.place(newest);
  const dot = svg("circle", { class: "here", cx: x, cy: y, r: 4 });
  const label = `${title}: ${format(newest.value)} after ${number(newest.step)} steps`;
  const chart = svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
    ...axes(scale, width, format),
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
  root.replaceChildren(heading, chart);
}

/** @param {{step: number, value: number}[]} points @param {number} width @param {number} last Step on the right. */
function scales(points, width, last) {
  const values = points.map(({ value }) => value);
  const ticks = roundTicks(Math.min(...values), Math.max(...values));
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
  const lines = scale.ticks.flatMap((value) => {
    const [, y] = scale.place({ step: 0, value });
    const text = svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" });
    text.textContent = format(value);
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
