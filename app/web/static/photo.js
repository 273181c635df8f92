// @ts-check
// A file -> a photo to work with: upright, in sRGB, small enough for a phone. And a square of it -> a JPEG.

import { squareOf } from "./framing.js";
import { MIN_SIDE, PHOTO_SIGNATURE, PICTURE_SIDE, SIGNATURE_BYTES } from "./limits.js";

/** @typedef {import("./framing.js").Framing} Framing */

/**
 * @typedef {object} Photo
 * @property {number} width upright, in its own pixels
 * @property {number} height
 * @property {HTMLCanvasElement} copy what previews are drawn from
 * @property {HTMLImageElement} image all of it; the browser lets go of its pixels where memory is short
 * @property {number} leastZoom below 1 where what lies around it can be drawn
 * @property {typeof import("./choosing.js").choose} [choose]
 * @property {import("./choosing.js").Face[]} faces
 * @property {(copy: HTMLCanvasElement) => Surroundings} [surround]
 * @property {Surroundings} [surroundings] from when they were first seen
 */

/**
 * The photo and what lies around it, so far beyond each edge, in widths and heights of the photo.
 * @typedef {{canvas: HTMLCanvasElement, across: number, down: number}} Surroundings
 */

// Twice the result's side, and a third of what iOS lets a canvas have (16.7 million pixels).
const MAX_COPY_SIDE = 2560;

/** With the form around it: under 500 KB. */
export const MAX_BYTES = 490_000;
/** For a network on which that did not arrive. */
export const LIGHT_BYTES = 120_000;
const QUALITIES = [0.92, 0.86, 0.8, 0.72, 0.62, 0.5];

/**
 * Decode a file. Not by createImageBitmap: browsers disagree on whether its resizing comes before or after
 * turning upright, while an <img> has been upright wherever modules run, and knows its size before it is decoded.
 * @param {Blob} file
 * @returns {Promise<Photo | null>} null where this browser cannot read it
 */
export async function decode(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const scale = Math.min(1, MAX_COPY_SIDE / Math.max(width, height));
    const copy = canvasOf(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
    const context = contextOf(copy);
    whiten(context); // as the server does, under what is transparent
    context.drawImage(image, 0, 0, copy.width, copy.height);
    return { width, height, copy, image, leastZoom: 1, faces: [] };
  } catch {
    URL.revokeObjectURL(image.src);
    return null;
  }
}

/**
 * Let go of a photo's memory now, not when the browser next looks for what is unused.
 * @param {Photo} photo
 */
export function forget({ copy, image, surroundings }) {
  copy.width = copy.height = 0;
  if (surroundings) surroundings.canvas.width = surroundings.canvas.height = 0;
  URL.revokeObjectURL(image.src);
  image.src = "";
}

/**
 * Whether a file begins like a photo, so that it is worth sending to those who can read more.
 * @param {Blob} file
 */
export async function looksLikePhoto(file) {
  // The name and the type are whatever the last program chose to say.
  const start = new Uint8Array(await new Response(file.slice(0, SIGNATURE_BYTES)).arrayBuffer());
  return PHOTO_SIGNATURE.test(String.fromCharCode(...start));
}

/**
 * Draw the framed square over the whole of a canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {Photo} photo
 * @param {Framing} framing
 * @param {CanvasImageSource} [source] the photo at any scale
 */
export function drawSquare(canvas, photo, framing, source = photo.copy) {
  const { cx, cy, side, cos, sin } = squareOf(photo, framing);
  const { width, height, copy, surround } = photo;
  const context = contextOf(canvas);
  const half = canvas.width / 2;
  const scale = canvas.width / side;
  whiten(context);
  context.setTransform(cos * scale, sin * scale, -sin * scale, cos * scale, half, half);
  if (surround && framing.zoom < 1) {
    photo.surroundings ??= surround(copy);
    const { canvas: around, across, down } = photo.surroundings;
    const [x, y] = [across * width, down * height];
    context.imageSmoothingQuality = "low"; // good enough for what is blurred, in a sixth of the time
    context.drawImage(around, -cx - x, -cy - y, width + 2 * x, height + 2 * y);
    context.imageSmoothingQuality = "high";
    // Under what is transparent lies the photo itself, not what is around it.
    if (source !== copy) context.drawImage(copy, -cx, -cy, width, height);
  }
  context.drawImage(source, -cx, -cy, width, height);
  context.setTransform(1, 0, 0, 1, 0, 0);
}

/** @param {CanvasRenderingContext2D} context */
function whiten(context) {
  context.fillStyle = "#fff";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
}

/**
 * The framed square by itself: a JPEG that holds nothing but these pixels.
 * @param {Photo} photo
 * @param {Framing} framing
 * @param {number} maxBytes
 * @returns {Promise<Blob>}
 */
export async function encodeSquare(photo, framing, maxBytes) {
  const own = Math.floor(squareOf(photo, framing).side);
  // Cut from all of the photo where the copy would have fewer pixels than the result.
  const isCoarse = (own * photo.copy.width) / photo.width < PICTURE_SIDE;
  let side = Math.min(Math.max(own, MIN_SIDE), PICTURE_SIDE);
  for (;;) {
    const canvas = canvasOf(side, side);
    drawSquare(canvas, photo, framing, isCoarse ? photo.image : photo.copy);
    for (const quality of QUALITIES) {
      const jpeg = await toJpeg(canvas, quality);
      if (jpeg.size <= maxBytes) return jpeg;
    }
    side = Math.round(side * 0.8); // pure noise
  }
}

/** @param {number} width @param {number} height */
export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** @param {HTMLCanvasElement} canvas */
export function contextOf(canvas) {
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  if (!context) throw new Error("no canvas left"); // iOS, when too many are in use
  context.imageSmoothingQuality = "high";
  return context;
}

/** @param {HTMLCanvasElement} canvas @param {number} quality @returns {Promise<Blob>} */
function toJpeg(canvas, quality) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no JPEG"))), "image/jpeg", quality);
  });
}
