// What the reward model makes of each step, drawn below both clips: only of pairs that are answered already.

import { ApiError, request } from "./api.js";
import { number, svg } from "./dom.js";
import { layout } from "./layout.js";

const WIDTH = 100;
const HEIGHT = 30;

/**
 * Draw what is predicted below both clips, on one scale, and say which is better by it.
 * @typedef {{video: HTMLVideoElement, root: HTMLElement}} Thumbnail
 * @param {string} queryId
 * @param {Thumbnail} left
 * @param {Thumbnail} right
 * @param {HTMLElement} verdict Where it is said.
 * @returns {Promise<boolean>} False when there is none yet.
 */
export async function drawPredictions(queryId, left, right, verdict) {
  let reply;
  try {
    reply = await request(`/api/predictions?query_id=${queryId}`);
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
  const values = [...reply.left, ...reply.right];
  const range = { low: Math.min(...values), high: Math.max(...values) };
  draw(left, reply.left, range);
  draw(right, reply.right, range);
  const [first, second] = [reply.left, reply.right].map(sum);
  const better = first === second ? "equal" : first > second ? "left" : "right";
  verdict.textContent =
    `Reward model: ${layout.words[better].toLowerCase()}, ${number(rounded(first))} against ${number(rounded(second))} ` +
    `in all (a step: ${number(rounded(range.low))} to ${number(rounded(range.high))})`;
  return true;
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** @param {number} value */
function rounded(value) {
  return Math.round(100 * value) / 100;
}

/** @param {Thumbnail} thumbnail @param {number[]} rewards @param {{low: number, high: number}} range */
function draw({ video, root }, rewards, { low, high }) {
  const scale = (HEIGHT - 4) / (high - low || 1);
  const points = rewards.map((reward, step) => {
    const x = (step / Math.max(1, rewards.length - 1)) * WIDTH;
    return `${x.toFixed(2)},${(HEIGHT - 2 - (reward - low) * scale).toFixed(2)}`;
  });
  const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT });
  const curve = svg("polyline", { points: points.join(" "), fill: "none", "vector-effect": "non-scaling-stroke" });
  const title = svg("title");
  title.textContent = "Predicted reward along the clip";
  const box = { class: "predicted", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
  root.append(svg("svg", box, title, curve, cursor));
  const follow = () => {
    const x = video.duration > 0 ? (video.currentTime / video.duration) * WIDTH : 0;
    cursor.setAttribute("x1", String(x));
    cursor.setAttribute("x2", String(x));
    video.requestVideoFrameCallback(follow);
  };
  video.requestVideoFrameCallback(follow);
}
