// What the reward model makes of each step, drawn along both clips: only of pairs that are answered already.

import { ApiError, request } from "./api.js";
import { svg } from "./dom.js";

const WIDTH = 100;
const HEIGHT = 30;

/**
 * @typedef {{video: HTMLVideoElement, frame: HTMLElement}} Thumbnail
 * @param {string} queryId
 * @param {Thumbnail} left
 * @param {Thumbnail} right
 * @returns {Promise<boolean>} False when there is none yet.
 */
export async function drawPredictions(queryId, left, right) {
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
  return true;
}

/** @param {Thumbnail} thumbnail @param {number[]} rewards @param {{low: number, high: number}} range */
function draw({ video, frame }, rewards, { low, high }) {
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
  frame.append(svg("svg", box, title, curve, cursor));
  const follow = () => {
    const x = video.duration > 0 ? (video.currentTime / video.duration) * WIDTH : 0;
    cursor.setAttribute("x1", String(x));
    cursor.setAttribute("x2", String(x));
    video.requestVideoFrameCallback(follow);
  };
  video.requestVideoFrameCallback(follow);
}
