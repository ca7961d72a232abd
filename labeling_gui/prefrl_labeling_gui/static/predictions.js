// What the reward model makes of each step, drawn below the clips: only of those that are answered already.

import { ApiError, request } from "./api.js";
import { number, svg } from "./dom.js";
import { orderOf } from "./ranking.js";
import { chosen, inWords } from "./said.js";

const WIDTH = 100;
const HEIGHT = 30;

/**
 * Draw what is predicted below the clips, on one scale, and say which is better by it, or how good the only one is.
 * @typedef {{video: HTMLVideoElement, root: HTMLElement}} Thumbnail
 * @param {string} queryId
 * @param {Thumbnail[]} thumbnails
 * @param {HTMLElement} verdict Where it is said.
 * @returns {Promise<boolean>} False when there is none yet.
 */
export async function drawPredictions(queryId, thumbnails, verdict) {
  let reply;
  try {
    reply = await request(`/api/predictions?query_id=${queryId}`);
  } catch (error) {
    if (error instanceof ApiError) return false;
    throw error;
  }
  const values = reply.clips.flat();
  const range = { low: Math.min(...values), high: Math.max(...values) };
  thumbnails.forEach((thumbnail, i) => draw(thumbnail, reply.clips[i], range));
  const [low, high] = [range.low, range.high].map((value) => number(rounded(value)));
  verdict.textContent = `Reward model: ${judged(reply.clips.map(sum))} in all (a step: ${low} to ${high})`;
  return true;
}

/** @param {number[]} sums Predicted for each clip. @returns {string} Which is better by it, and the numbers. */
function judged(sums) {
  const numbers = sums.map((value) => number(rounded(value)));
  if (sums.length === 1) return numbers[0];
  if (sums.length > 2) {
    const greatest = [...new Set(sums)].sort((a, b) => b - a);
    return `${orderOf(sums.map((value) => greatest.indexOf(value)))}, with ${numbers.join(", ")}`;
  }
  const better = sums[0] === sums[1] ? "equal" : sums[0] > sums[1] ? "left" : "right";
  return `${inWords(chosen(better)).toLowerCase()}, ${numbers[0]} against ${numbers[1]}`;
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
