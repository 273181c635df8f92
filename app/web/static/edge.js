// @ts-check
// What lies around a photo that is smaller than its square: its own edge, enlarged and blurred, as app/render/edge.py
// says. It depends on the photo alone, so it is made once and costs nothing while the photo is moved. All by drawing:
// Safari's canvas has no filters, and what is read from a canvas is noise in browsers that hide who reads.

import { MIN_ZOOM } from "./limits.js";
import { canvasOf, contextOf } from "./photo.js";

const ENLARGED = 4;

// Sigma and reach as there, in shares of the photo's shorter side. Of that, so many pixels are enough for what is
// blurred so; with more, each would be drawn over more often, and the colours darken.
const BLURS = [
  { sigma: 0.01, reach: 0.012, side: 64 },
  { sigma: 0.04, reach: 0.05, side: 24 },
  { sigma: 0.2, reach: 0.2, side: 12 },
];
const SIDE = 240;

// A gradient is made of straight pieces; of so many it looks as smooth as the ramp of edge.py.
const PIECES = 8;

/**
 * @param {HTMLCanvasElement} photo
 * @returns {import("./photo.js").Surroundings} all that the largest square can show
 */
export function surround(photo) {
  const scale = Math.min(1, SIDE / Math.min(photo.width, photo.height));
  const width = Math.max(1, Math.round(photo.width * scale));
  const height = Math.max(1, Math.round(photo.height * scale));
  const shorter = Math.min(width, height);
  const gap = Math.ceil(shorter / MIN_ZOOM - shorter);
  const canvas = canvasOf(width + 2 * gap, height + 2 * gap);
  const context = contextOf(canvas);
  context.drawImage(photo, gap, gap, width, height);
  stretch(context, gap, width, true);
  stretch(context, gap, height, false);
  const box = { x: gap, y: gap, width, height };
  const [near, ...farther] = BLURS;
  // All but what touches the photo is put together from few pixels.
  const small = reduce(canvas, Math.min(1, near.side / shorter));
  const times = small.width / canvas.width;
  let backdrop = blur(small, near.sigma * shorter * times);
  for (const { sigma, reach, side } of farther) {
    const smaller = reduce(small, Math.min(1, side / (shorter * times)));
    const blurred = blur(smaller, (sigma * shorter * smaller.width) / canvas.width);
    backdrop = lay(backdrop, blurred, box, reach * shorter, times);
  }
  return { canvas: lay(canvas, backdrop, box, near.reach * shorter, 1), across: gap / width, down: gap / height };
}

/**
 * Lay a canvas that ends softly outside of a box over another, which is brought to its size.
 * @param {HTMLCanvasElement} upper
 * @param {HTMLCanvasElement} lower
 * @param {{x: number, y: number, width: number, height: number}} box
 * @param {number} reach
 * @param {number} times how much smaller both are than where box and reach are told
 */
function lay(upper, lower, box, reach, times) {
  const canvas = canvasOf(upper.width, upper.height);
  const context = contextOf(canvas);
  context.imageSmoothingQuality = "medium";
  context.drawImage(lower, 0, 0, canvas.width, canvas.height);
  fade(upper, box, reach, times);
  context.drawImage(upper, 0, 0);
  return canvas;
}

/**
 * Mirror what lies at both ends of a length, enlarged away from it.
 * @param {CanvasRenderingContext2D} context
 * @param {number} gap
 * @param {number} length
 * @param {boolean} isAcross
 */
function stretch(context, gap, length, isAcross) {
  const { canvas } = context;
  const depth = Math.min(Math.ceil(gap / ENLARGED), length);
  const times = gap / depth;
  for (const [end, from] of depth ? [[gap, gap], [gap + length, gap + length - depth]] : []) {
    const back = end * (1 + times);
    if (isAcross) context.setTransform(-times, 0, 0, 1, back, 0);
    else context.setTransform(1, 0, 0, -times, 0, back);
    const [left, top, width, height] = isAcross ? [from, 0, depth, canvas.height] : [0, from, canvas.width, depth];
    context.drawImage(canvas, left, top, width, height, left, top, width, height);
  }
}

/** @param {HTMLCanvasElement} canvas @param {number} scale */
function reduce(canvas, scale) {
  const small = canvasOf(Math.max(1, Math.round(canvas.width * scale)), Math.max(1, Math.round(canvas.height * scale)));
  contextOf(small).drawImage(canvas, 0, 0, small.width, small.height);
  return small;
}

/**
 * Blur as Gauss does, by drawing a small canvas over itself again and again.
 * @param {HTMLCanvasElement} canvas
 * @param {number} sigma in its pixels
 */
function blur(canvas, sigma) {
  for (const [x, y] of [[1, 0], [0, 1]]) {
    const blurred = reduce(canvas, 1);
    const context = contextOf(blurred);
    let total = 0;
    // The lightest first: of what is drawn later more than one in 255 must be seen, and each has its share in the end.
    for (let n = Math.floor(3 * sigma); n >= 0; n--) {
      const weight = Math.exp(-((n / sigma) ** 2) / 2);
      for (const step of n ? [n, -n] : [0]) {
        total += weight;
        context.globalAlpha = weight / total;
        context.drawImage(canvas, step * x, step * y);
      }
    }
    canvas = blurred;
  }
  return canvas;
}

/**
 * Let a canvas end softly outside of a box.
 * @param {HTMLCanvasElement} canvas
 * @param {{x: number, y: number, width: number, height: number}} box
 * @param {number} reach
 * @param {number} times
 */
function fade(canvas, { x, y, width, height }, reach, times) {
  const context = contextOf(canvas);
  context.setTransform(times, 0, 0, times, 0, 0);
  context.globalCompositeOperation = "destination-in";
  const right = x + width + reach;
  const bottom = y + height + reach;
  for (const [gradient, share] of /** @type {[CanvasGradient, number][]} */ ([
    [context.createLinearGradient(x - reach, 0, right, 0), reach / (width + 2 * reach)],
    [context.createLinearGradient(0, y - reach, 0, bottom), reach / (height + 2 * reach)],
  ])) {
    for (let n = 0; n <= PIECES; n++) {
      const part = n / PIECES;
      const colour = `rgb(0 0 0 / ${part * part * (3 - 2 * part)})`;
      gradient.addColorStop(share * part, colour);
      gradient.addColorStop(1 - share * part, colour);
    }
    context.fillStyle = gradient;
    context.fillRect(0, 0, canvas.width / times, canvas.height / times);
  }
}
