// Points that glide from one map to another, so that the eye can follow each of them.

import { boundsOf } from "./geometry.js";

const DURATION_MS = 2200;
const PAUSE_MS = 500; // the first map stands still for a moment, to be seen as it was

/**
 * The places where points begin: those of `from` by image, their own where it has none.
 *
 * The axes of a map mean nothing, and two maps rarely have one scale: the first is moved and scaled
 * as a whole so that both fill the screen.
 */
export function placesBefore(points, from) {
  const rowById = new Map();
  from.ids.forEach((id, row) => rowById.set(id, row));
  const [here, there] = [spreadOf(points), spreadOf(from)];
  const scale = there.radius > 0 ? here.radius / there.radius : 1;
  const x = Float32Array.from(points.x);
  const y = Float32Array.from(points.y);
  points.ids.forEach((id, row) => {
    const before = rowById.get(id);
    if (before === undefined) return;
    x[row] = here.x + (from.x[before] - there.x) * scale;
    y[row] = here.y + (from.y[before] - there.y) * scale;
  });
  return { x, y };
}

/** The middle of all finite points, and half the longer side of the box around them. */
function spreadOf(points) {
  const { left, right, low, high } = boundsOf(points);
  return { x: (left + right) / 2, y: (low + high) / 2, radius: Math.max(right - left, high - low) / 2 };
}

/** Whether this person's system asks for less motion; then points jump. */
export function prefersStillness() {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Calls `show({x, y})` frame by frame on the way from `start` to `points`; ends when `isOver()`. */
export async function glide(points, start, show, isOver) {
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  const began = performance.now();
  const x = Float32Array.from(start.x);
  const y = Float32Array.from(start.y);
  for (;;) {
    const now = await new Promise(requestAnimationFrame);
    if (isOver()) return;
    const share = Math.min(1, Math.max(0, (now - began) / DURATION_MS));
    const eased = share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
    for (let row = 0; row < points.n; row++) {
      x[row] = start.x[row] + (points.x[row] - start.x[row]) * eased;
      y[row] = start.y[row] + (points.y[row] - start.y[row]) * eased;
    }
    await show({ x, y });
    if (share === 1) return;
  }
}
