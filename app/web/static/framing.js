// @ts-check
// Photo + framing -> square: the arithmetic of app/render/crop.py, so that the preview equals the result.
//
// Lengths are in pixels of the upright photo, y downwards; angles are clockwise. A place in the square is told
// from its centre, in sides of it: [0, 0] is the centre, [0.5, 0.5] the corner below on the right.

import { MAX_ZOOM, MIN_ZOOM } from "./limits.js";

/** @typedef {{width: number, height: number}} Size */
/** @typedef {{x: number, y: number, zoom: number, rotate: number}} Framing as AvatarSpec has it */
/** @typedef {{cx: number, cy: number, side: number, cos: number, sin: number, low: number}} Square */
/** @typedef {readonly [number, number]} Place */

/** @type {Readonly<Framing>} */
export const WHOLE = Object.freeze({ x: 0.5, y: 0.5, zoom: 1, rotate: 0 });

/** @type {Place} */
const CENTRE = [0, 0];

/**
 * Place the square that a framing asks for. It leaves the photo only where it is larger.
 * @param {Size} size
 * @param {Framing} framing
 * @returns {Square}
 */
export function squareOf({ width, height }, { x, y, zoom, rotate }) {
  const [cos, sin] = direction(rotate);
  const spread = Math.abs(cos) + Math.abs(sin);
  const side = Math.min(width, height) / spread / zoom;
  const low = lowOf({ width, height }, (side * spread) / 2);
  return { cx: clamp(x * width, low, width - low), cy: clamp(y * height, low, height - low), side, cos, sin, low };
}

/**
 * Zoom and turn, so that what was seen at one place is seen at another: the fingers keep what they hold.
 * Where the photo ends, it stops.
 * @param {Size & {leastZoom?: number}} size
 * @param {Framing} framing
 * @param {{zoom?: number, rotate?: number, from?: Place, to?: Place}} change
 * @returns {Framing}
 */
export function reframe(size, framing, change) {
  const { from = CENTRE, to = from } = change;
  const zoom = clamp(change.zoom ?? framing.zoom, size.leastZoom ?? MIN_ZOOM, MAX_ZOOM);
  const rotate = halfTurn(change.rotate ?? framing.rotate);
  const held = pointAt(squareOf(size, framing), from);
  const turned = squareOf(size, { ...framing, zoom, rotate });
  const moved = pointAt({ ...turned, cx: held[0], cy: held[1] }, [-to[0], -to[1]]);
  // Moved in at once: a drag back from beyond an edge must not have to make up for what was never seen.
  const x = clamp(moved[0], turned.low, size.width - turned.low) / size.width;
  const y = clamp(moved[1], turned.low, size.height - turned.low) / size.height;
  return { x, y, zoom, rotate };
}

/**
 * Turn by quarters to the next straight one, keeping what was tilted by hand.
 * @param {number} rotate
 * @returns {{quarters: number, tilt: number}} with tilt from -45 to 45
 */
export function partsOf(rotate) {
  const quarters = Math.round(rotate / 90);
  return { quarters, tilt: rotate - 90 * quarters };
}

/**
 * @param {Square} square
 * @param {Place} place
 * @returns {Place} the photo's pixel that is seen there
 */
function pointAt({ cx, cy, side, cos, sin }, [u, v]) {
  return [cx + side * (u * cos + v * sin), cy + side * (v * cos - u * sin)];
}

/**
 * Cosine and sine, exact for quarter turns, which rounding would blur.
 * @param {number} degrees
 * @returns {Place}
 */
function direction(degrees) {
  if (degrees % 90 === 0) {
    const quarters = (((degrees / 90) % 4) + 4) % 4;
    return /** @type {Place[]} */ ([[1, 0], [0, 1], [-1, 0], [0, -1]])[quarters];
  }
  const angle = (degrees * Math.PI) / 180;
  return [Math.cos(angle), Math.sin(angle)];
}

/** @param {number} degrees @returns {number} the same direction, from -180 (exclusive) to 180 */
function halfTurn(degrees) {
  return degrees - 360 * Math.ceil((degrees - 180) / 360);
}

/** How near to a photo's edges the centre of what reaches so far may come. @param {Size} size @param {number} reach */
export function lowOf({ width, height }, reach) {
  return Math.min(reach, Math.min(width, height) - reach);
}

/** @param {number} value @param {number} least @param {number} most */
export function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
