// @ts-check
// Photo, faces, frame's opening -> the framing that the editor opens with: app/render/framing.py, which says why so,
// for a photo that is not turned, and where nothing was given.

import { clamp, lowOf } from "./framing.js";
import { MAX_ZOOM } from "./limits.js";

/** @typedef {import("./framing.js").Size} Size */
/** @typedef {import("./framing.js").Framing} Framing */
/** @typedef {{x: number, y: number, width: number, height: number, score: number}} Face in pixels of the photo */
/** @typedef {number[]} Opening middle and radius of the frame's circle, in sides: [u, v, r] */
/** @typedef {{x: number, y: number, across: number, down: number}} Shape an ellipse: its middle and half axes */
/** @typedef {"faces" | "head" | "centre"} Kind */

const LEAST_SCORE = 0.7;
const SECOND_SCORE = 0.6;
const CROWD = 24;
const GROUP = 0.25;
const SHARE = 0.6;
const QUARTER = 0.25;
const SEEN = 1.06;
const AIR = 1.05;
const STEP = 0.97;
const LEAST_ZOOM = 0.6;
const ENLARGED = 1.5;
const TALL = 1.1;
const HEAD = 0.3;
const [ABOVE, BELOW, BESIDE] = [0.35, 0.1, 0.15];
const QUARTER_TURN = [
  [1, 0],
  [0.9238795325112867, 0.3826834323650898],
  [0.7071067811865476, 0.7071067811865476],
  [0.3826834323650898, 0.9238795325112867],
  [0, 1],
];
const ROUNDING = 1e-9;

/**
 * @param {Size} size
 * @param {Face[]} faces the surest first
 * @param {Opening} opening
 * @param {number} pixels along a side of the picture
 * @returns {Framing & {kind: Kind}}
 */
export function choose(size, faces, opening, pixels) {
  const stage = new Stage(size, opening);
  const { width, height } = size;
  const group = groupOf(faces);
  if (group.length) return stage.framing("faces", ...around(group, stage, pixels));
  if (height > TALL * width) return stage.framing("head", stage.largest, width / 2, HEAD * height);
  return stage.framing("centre", stage.largest, width / 2, height / 2 + (stage.v - 0.5) * stage.largest);
}

/** @param {Face[]} faces @returns {Face[]} those that count */
function groupOf(faces) {
  const sure = faces.filter((face) => face.score >= LEAST_SCORE).slice(0, CROWD);
  if (!sure.length) return faces.slice(0, 1).filter((face) => face.score >= SECOND_SCORE);
  const least = GROUP * Math.max(...sure.map(area));
  return sure.filter((face) => area(face) >= least);
}

/** @param {Face} face */
const area = ({ width, height }) => width * height;

/**
 * @param {Face[]} group
 * @param {Stage} stage
 * @param {number} pixels
 * @returns {[number, number, number]} a side, and the point that is to come to the circle's middle
 */
function around(group, stage, pixels) {
  for (;;) {
    const found = fitting(group, stage, pixels);
    if (found) return found;
    if (group.length === 1) {
      const { x, y } = faceOf(group[0]);
      return [stage.largest / LEAST_ZOOM, x, y];
    }
    group = withoutFarthest(group);
  }
}

/** @param {Face[]} group */
function withoutFarthest(group) {
  const middles = group.map(faceOf);
  const total = sum(group.map(area));
  const x = sum(group.map((face, n) => area(face) * middles[n].x)) / total;
  const y = sum(group.map((face, n) => area(face) * middles[n].y)) / total;
  const away = middles.map((middle) => (middle.x - x) ** 2 + (middle.y - y) ** 2);
  const farthest = away.lastIndexOf(Math.max(...away));
  return group.filter((_, n) => n !== farthest);
}

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** @type {(...of: Parameters<typeof around>) => ReturnType<typeof around> | undefined} */
function fitting(group, stage, pixels) {
  const { largest, r } = stage;
  const room = clamp(pixels / ENLARGED, largest / MAX_ZOOM, largest);
  const longest = Math.max(...group.map(({ width, height }) => Math.max(width, height)));
  const want = clamp(longest / (SHARE * 2 * r), room, largest);
  const most = Math.min(largest / LEAST_ZOOM, group.length > 1 ? longest / (QUARTER * 2 * r) : Infinity);
  const faces = group.map(faceOf);
  const airy = faces.map((face) => ({ ...face, across: face.across * AIR, down: face.down * AIR }));
  return (
    stage.first(group.map(headOf), [want, ...downTo(room, want), ...upTo(largest, want)], r) ??
    stage.first(faces, [want, ...upTo(largest, want)], r * SEEN) ??
    stage.first(airy, upTo(most, largest), r)
  );
}

/** @param {Face} face */
const headOf = (face) => shapeOf(face, ABOVE, BELOW, BESIDE);

/** @param {Face} face */
const faceOf = (face) => shapeOf(face, 0, 0, 0);

/** @type {(face: Face, above: number, below: number, beside: number) => Shape} */
function shapeOf({ x, y, width, height }, above, below, beside) {
  return {
    x: x + width / 2,
    y: y + (height * (1 + below - above)) / 2,
    across: (width * (1 + 2 * beside)) / 2,
    down: (height * (1 + above + below)) / 2,
  };
}

/** @param {number} least @param {number} side */
function downTo(least, side) {
  const sides = [];
  while (side > least) sides.push((side = Math.max(side * STEP, least)));
  return sides;
}

/** @param {number} most @param {number} side */
function upTo(most, side) {
  const sides = [];
  while (side < most) sides.push((side = Math.min(side / STEP, most)));
  return sides;
}

/** A photo and a frame's circle: places squares. */
class Stage {
  /** @param {Size} size @param {Opening} opening */
  constructor(size, [u, v, r]) {
    this.size = size;
    this.u = u;
    this.v = v;
    this.r = r;
    this.largest = Math.min(size.width, size.height);
  }

  /**
   * The first side with which all shapes are inside the circle, with their middle.
   * @param {Shape[]} shapes
   * @param {number[]} sides
   * @param {number} radius in sides
   * @returns {[number, number, number] | undefined}
   */
  first(shapes, sides, radius) {
    const left = Math.min(...shapes.map((shape) => shape.x - shape.across));
    const right = Math.max(...shapes.map((shape) => shape.x + shape.across));
    const top = Math.min(...shapes.map((shape) => shape.y - shape.down));
    const bottom = Math.max(...shapes.map((shape) => shape.y + shape.down));
    const [p, q] = [(left + right) / 2, (top + bottom) / 2];
    const side = sides.find((each) => {
      const [cx, cy] = this.placed(each, p, q);
      const middle = { x: cx + (this.u - 0.5) * each, y: cy + (this.v - 0.5) * each };
      return shapes.every((shape) => isInside(shape, middle, radius * each));
    });
    return side === undefined ? undefined : [side, p, q];
  }

  /**
   * The centre of a square in which a point is in the circle's middle, or as near as may be.
   * @param {number} side
   * @param {number} p
   * @param {number} q
   */
  placed(side, p, q) {
    const { width, height } = this.size;
    const low = lowOf(this.size, side / 2);
    return [clamp(p - (this.u - 0.5) * side, low, width - low), clamp(q - (this.v - 0.5) * side, low, height - low)];
  }

  /**
   * @param {Kind} kind
   * @param {number} wanted the side, before zoom is rounded
   * @param {number} p
   * @param {number} q
   */
  framing(kind, wanted, p, q) {
    const zoom = rounded(this.largest / wanted);
    const side = this.largest / zoom;
    const [cx, cy] = this.placed(side, p, q);
    const low = lowOf(this.size, side / 2);
    const x = thousandth(cx, this.size.width, low);
    const y = thousandth(cy, this.size.height, low);
    return { kind, x, y, zoom, rotate: 0 };
  }
}

/** @param {Shape} shape @param {{x: number, y: number}} middle @param {number} radius */
function isInside(shape, middle, radius) {
  const [x, y] = [Math.abs(shape.x - middle.x), Math.abs(shape.y - middle.y)];
  return QUARTER_TURN.every(
    ([cos, sin]) => (x + shape.across * cos) ** 2 + (y + shape.down * sin) ** 2 <= radius ** 2,
  );
}

/** @param {number} value */
const rounded = (value) => Math.floor(value * 1000 + 0.5) / 1000;

/**
 * A centre as a share of a length, in thousandths, from which it is not moved.
 * @param {number} centre
 * @param {number} length
 * @param {number} low
 */
function thousandth(centre, length, low) {
  const share = rounded(centre / length);
  if (share * length < low - ROUNDING * length) return rounded(share + 0.001);
  if (share * length > length - low + ROUNDING * length) return rounded(share - 0.001);
  return share;
}
