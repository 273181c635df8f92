// @ts-check
// What a partner's page says beside its texts: when, how long, how much. And where it says what went wrong.

import { measure, number, text } from "./texts.js";

const { tag } = /** @type {HTMLElement} */ (document.getElementById("texts")).dataset;

/** @param {string} told in ISO 8601 @returns {string} day and hour, by the reader's own clock */
export function moment(told) {
  return new Intl.DateTimeFormat(tag, { weekday: "long", hour: "numeric", minute: "2-digit" }).format(new Date(told));
}

/** @param {number} seconds @returns {string} in the unit that says enough */
export function duration(seconds) {
  if (seconds < 90) return measure(Math.max(1, seconds), "second");
  if (seconds < 5400) return measure(seconds / 60, "minute");
  return measure(seconds / 3600, "hour");
}

/** @param {number} bytes */
export function bytes(bytes) {
  return measure(Math.max(1, bytes / 1e6), "megabyte", "short");
}

const FEW = 9.95; // what is written with one digit before the point

/** @param {number} value with a digit behind the point where there are few */
export function pace(value) {
  const maximumFractionDigits = value < FEW ? 1 : 0;
  return new Intl.NumberFormat(tag, { maximumFractionDigits }).format(value);
}

/**
 * Say what is wrong, where it is wrong; or that nothing is.
 * @param {HTMLElement} element
 * @param {string} words
 */
export function complain(element, words) {
  element.textContent = words;
  element.hidden = !words;
}

/** @param {string} name @param {string} [words] @returns {HTMLElement} */
export function make(name, words = "", attributes = {}) {
  return Object.assign(document.createElement(name), words ? { textContent: words } : {}, attributes);
}

export { number, text };
