// @ts-check
// A line that may break: whatever goes over it waits while it is broken, and goes on by itself. All that is under way
// shares one: where one request finds the line broken, or the server busy, the others wait with it.

import { NoAnswer, Problem } from "./partners-api.js";

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;
const FULL = 60_000; // a server without room gets it by somebody's hand
const TIRED = 5; // so often one request may fail by itself before it is given up

/** @typedef {{problem: Error, until: number}} Trouble until when it is waited, in milliseconds since 1970 */

export class Line {
  /** @param {(trouble: Trouble | null) => void} onTrouble hears when it breaks, and when it is mended */
  constructor(onTrouble) {
    this.onTrouble = onTrouble;
    /** @type {Trouble | null} */
    this.trouble = null;
    this.breaks = 0;
    /** @type {Promise<void> | null} */
    this.pausing = null;
    this.goOn = () => {};
  }

  /**
   * Do something until it is done.
   * @template T
   * @param {() => Promise<T>} work may be done again
   * @param {AbortSignal} signal
   * @returns {Promise<T>}
   * @throws {Problem} what does not pass by itself
   */
  async insist(work, signal) {
    for (let failures = 0; ; ) {
      while (this.pausing) await this.pausing;
      if (signal.aborted) throw new DOMException("not wanted any more", "AbortError");
      try {
        const result = await work();
        this._mend();
        return result;
      } catch (problem) {
        if (signal.aborted || !passes(problem)) throw problem;
        // What fails at one request alone is not waited for by all the others for ever.
        if (problem instanceof Problem && problem.status === 500 && ++failures === TIRED) throw problem;
        this._pause(/** @type {Error} */ (problem), signal);
      }
    }
  }

  _mend() {
    this.breaks = 0;
    if (this.trouble && !this.pausing) {
      this.trouble = null;
      this.onTrouble(null);
    }
  }

  /** @param {Error} problem @param {AbortSignal} signal */
  _pause(problem, signal) {
    if (this.pausing) return;
    const time = pauseFor(problem, this.breaks++);
    this.trouble = { problem, until: Date.now() + time };
    this.pausing = new Promise((resolve) => {
      const listening = new AbortController();
      this.goOn = () => {
        clearTimeout(timer);
        listening.abort();
        this.pausing = null;
        resolve();
      };
      const timer = setTimeout(this.goOn, time);
      signal.addEventListener("abort", this.goOn, { signal: listening.signal });
      if (problem instanceof NoAnswer) addEventListener("online", this.goOn, { signal: listening.signal });
    });
    this.onTrouble(this.trouble);
  }
}

/** Whether something goes by itself. @param {unknown} problem */
function passes(problem) {
  if (problem instanceof NoAnswer) return true;
  return problem instanceof Problem && (problem.status >= 500 || problem.status === 408 || problem.retryAfter > 0);
}

/** @param {Error} problem @param {number} breaks */
function pauseFor(problem, breaks) {
  if (problem instanceof Problem && problem.retryAfter) return problem.retryAfter * 1000;
  if (problem instanceof Problem && problem.status === 507) return FULL;
  // Not all at the same moment: others wait for the same server.
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** breaks) * (0.75 + Math.random() / 2);
}
