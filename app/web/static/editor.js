// @ts-check
// The editor: a photo is chosen, framed and sent. Everything is in memory, and nowhere else.

import { announce } from "./announce.js";
import { WHOLE, partsOf, reframe } from "./framing.js";
import { listenTo } from "./gestures.js";
import { FINDS_FACES, LIFETIME, MAX_PHOTO_BYTES, MAX_ZOOM, MIN_ZOOM, PICTURE_SIDE } from "./limits.js";
import { load, sizeFor } from "./overlays.js";
import { Panel } from "./panel.js";
import { LIGHT_BYTES, MAX_BYTES, decode, encodeSquare, forget, looksLikePhoto } from "./photo.js";
import { Refused, deliver } from "./sending.js";
import { Stage } from "./stage.js";
import { measure, number, percent, text } from "./texts.js";

/** @typedef {import("./framing.js").Framing} Framing */
/** @typedef {import("./photo.js").Photo} Photo */
/** @typedef {import("./gestures.js").Change} Change */

const RENDITIONS = "/v1/renditions";
const EDITED_SIDE = "2560";

// As long as a finished picture lives: a page that comes back after that may have come to somebody else.
const MAX_AWAY = LIFETIME;

// A page that came back is blank until the server has answered, but no longer than this.
const ANSWER = 4000;

// A press of the button while the next page is on its way would make the same picture again.
const NEXT_PAGE = 8000;

// A photo is not shown before the faces in it are found, lest it jump before anyone's eyes; but no later than this.
// On a slow phone drawing it twice takes as long as waiting.
const CALM = 800;

const TYPING_PAUSE = 400;
const SHIFT = 0.05; // of a side, for a press of a button

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
const byId = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {HTMLFormElement} */
const form = byId("editor");
/** @type {HTMLInputElement} */
const photoInput = byId("photo");
/** @type {HTMLInputElement} */
const cameraInput = byId("camera");
/** @type {HTMLInputElement} */
const zoomSlider = byId("zoom");
/** @type {HTMLInputElement} */
const turnSlider = byId("turn");
/** @type {HTMLSelectElement} */
const langSelect = byId("lang");
/** @type {HTMLInputElement} */
const sloganInput = byId("slogan");
const sloganField = byId("slogan-field");
const sloganProblem = byId("slogan-problem");
const sloganCount = byId("slogan-count");
const frameProblem = byId("frame-problem");
const tools = byId("tools");
const makeButton = byId("make");

const stage = new Stage(form);
const reading = new Panel(byId("reading"));
const sending = new Panel(byId("sending"));

/** @type {Photo | null} */
let photo = null;
/** @type {Framing} */
let framing = WHOLE;
/** Where the photo was laid by itself, and starts over. @type {Framing & {kind?: string}} */
let start = WHOLE;
/** Who has moved the photo keeps it so, in any frame. */
let isMoved = false;
/** Who has a finger on it does not have it pulled away by faces that are found late. */
let isTouched = false;
let isBusy = false;
/** The newest file wins over one that is still being read. */
let newest = 0;
/** And it ends the order of a picture that is still on its way. */
let newestOrder = 0;
/** What a photo may weigh: less, once a sending was too slow. */
let maxBytes = MAX_BYTES;

// -- the photo ---------------------------------------------------------------

/** @param {File | Blob} file */
async function take(file) {
  const turn = ++newest;
  const isCurrent = () => turn === newest;
  endOrder(); // whoever chooses another photo does not want the picture of this one
  reading.cancel();
  reading.showWorking(text("reading"));
  delete stage.element.dataset.framing;
  const coming = fetchHelp();
  let next = await decode(file);
  if (!next && isCurrent()) next = await readElsewhere(file, isCurrent);
  const looked = next && isCurrent() && look(next, coming);
  if (looked) await Promise.race([looked, new Promise((resolve) => setTimeout(resolve, CALM))]);
  if (!isCurrent()) {
    if (next) forget(next);
  } else if (next) {
    reading.clear();
    hold(next);
    await looked;
    if (photo !== next) return;
    lay(isTouched || isBusy);
    stage.element.dataset.framing = start.kind ?? "centre";
  }
}

/** What only a photo needs. Without it, where the network fails, a photo is laid in its middle. */
function fetchHelp() {
  const finding = FINDS_FACES ? import("./finding.js") : null;
  return Promise.all([import("./choosing.js"), import("./edge.js"), finding]).catch(() => null);
}

/** @param {Photo} next @param {ReturnType<typeof fetchHelp>} coming */
async function look(next, coming) {
  const help = (await coming) ?? (await fetchHelp()); // the connection may have come back since
  if (!help) return;
  const [{ choose }, { surround }, finding] = help;
  Object.assign(next, { choose, surround, leastZoom: MIN_ZOOM });
  if (finding) next.faces = await finding.findFaces(next);
}

/**
 * Have the server read what this browser cannot: HEIC outside of Apple's.
 * @param {Blob} file
 * @param {() => boolean} isCurrent
 * @returns {Promise<Photo | null>} null where that is not to be; the supporter has been told
 */
async function readElsewhere(file, isCurrent) {
  try {
    // What the picker of a phone gives for a photo that is only in its cloud.
    if (!file.size) throw new Refused(text("emptyFile"));
    const isPhoto = await looksLikePhoto(file);
    if (!isCurrent()) return null; // nothing is sent for nothing
    if (!isPhoto) throw new Refused(text("notSupported"));
    if (file.size > MAX_PHOTO_BYTES) throw new Refused(text("tooManyBytes"));
    const body = new FormData();
    body.append("photo", file, "photo");
    body.append("side", EDITED_SIDE);
    reading.explain(text("travels"));
    const answer = await deliver({ address: RENDITIONS, body, accept: "*/*", offline: text("unread") }, reading);
    if (!answer && isCurrent()) {
      reading.clear();
      (photo ? stage.element : photoInput).focus({ preventScroll: true });
    }
    const next = answer && (await decode(answer));
    if (answer && !next) throw new Refused(text("failed"));
    return next;
  } catch (problem) {
    if (isCurrent()) reading.fail(wordsFor(problem));
    return null;
  }
}

/** @param {unknown} problem */
function wordsFor(problem) {
  return problem instanceof Refused ? problem.message : text("failed");
}

/** @param {Photo} next */
function hold(next) {
  endOrder(); // it may have begun while this photo was being read, and needs the pixels of the one before
  if (photo) forget(photo);
  photo = next;
  isMoved = isTouched = false;
  form.classList.add("has-photo");
  stage.element.tabIndex = 0;
  stage.element.setAttribute("role", "application"); // or screen readers keep the arrow keys to themselves
  stage.element.setAttribute("aria-label", text("stage"));
  stage.element.setAttribute("aria-describedby", "keys");
  lay();
  refreshOverlay();
  stage.element.focus({ preventScroll: true });
  announce(text("photoIn"));
}

// -- moving it ---------------------------------------------------------------

/**
 * Find where the photo belongs in the chosen frame, and lay it there unless it was moved.
 * @param {boolean} [stays] in any case
 */
function lay(stays = false) {
  if (!photo) return;
  start = framingIn(chosenFrame());
  if (!isMoved && !stays) framing = start;
  showFraming();
}

/** @param {HTMLInputElement} frame @returns {typeof start} */
function framingIn({ dataset: { opening = "" } }) {
  return photo?.choose?.(photo, photo.faces, opening.split(" ").map(Number), PICTURE_SIDE) ?? WHOLE;
}

/** @param {Change} change */
function apply({ from, to, times, degrees, reset }) {
  if (!photo) return;
  const before = framing;
  isMoved = !reset;
  framing = reset
    ? start
    : reframe(photo, before, {
        // A step without a beginning starts at the centre.
        from: from ?? (to && [0, 0]),
        to,
        zoom: before.zoom * (times ?? 1),
        rotate: before.rotate + (degrees ?? 0),
      });
  showFraming();
  announce(describe(before, framing, { reset, to }));
}

/**
 * @param {Framing} before
 * @param {Framing} now
 * @param {Change} change
 */
function describe(before, now, { reset, to }) {
  if (reset) return text("wasReset");
  if (now.rotate !== before.rotate) return text("turned", { degrees: measure(now.rotate, "degree") });
  if (now.zoom !== before.zoom || !to) return text("zoomed", { percent: percent(now.zoom) });
  if (now.x === before.x && now.y === before.y) return text("edge");
  return text("moved", { x: percent(now.x), y: percent(now.y) });
}

function showFraming() {
  zoomSlider.min = String(Math.log2(photo?.leastZoom ?? 1));
  const { tilt } = partsOf(framing.rotate);
  zoomSlider.value = String(Math.log2(framing.zoom));
  turnSlider.value = String(tilt);
  const zoom = percent(framing.zoom);
  const turned = measure(framing.rotate, "degree", "narrow");
  zoomSlider.setAttribute("aria-valuetext", zoom);
  turnSlider.setAttribute("aria-valuetext", measure(framing.rotate, "degree"));
  byId("zoom-value").textContent = zoom;
  byId("turn-value").textContent = turned;
  stage.show(photo, framing, isMoved ? [] : frameInputs.map(framingIn));
}

zoomSlider.max = String(Math.log2(MAX_ZOOM));
zoomSlider.addEventListener("input", () => {
  apply({ times: 2 ** Number(zoomSlider.value) / framing.zoom });
});
turnSlider.addEventListener("input", () => {
  apply({ degrees: Number(turnSlider.value) - partsOf(framing.rotate).tilt });
});
tools.addEventListener("click", ({ target }) => {
  const button = target instanceof Element && target.closest("button");
  if (!button) return;
  const { x, y, degrees, reset } = button.dataset;
  if (x && y) apply({ to: [Number(x) * SHIFT, Number(y) * SHIFT] });
  if (degrees) apply({ degrees: Number(degrees) });
  if (reset !== undefined) apply({ reset: true });
});
listenTo(stage.element, { isActive: () => photo !== null, canZoom, onChange: apply });
stage.element.addEventListener("pointerdown", () => {
  isTouched = true;
});

/** @param {number} times */
function canZoom(times) {
  return times > 1 ? framing.zoom < MAX_ZOOM : times < 1 && framing.zoom > (photo?.leastZoom ?? 1);
}

// -- where photos come from --------------------------------------------------

for (const input of [photoInput, cameraInput]) {
  input.addEventListener("change", () => takeFrom(input));
}

/** @param {HTMLInputElement} input */
function takeFrom(input) {
  const file = input.files?.[0];
  if (!file) return;
  take(file);
  input.value = ""; // the same file may be chosen again, and a reload must not find it here
}

byId("another").addEventListener("click", () => photoInput.click());

window.addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  form.classList.add("is-dropping");
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form.classList.remove("is-dropping"); // out of the window
});
window.addEventListener("drop", (event) => {
  form.classList.remove("is-dropping");
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  takeFirst(event.dataTransfer.files);
});
window.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files;
  // Office programs put a picture of the words beside them.
  const isText = event.target === sloganInput && event.clipboardData?.types.includes("text/plain");
  if (files?.length && !isText) {
    event.preventDefault();
    takeFirst(files);
  }
});

/** @param {FileList} files */
function takeFirst(files) {
  if (files.length) take(files[0]);
}

/** A photo that the share sheet gave to the service worker. */
async function takeShared() {
  const id = /^#shared=(.+)$/.exec(location.hash)?.[1];
  if (!id) return;
  history.replaceState(null, "", location.pathname + location.search);
  const file = await askServiceWorker(id);
  if (file) take(file);
  else reading.fail(text("sharedLost"));
}

/** @param {string} id @returns {Promise<File | null>} */
async function askServiceWorker(id) {
  const worker = navigator.serviceWorker?.controller;
  if (!worker) return null;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data.file);
    setTimeout(resolve, 5000, null);
    worker.postMessage({ type: "take-shared-photo", id }, [port2]);
  });
}

// -- the frame and its words -------------------------------------------------

const languages = [...langSelect.options];
/** The language that was last chosen by hand: a frame without it must not make anyone choose again. */
let wish = langSelect.value;

/** @type {HTMLInputElement[]} */
const frameInputs = [...form.querySelectorAll('input[name="frame"]')];
const chosenFrame = () => frameInputs.find((frame) => frame.checked) ?? frameInputs[0];

const slogan = () => (sloganInput.disabled ? "" : sloganInput.value.trim());

function showFrame() {
  const { languages: offered = "", takesWords } = chosenFrame().dataset;
  const codes = offered.split(" ");
  langSelect.textContent = "";
  langSelect.append(...languages.filter((option) => codes.includes(option.value)));
  langSelect.value = codes.includes(wish) ? wish : codes[0];
  sloganInput.disabled = takesWords === undefined;
  sloganField.hidden = sloganInput.disabled;
  refreshOverlay();
}

function showCount() {
  sloganCount.textContent = text("count", {
    count: number(sloganInput.value.length),
    maximum: number(sloganInput.maxLength),
  });
}

let loading = new AbortController();

const wantedOverlay = () => ({
  address: chosenFrame().dataset.overlay ?? "",
  lang: langSelect.value,
  slogan: slogan(),
  // The first view is a light one; what is worked on is sharp.
  size: sizeFor(photo ? stage.pixels : 0),
});

/** What the stage shows: the page comes with its first picture, which is without anyone's own words. */
let shown = JSON.stringify({ ...wantedOverlay(), slogan: "" });

async function refreshOverlay() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const wanted = wantedOverlay();
  const key = JSON.stringify(wanted);
  if (key === shown) return complain("", "");
  try {
    stage.setOverlay(await load(wanted, signal, () => complain("", text("lateOverlay"))));
    shown = key;
    complain("", "");
  } catch (problem) {
    if (signal.aborted) return;
    if (!(problem instanceof Refused)) complain("", text("noOverlay"));
    else complain(wordsFor(problem), "");
  }
}

/** @param {string} ofWords @param {string} ofFrame */
function complain(ofWords, ofFrame) {
  sloganProblem.textContent = ofWords;
  sloganProblem.hidden = !ofWords;
  sloganInput.setAttribute("aria-invalid", String(Boolean(ofWords)));
  frameProblem.textContent = ofFrame;
  frameProblem.hidden = !ofFrame;
}

form.addEventListener("change", ({ target }) => {
  if (target === langSelect) {
    wish = langSelect.value;
    refreshOverlay();
  } else if (target instanceof HTMLInputElement && target.name === "frame") {
    showFrame();
    lay();
  }
});
let typing = 0;
sloganInput.addEventListener("input", () => {
  showCount();
  clearTimeout(typing);
  typing = setTimeout(refreshOverlay, TYPING_PAUSE);
});
window.addEventListener("online", () => {
  if (!frameProblem.hidden) refreshOverlay();
});

// -- making the picture ------------------------------------------------------

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!isBusy) make();
});

async function make() {
  if (!photo) return askForPhoto();
  const turn = ++newestOrder;
  const isCurrent = () => turn === newestOrder;
  setBusy(true);
  sending.showWorking(text("preparing"));
  try {
    const body = await describeOrder(photo);
    if (!isCurrent()) return;
    const chosen = photo;
    const lighten = async () => {
      maxBytes = LIGHT_BYTES;
      const lighter = await describeOrder(chosen);
      return isCurrent() ? lighter : null;
    };
    const order = { address: form.action, body, accept: "application/json", lighten };
    const answer = await deliver(order, sending);
    const address = answer && JSON.parse(await new Response(answer).text()).address;
    if (!isCurrent()) return;
    if (address) return leaveFor(address, isCurrent);
    sending.clear();
    makeButton.focus();
  } catch (problem) {
    if (!isCurrent()) return;
    if (problem instanceof Refused && problem.code === "upload_timed_out") maxBytes = LIGHT_BYTES;
    sending.fail(wordsFor(problem));
  }
  setBusy(false);
}

/** Say that there is no photo, and lead to where one is chosen, which may be off the screen. */
function askForPhoto() {
  sending.fail(text("photoMissing"));
  photoInput.focus();
  announce(text("photoMissing"));
}

/** Stop what is on its way, if anything is; no message about it is left. */
function endOrder() {
  newestOrder++;
  sending.cancel();
  sending.clear();
  setBusy(false);
}

/**
 * Go to the finished picture. No event tells that a page does not come, where somebody pressed Stop or the
 * connection went: until this page is left there is a link, and the button is of use again after a while.
 * @param {string} address
 * @param {() => boolean} isCurrent
 */
function leaveFor(address, isCurrent) {
  madeAddress = address;
  sending.lead(text("ready"), address);
  setTimeout(() => isCurrent() && setBusy(false), NEXT_PAGE);
  location.assign(address);
}

/** @param {Photo} chosen */
async function describeOrder(chosen) {
  const body = new FormData();
  body.append("photo", await encodeSquare(chosen, framing, maxBytes), "photo.jpg");
  // The square is the one that was chosen here.
  for (const name of /** @type {const} */ (["x", "y", "zoom"])) body.append(name, String(WHOLE[name]));
  body.append("frame", chosenFrame().value);
  body.append("lang", langSelect.value);
  body.append("slogan", slogan());
  return body;
}

/** @param {boolean} busy */
function setBusy(busy) {
  isBusy = busy;
  // Not disabled: it keeps the focus, and says itself that it cannot be pressed.
  makeButton.setAttribute("aria-disabled", String(busy));
}

// -- coming and going --------------------------------------------------------

let left = 0;
/** Where the last picture is. Whoever deleted it there does not leave its photo here for the next person. */
let madeAddress = "";

window.addEventListener("pagehide", () => {
  left = Date.now();
  form.classList.toggle("is-away", Boolean(madeAddress)); // a browser may keep the page as it is seen now
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) left = Date.now();
  else if (photo && Date.now() - left > MAX_AWAY) location.reload(); // an app that is never closed, a shared phone
});
window.addEventListener("pageshow", async ({ persisted }) => {
  if (!persisted) return;
  if (Date.now() - left > MAX_AWAY || (madeAddress && (await isGone(madeAddress)))) return location.reload();
  endOrder();
  form.classList.remove("is-away");
});

/** @param {string} address of a picture's page */
async function isGone(address) {
  const token = address.slice(address.lastIndexOf("/") + 1);
  try {
    const signal = AbortSignal.timeout?.(ANSWER);
    const answer = await fetch(`/made/${token}/avatar.jpg`, { method: "HEAD", cache: "no-store", signal });
    return answer.status === 404 || answer.status === 410;
  } catch {
    return false; // nobody says so, and a photo that was placed with care is not thrown away on a guess
  }
}

form.noValidate = true;
form.classList.add("is-live");
// Chosen before this script was there.
takeFrom(photoInput);
showFrame();
showCount();
takeShared();
