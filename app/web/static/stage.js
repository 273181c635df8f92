// @ts-check
// What is seen: the photo under its frame, the small previews beside it, and the frames to choose from.

import { PICTURE_SIDE } from "./limits.js";
import { drawSquare, contextOf } from "./photo.js";

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./framing.js").Framing} Framing */

// The pictures of the frames follow when the photo has come to rest.
const REST = 200;

export class Stage {
  /** @param {HTMLElement} form */
  constructor(form) {
    this.element = /** @type {HTMLElement} */ (form.querySelector(".stage"));
    this.canvas = /** @type {HTMLCanvasElement} */ (this.element.querySelector("canvas"));
    this.overlay = /** @type {HTMLImageElement} */ (this.element.querySelector("img"));
    /** @type {HTMLCanvasElement[]} */
    this.previews = [...form.querySelectorAll(".previews canvas")];
    /** @type {HTMLCanvasElement[]} */
    this.thumbs = [...form.querySelectorAll(".frame-list canvas")];
    /** @type {Photo | null} */
    this.photo = null;
    /** @type {Framing | null} */
    this.framing = null;
    /** @type {Framing[]} */
    this.framings = [];
    this.request = 0;
    this.rest = 0;
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** @returns {number} pixels of the screen along a side; no more than the result has, drawn for nothing */
  get pixels() {
    return Math.min(PICTURE_SIDE, Math.round(this.element.clientWidth * devicePixelRatio));
  }

  /**
   * @param {Photo | null} photo
   * @param {Framing} framing
   * @param {Framing[]} framings of its own for each frame's picture, or none
   */
  show(photo, framing, framings) {
    this.photo = photo;
    this.framing = framing;
    this.framings = framings;
    this.draw();
  }

  /** @param {HTMLImageElement} image */
  setOverlay(image) {
    image.className = this.overlay.className;
    image.alt = "";
    this.overlay.replaceWith(image);
    this.overlay = image;
    this.draw();
  }

  /** At most once for each picture of the screen. */
  draw() {
    cancelAnimationFrame(this.request);
    this.request = requestAnimationFrame(() => this._draw());
  }

  _draw() {
    const { photo, framing } = this;
    for (const canvas of [this.canvas, ...this.thumbs]) canvas.hidden = !photo;
    // A page that is being left has no width, and a canvas without one cannot be copied.
    if (!photo || !framing || !this.pixels) return;
    resize(this.canvas, this.pixels);
    drawSquare(this.canvas, photo, framing);
    for (const preview of this.previews) {
      this._copyTo(preview);
      contextOf(preview).drawImage(this.overlay, 0, 0, preview.width, preview.height);
    }
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.thumbs.forEach((thumb, n) => this._copyTo(thumb, this.framings[n]));
    }, REST);
  }

  /** @param {HTMLCanvasElement} small @param {Framing} [framing] of its own */
  _copyTo(small, framing) {
    resize(small, Math.round(small.clientWidth * devicePixelRatio));
    if (framing && this.photo) drawSquare(small, this.photo, framing);
    else contextOf(small).drawImage(this.canvas, 0, 0, small.width, small.height);
  }
}

/** @param {HTMLCanvasElement} canvas @param {number} side */
function resize(canvas, side) {
  // Setting the size clears a canvas, and is not free.
  if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
}
