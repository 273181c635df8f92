// @ts-check
// The page's texts and numbers, in the reader's language. They come with the page, in a block of data.

const page = /** @type {HTMLElement} */ (document.getElementById("texts"));
/** @type {Record<string, string>} */
const texts = JSON.parse(page.textContent ?? "{}");
const tag = page.dataset.tag ?? "en";

/**
 * @param {string} name
 * @param {Record<string, string>} [values] for what stands in braces
 */
export function text(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

/** @param {number} value */
export const number = (value) => format(value, {});

/** @param {number} share 1 is 100% */
export const percent = (share) => format(share, { style: "percent" });

/** @param {number} value @param {string} unit @param {"long" | "short" | "narrow"} [unitDisplay] */
export const measure = (value, unit, unitDisplay = "long") => format(value, { style: "unit", unit, unitDisplay });

/** @param {number} value @param {Intl.NumberFormatOptions} options */
function format(value, options) {
  try {
    return new Intl.NumberFormat(tag, { maximumFractionDigits: 0, ...options }).format(value);
  } catch {
    return String(Math.round(value)); // Safari before 14.1 knows no units
  }
}
