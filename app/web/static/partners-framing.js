// @ts-check
// Another crop for one photo: moved in its frame as in the editor, where the photo is at hand; by buttons where it is
// not. The server draws it anew.

import { announce } from "./announce.js";
import { WHOLE, reframe } from "./framing.js";
import { listenTo } from "./gestures.js";
import { MAX_ZOOM, MIN_ZOOM } from "./limits.js";
import { addressOf, ask, encoded } from "./partners-api.js";
import { lastPart } from "./partners-results.js";
import { make } from "./partners-texts.js";
import { decode, forget } from "./photo.js";
import { Stage } from "./stage.js";
import { percent, text } from "./texts.js";

/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./framing.js").Framing} Framing */
/** @typedef {import("./gestures.js").Change} Change */

const RENDITIONS = "/v1/renditions";
const EDITED_SIDE = "2560";
const SHIFT = 0.05; // of a side, for a press of a button
const MORE_PRESSES = 700; // milliseconds that are waited for, before one of a photo that is not at hand counts

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));

/** @type {HTMLDialogElement} */
const dialog = byId("framing");
/** @type {HTMLInputElement} */
const zoomSlider = byId("zoom");
const stage = new Stage(byId("editor"));
const said = byId("framing-said");

/**
 * @typedef {object} Order
 * @property {string} batch
 * @property {import("./partners-results.js").Photo} photo
 * @property {File | undefined} file where it is at hand
 * @property {HTMLImageElement | null} overlay the batch's frame
 * @property {(name: string, framing: Framing) => Promise<void>} onReframe asks for it; resolves when it is drawn
 */

/** @type {Order | null} */
let order = null;
/** @type {Photo | null} */
let photo = null;
/** @type {Framing} */
let start = WHOLE;
/** @type {Framing} */
let framing = WHOLE;
let timer = 0;

/** @param {Order} given */
export async function open(given) {
  close();
  order = given;
  start = framing = { ...WHOLE, ...plain(given.photo.framing) };
  byId("framing-title").replaceChildren(make("bdi", lastPart(given.photo.name)));
  say(given.file ? text("opening") : "");
  showTools(false);
  if (given.overlay) stage.setOverlay(given.overlay);
  dialog.showModal();
  byId("framing-title").focus();
  const next = given.file && (await opened(given.file));
  if (order !== given) {
    if (next) forget(next);
    return;
  }
  if (next) hold(next);
  else await showPicture();
}

/** @param {Partial<Framing> | null} told */
function plain(told) {
  const { x = 0.5, y = 0.5, zoom = 1 } = told ?? {};
  return { x, y, zoom };
}

/** @param {File} file @returns {Promise<Photo | null>} */
async function opened(file) {
  const here = await decode(file);
  if (here) return here;
  // The server opens what this browser cannot, as it does in the editor.
  try {
    const body = new FormData();
    body.append("photo", file, "photo");
    body.append("side", EDITED_SIDE);
    const answer = await ask(RENDITIONS, { method: "POST", body, patience: 120_000 });
    return await decode(await answer.blob());
  } catch {
    return null;
  }
}

/** @param {Photo} next */
async function hold(next) {
  photo = next;
  say("");
  dialog.classList.add("has-file");
  stage.element.tabIndex = 0;
  stage.element.setAttribute("role", "application"); // or screen readers keep the arrow keys to themselves
  stage.element.setAttribute("aria-label", text("stage"));
  zoomSlider.min = String(Math.log2(MIN_ZOOM));
  zoomSlider.max = String(Math.log2(MAX_ZOOM));
  showTools(true);
  show();
  stage.element.focus();
  const { surround } = await import("./edge.js");
  if (photo !== next) return;
  Object.assign(next, { surround, leastZoom: MIN_ZOOM });
  show();
}

/** The picture as it is: all that can be seen of a photo that is not at hand. */
async function showPicture() {
  const current = order;
  if (!current) return;
  say(text("noFile"));
  showTools(true);
  stage.element.removeAttribute("tabindex");
  try {
    const answer = await ask(addressOf(current.batch, `avatars/${encoded(current.photo.name)}`));
    const image = new Image();
    image.src = URL.createObjectURL(await answer.blob());
    await image.decode();
    URL.revokeObjectURL(image.src);
    if (order === current) stage.setOverlay(image);
  } catch {
    // The buttons work without it.
  }
}

/** @param {Change} change */
function apply({ from, to, times = 1, reset }) {
  if (!order) return;
  const size = photo ?? { width: 1, height: 1 };
  framing = reset
    ? start
    : reframe(size, framing, { from: from ?? (to && [0, 0]), to, zoom: framing.zoom * times });
  if (photo) {
    show();
    if (times !== 1) announce(text("zoomed", { percent: percent(framing.zoom) }));
  } else {
    clearTimeout(timer);
    timer = setTimeout(send, MORE_PRESSES);
  }
}

function show() {
  zoomSlider.value = String(Math.log2(framing.zoom));
  zoomSlider.setAttribute("aria-valuetext", percent(framing.zoom));
  byId("zoom-value").textContent = percent(framing.zoom);
  stage.show(photo, framing, []);
}

/** Ask for it; a photo that is at hand was seen already, and the dialog closes. */
async function send() {
  const current = order;
  if (!current) return;
  const isSeen = photo !== null;
  const wanted = framing;
  if (isSeen) close();
  else say(text("reframing"));
  try {
    await current.onReframe(current.photo.name, wanted);
    announce(text("reframed"));
    if (!isSeen && order === current) await showPicture();
  } catch (problem) {
    if (order === current) say(/** @type {Error} */ (problem).message || text("noAnswer"));
  }
}

function close() {
  clearTimeout(timer);
  if (photo) forget(photo);
  photo = order = null;
  stage.show(null, WHOLE, []);
  dialog.classList.remove("has-file");
  if (dialog.open) dialog.close();
}

/** @param {boolean} isThere */
function showTools(isThere) {
  for (const button of dialog.querySelectorAll(".tools button")) {
    /** @type {HTMLButtonElement} */ (button).disabled = !isThere;
  }
}

/** @param {string} sentence */
function say(sentence) {
  said.textContent = sentence;
}

dialog.addEventListener("close", close);
byId("reframe").addEventListener("click", send);
byId("framing-reset").addEventListener("click", () => apply({ reset: true }));
zoomSlider.addEventListener("input", () => apply({ times: 2 ** Number(zoomSlider.value) / framing.zoom }));
dialog.querySelector(".tools")?.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("button");
  if (!button) return;
  const { x, y, times } = button.dataset;
  if (x && y) apply({ to: [Number(x) * SHIFT, Number(y) * SHIFT] });
  if (times) apply({ times: Number(times) });
});
listenTo(stage.element, {
  isActive: () => photo !== null,
  canZoom: (times) => (times > 1 ? framing.zoom < MAX_ZOOM : framing.zoom > (photo?.leastZoom ?? 1)),
  onChange: apply,
});
