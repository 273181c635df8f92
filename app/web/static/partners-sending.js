// @ts-check
// The photos of a batch, on their way: made small, and sent several at a time. Each stands alone and may be sent again,
// so that a broken line loses nothing.

import { Problem, addressOf, ask, encoded } from "./partners-api.js";
import { Shrinker } from "./partners-shrinking.js";
import { MAX_PHOTO_BYTES } from "./limits.js";
import { text } from "./texts.js";

const UNDER_WAY = 6; // being made small or sent: no more of them is in memory
const UPLOADS = 4; // of the six that a browser has for one server
const REMEMBERED = 20_000; // milliseconds by which the pace is reckoned

// What the whole batch ends by, and no other photo would mend.
const FATAL = new Set(["key_missing", "key_not_known", "batch_not_found", "batch_not_open", "batch_full"]);

export class Sending {
  /**
   * @param {object} parts
   * @param {string} parts.batch
   * @param {[string, File][]} parts.photos by name
   * @param {number} parts.size the avatar's side
   * @param {import("./partners-line.js").Line} parts.line
   */
  constructor({ batch, photos, size, line }) {
    this.batch = batch;
    this.photos = photos;
    this.line = line;
    this.shrinker = new Shrinker(size);
    this.stopping = new AbortController();
    this.sent = 0;
    this.whole = 0;
    this.lies = false;
    /** Why, by name. @type {Map<string, string>} */
    this.refused = new Map();
    /** @type {number[]} */
    this.moments = [];
    this.uploads = 0;
    /** @type {(() => void)[]} */
    this.queue = [];
  }

  /** How many photos a second, lately. */
  get rate() {
    const [first] = this.moments;
    const time = (Date.now() - first) / 1000;
    return this.moments.length > 3 && time > 1 ? this.moments.length / time : 0;
  }

  get secondsLeft() {
    return this.rate ? (this.photos.length - this.sent - this.refused.size) / this.rate : 0;
  }

  /**
   * Send them all.
   * @throws {Problem} the key or the batch is gone
   */
  async run() {
    let next = 0;
    const loop = async () => {
      while (next < this.photos.length) await this._send(...this.photos[next++]);
    };
    try {
      await Promise.all(Array.from({ length: UNDER_WAY }, loop));
    } finally {
      this.stop();
    }
  }

  stop() {
    this.stopping.abort();
    this.shrinker.end();
  }

  /** @param {string} name @param {File} file */
  async _send(name, file) {
    const { signal } = this.stopping;
    if (signal.aborted) throw new DOMException("not wanted any more", "AbortError");
    try {
      const blob = await this._prepare(file);
      const address = addressOf(this.batch, `photos/${addressed(name)}`);
      const headers = { "Content-Type": "application/octet-stream" };
      await this._inTurn(() =>
        this.line.insist(() => ask(address, { method: "PUT", body: blob, headers, signal }), signal),
      );
      this.sent++;
      this._note();
    } catch (problem) {
      if (signal.aborted || (problem instanceof Problem && FATAL.has(problem.code))) throw problem;
      this.refused.set(name, problem instanceof Problem ? problem.message : text("failed"));
    }
  }

  /** @param {File} file @returns {Promise<Blob>} */
  async _prepare(file) {
    if (!file.size) throw new Problem(text("emptyFile"));
    const { outcome, blob, lies } = await this.shrinker.shrink(file);
    if (outcome === "unreadable") throw new Problem(text("unreadable"));
    if (outcome === "whole") this.whole++;
    this.lies ||= Boolean(lies);
    if (blob.size > MAX_PHOTO_BYTES) throw new Problem(text("tooManyBytes"));
    return blob;
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   */
  async _inTurn(work) {
    if (this.uploads === UPLOADS) await new Promise((/** @type {(value?: any) => void} */ go) => this.queue.push(go));
    else this.uploads++;
    try {
      return await work();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.uploads--;
    }
  }

  _note() {
    const now = Date.now();
    this.moments.push(now);
    while (now - this.moments[0] > REMEMBERED) this.moments.shift();
  }
}

/** @param {string} name */
function addressed(name) {
  try {
    return encoded(name);
  } catch {
    throw new Problem(text("invalidName"));
  }
}

