// @ts-check
// The frames' own pictures, as the server draws them: what lies over the photo on the stage.

import { Refused } from "./sending.js";

/** @typedef {{address: string, lang: string, slogan: string, size: number}} Wanted */

// What browsers are asked for: few sizes, so that the server has drawn most of them already.
const SIZES = [360, 540, 720];

/** @param {number} pixels @returns {number} */
export function sizeFor(pixels) {
  return SIZES.find((size) => size >= pixels) ?? SIZES[SIZES.length - 1];
}

/**
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @param {() => void} onLate the server is busy, and will be asked again
 * @returns {Promise<HTMLImageElement>} decoded: it can take another's place without a flash
 * @throws {Refused} the words cannot be drawn
 */
export async function load({ address, lang, slogan, size }, signal, onLate) {
  const url = new URL(address, location.href);
  url.searchParams.set("lang", lang);
  url.searchParams.set("size", String(size));
  if (slogan) url.searchParams.set("slogan", slogan);
  const headers = { "Accept-Language": document.documentElement.lang };
  for (;;) {
    // A supporter's own words stay in no cache of a phone that others use too.
    const answer = await fetch(url, { signal, headers, cache: slogan ? "no-store" : "default" });
    if (answer.ok) return show(await answer.blob());
    const seconds = Number(answer.headers.get("Retry-After"));
    if (!seconds) {
      const { detail, code } = await answer.json();
      throw new Refused(detail, code);
    }
    onLate();
    await pause(seconds, signal);
  }
}

/** @param {number} seconds @param {AbortSignal} signal */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("not wanted any more", "AbortError"));
    });
  });
}

/** @param {Blob} picture */
async function show(picture) {
  const image = new Image();
  image.src = URL.createObjectURL(picture);
  try {
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(image.src); // what is decoded needs it no longer, and each would stay for the page's life
  }
}
