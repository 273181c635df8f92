// @ts-check
// The API of batches, asked with the partner's key. The key is in a variable of this module and nowhere else.

import { text } from "./texts.js";

const BATCHES = "/v1/batches";

// As long as nobody answers, a line is taken for broken; what sends much is given more.
const PATIENCE = 30_000;
const SLOWEST = 8; // bytes in a millisecond: a phone's worst network

let key = "";

/** @param {string} typed */
export function takeKey(typed) {
  key = typed.trim();
}

export function forgetKey() {
  key = "";
}

/** The API says no, and why, in the reader's language. */
export class Problem extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, code?: string, field?: string, retryAfter?: number}} [about]
   */
  constructor(message, { status = 0, code = "", field = "", retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field; // the first that is wrong
    this.retryAfter = retryAfter;
  }
}

/** Nobody answered: the line is broken, or something between lets nothing through. */
export class NoAnswer extends Error {}

/**
 * @param {string} [batch]
 * @param {string} [rest] what is asked of the batch
 * @returns {string}
 */
export function addressOf(batch, rest = "") {
  return [BATCHES, batch, rest].filter(Boolean).join("/");
}

/**
 * A photo's name in an address: its folders stay folders.
 * @param {string} name
 * @throws {URIError} half a character, as a name on a damaged disk may have
 */
export function encoded(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}

/**
 * @typedef {object} Question
 * @property {string} [method]
 * @property {BodyInit | object | null} [body] an object goes as JSON
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {number} [patience] milliseconds until it has to be answered
 */

/**
 * @param {string} address
 * @param {Question} [question]
 * @returns {Promise<Response>} of success
 * @throws {Problem | NoAnswer}
 */
export async function ask(address, { method = "GET", body = null, headers = {}, signal, patience } = {}) {
  const isJson = body !== null && typeof body === "object" && body.constructor === Object;
  const size = body instanceof Blob ? body.size : 0;
  const waiting = new AbortController();
  const stop = () => waiting.abort();
  const timer = setTimeout(stop, patience ?? PATIENCE + size / SLOWEST);
  signal?.addEventListener("abort", stop);
  try {
    const answer = await fetch(address, {
      method,
      body: isJson ? JSON.stringify(body) : /** @type {BodyInit | null} */ (body),
      headers: { ...spoken(), ...(isJson ? { "Content-Type": "application/json" } : {}), ...headers },
      signal: waiting.signal,
      cache: "no-store",
      credentials: "omit",
    });
    if (answer.ok) return answer;
    throw await problemIn(answer);
  } catch (problem) {
    if (problem instanceof Problem || signal?.aborted) throw problem;
    throw new NoAnswer();
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** @param {string} address @param {Question} [question] */
export async function askJson(address, question) {
  const answer = await ask(address, question);
  try {
    return await answer.json();
  } catch {
    throw new NoAnswer(); // it broke off in the middle
  }
}

/** What every request says: whose it is, and in which language errors are to be told. */
function spoken() {
  // A header takes no letters but these: what has others is no key, and the API says so.
  const isSendable = /^[\x21-\x7e]+$/.test(key);
  return { "Accept-Language": document.documentElement.lang, Authorization: `Bearer ${isSendable ? key : "-"}` };
}

/** @param {Response} answer */
async function problemIn(answer) {
  const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
  try {
    const { detail, code, fields } = await answer.json();
    const said = fields?.length ? fields.map((/** @type {{detail: string}} */ each) => each.detail).join(" ") : detail;
    return new Problem(said, { status: answer.status, code, field: fields?.[0]?.field, retryAfter });
  } catch {
    // Not from us, but from something between.
    return new Problem(text("failed"), { status: answer.status, retryAfter });
  }
}
