// @ts-check
// Where the faces in a photo are: looked for on this device, in a worker, while the page goes on. Where that takes
// too long or cannot be, there are none.

import { canvasOf, contextOf } from "./photo.js";

/** @typedef {import("./choosing.js").Face} Face */
/** @typedef {{worker: Worker, broken: Promise<never>, weights: Promise<ArrayBuffer>}} Search */

const SIDE = 256; // pixels of the photo's longer side: of more, a phone takes too long
const PATIENCE = 1500; // with a slow phone
const ARRIVAL = 4000; // with a slow network

/** Begun while the photo is still being opened. @type {Search | null} */
let next = start();
/** @type {Search | null} */
let current = null;

/**
 * @param {import("./photo.js").Photo} photo
 * @returns {Promise<Face[]>} in its pixels, the surest first; none where another photo is asked about meanwhile
 */
export async function findFaces({ copy, width, height }) {
  end(current);
  const search = (current = next ?? start());
  next = null;
  try {
    if (!search) return [];
    const picture = pictureOf(copy);
    const weights = await soon(ARRIVAL, search.weights);
    const faces = await soon(PATIENCE, search.broken, ask(search.worker, { weights, picture }));
    const [across, down] = [width / picture.width, height / picture.height];
    return faces.map(({ x, y, width: w, height: h, score }) => ({
      x: x * across,
      y: y * down,
      width: w * across,
      height: h * down,
      score,
    }));
  } catch {
    return [];
  } finally {
    end(search);
  }
}

/** @returns {Search | null} */
function start() {
  try {
    const worker = new Worker(new URL("./faces.js", import.meta.url));
    /** @type {Promise<never>} */
    const broken = new Promise((_, reject) => {
      worker.onerror = (event) => {
        event.preventDefault(); // it is no fault of the page's
        reject(event);
      };
    });
    const weights = fetchWeights();
    // Whoever never asks need not hear of it.
    for (const promise of [broken, weights]) promise.catch(() => {});
    return { worker, broken, weights };
  } catch {
    return null;
  }
}

async function fetchWeights() {
  const answer = await fetch(new URL("./yunet.int8", import.meta.url));
  if (!answer.ok) throw new Error("no weights");
  return answer.arrayBuffer();
}

/** @param {Search | null} search */
function end(search) {
  search?.worker.terminate();
}

/** @param {HTMLCanvasElement} copy */
function pictureOf(copy) {
  const scale = Math.min(1, SIDE / Math.max(copy.width, copy.height));
  const small = canvasOf(Math.max(1, Math.round(copy.width * scale)), Math.max(1, Math.round(copy.height * scale)));
  const context = contextOf(small);
  context.drawImage(copy, 0, 0, small.width, small.height);
  return context.getImageData(0, 0, small.width, small.height);
}

/**
 * @param {Worker} worker
 * @param {{weights: ArrayBuffer, picture: ImageData}} question
 * @returns {Promise<Face[]>}
 */
function ask(worker, question) {
  return new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.postMessage(question);
  });
}

/**
 * The first of these, if it comes in time.
 * @template T
 * @param {number} time
 * @param {Promise<T>[]} promises
 * @returns {Promise<T>}
 */
function soon(time, ...promises) {
  return Promise.race([...promises, new Promise((_, reject) => setTimeout(reject, time))]);
}
