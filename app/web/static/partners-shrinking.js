// @ts-check
// Photos made small before they are sent, by workers (partners-shrink.js), while the page goes on.

/** @typedef {"small" | "cut" | "whole" | "unreadable"} Outcome */
/** @typedef {{outcome: Outcome, blob: Blob, lies?: boolean}} Shrunk */

// Decoded, a photo of 12 million pixels takes 48 MB in each of them.
const WORKERS = Math.max(2, Math.min(4, (navigator.hardwareConcurrency ?? 2) - 1));

// A photo that takes longer is sent whole: whatever it is, the server has a deadline for it.
const PATIENCE = 30_000;

const { room = "1", quality = "0.8" } = /** @type {HTMLElement} */ (document.getElementById("partners")).dataset;

export class Shrinker {
  /** @param {number} size the avatar's side, in pixels */
  constructor(size) {
    this.side = Math.ceil(size * Number(room));
    this.idle = Array.from({ length: WORKERS }, start);
    /** @type {((worker: Worker | null) => void)[]} */
    this.waiting = [];
  }

  /** @param {File} file @returns {Promise<Shrunk>} */
  async shrink(file) {
    const worker = this.idle.pop() ?? (await new Promise((resolve) => this.waiting.push(resolve)));
    const answer = worker && (await ask(worker, { file, side: this.side, quality: Number(quality) }));
    if (answer) this._free(worker);
    else {
      worker?.terminate(); // it hangs, or the browser took its memory
      this._free(start());
    }
    return answer ? { lies: answer.trust === "lies", ...answer } : { outcome: "whole", blob: file };
  }

  end() {
    for (const worker of this.idle) worker?.terminate();
    this.idle = [];
  }

  /** @param {Worker | null} worker */
  _free(worker) {
    const next = this.waiting.shift();
    if (next) next(worker);
    else this.idle.push(worker);
  }
}

/** @returns {Worker | null} null where there can be none */
function start() {
  try {
    return new Worker(new URL("./partners-shrink.js", import.meta.url));
  } catch {
    return null;
  }
}

/** @param {Worker} worker @param {{file: File, side: number, quality: number}} order @returns {Promise<any>} */
function ask(worker, order) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE, null);
    worker.onmessage = ({ data }) => {
      clearTimeout(timer);
      resolve(data);
    };
    worker.onerror = (event) => {
      event.preventDefault(); // it is no fault of the page's
      clearTimeout(timer);
      resolve(null);
    };
    worker.postMessage(order);
  });
}
