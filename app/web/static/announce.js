// @ts-check
// What is seen is also said, to those who listen: through one live region, and not faster than one can hear.

const region = /** @type {HTMLElement} */ (document.getElementById("announcements"));
const PAUSE = 600;

let last = 0;
let timer = 0;

/** @param {string} sentence of several in short order, the newest is said */
export function announce(sentence) {
  clearTimeout(timer);
  const wait = Math.max(0, last + PAUSE - Date.now());
  timer = setTimeout(() => {
    last = Date.now();
    region.textContent = sentence;
  }, wait);
}
