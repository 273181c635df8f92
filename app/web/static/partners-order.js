// @ts-check
// A new batch before it is one: photos, perhaps a table, and what the pictures shall look like.

import { load, sizeFor } from "./overlays.js";
import { Problem } from "./partners-api.js";
import { Choice, chosen, dropped } from "./partners-files.js";
import { bytes, complain, make, number, text } from "./partners-texts.js";
import { Refused } from "./sending.js";

const TYPING_PAUSE = 400;
const SAMPLE = 320; // pixels: what stands there is no larger
const OF_WORDS = new Set(["slogan_does_not_fit", "missing_glyphs"]);
export const LISTED = 100; // of what is left out, or wrong: nobody reads on, and all of it would be slow

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

const form = byId("order");
const langSelect = byId("lang");
const sloganInput = byId("slogan");
const shapeSelect = byId("shape");
const formatSelect = byId("format");
const sizeInput = byId("size");
const drop = byId("drop");
const BATCH_PHOTOS = Number(byId("partners").dataset.batchPhotos);

let choice = new Choice();

/** @typedef {{name: string, spec: Record<string, string>, photos: Map<string, File>, table: File | null}} Ordered */

/** @param {(ordered: Ordered) => void} onStart */
export function listenToOrder(onStart) {
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const problem = !choice.photos.size ? "nothingChosen" : choice.photos.size > BATCH_PHOTOS ? "batchFull" : "";
    complainOfOrder(problem && text(problem));
    if (problem) byId("folder").focus();
    else onStart({ name: byId("name").value.trim(), spec: spec(), photos: choice.named(), table: choice.table });
  });
}

// Left to itself, the browser stays silent where what is wrong is folded away.
sizeInput.addEventListener("invalid", (/** @type {Event} */ event) => {
  event.preventDefault();
  const { min, max, validity } = sizeInput;
  const range = { minimum: number(Number(min)), maximum: number(Number(max)) };
  complainOfSize(validity.stepMismatch ? text("wholeNumber") : text("outOfRange", range));
  sizeInput.closest("details").open = true;
  sizeInput.focus();
});
sizeInput.addEventListener("input", () => complainOfSize(""));

/** @param {string} words */
function complainOfSize(words) {
  complain(byId("size-problem"), words);
  sizeInput.setAttribute("aria-invalid", String(Boolean(words)));
}

/** @param {string} words */
export function complainOfOrder(words) {
  complain(byId("order-problem"), words);
}

/**
 * Lead to what is wrong, or back to the button that was pressed: a disabled one has lost the focus.
 * @param {unknown} problem
 */
export function leadToFault(problem) {
  const { code = "", field = "" } = problem instanceof Problem ? problem : {};
  const name = OF_WORDS.has(code) ? "slogan" : field.split(".").pop();
  const control = [...form.elements].find((each) => name && each.name === name && !each.disabled);
  const details = control?.closest("details");
  if (details) details.open = true;
  (control ?? byId("start")).focus();
}

export function isOrdering() {
  return !byId("order-step").hidden;
}

/** Begin anew with other photos; what the pictures look like stays as it was chosen. */
export function forgetChoice() {
  choice = new Choice();
  byId("name").value = "";
  byId("no-table").parentElement.after(byId("headings")); // it may stand beside what was wrong with a table
  showChoice();
}

/** @returns {string[]} which of a table's columns is which of ours, where its headings do not say it */
export function headings() {
  const given = [...byId("headings").querySelectorAll("input")].filter(({ value }) => value.trim());
  return given.map(({ dataset, value }) => `${dataset.column}=${value.trim()}`);
}

/** @returns {Record<string, string>} what is asked for, in the spec's own words; the defaults are left out */
function spec() {
  const given = Object.entries({
    frame: chosenFrame().value,
    lang: langSelect.value,
    slogan: slogan(),
    size: byId("size").value,
    shape: shapeSelect.value,
    format: formatSelect.value,
  });
  return Object.fromEntries(given.filter(([, value]) => value));
}

// -- the photos and the table ----------------------------------------------------

for (const id of ["folder", "photos", "table"]) {
  const input = byId(id);
  input.addEventListener("change", () => {
    if (id === "table" && input.files.length) choice.table = null;
    choice.add(chosen(input.files));
    input.value = ""; // the same may be chosen again, and a reload must not find it here
    showChoice();
  });
}

/**
 * Take what is dropped, wherever on the page: the browser would open what misses its place.
 * @param {(found: import("./partners-files.js").Found[]) => void} onElsewhere while no batch is being put together
 */
export function listenToDrops(onElsewhere) {
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.add("is-dropping");
  });
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) drop.classList.remove("is-dropping");
  });
  addEventListener("drop", async (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.remove("is-dropping");
    const found = await dropped(event.dataTransfer);
    if (!isOrdering()) return onElsewhere(found);
    choice.add(found);
    showChoice();
  });
}

byId("no-table").addEventListener("click", () => {
  choice.table = null;
  showChoice();
  byId("table").focus();
});

byId("choose-anew").addEventListener("click", () => {
  choice = new Choice();
  showChoice();
  byId("folder").focus();
});

function showChoice() {
  const photos = [...choice.photos.values()];
  /** @type {[string, string][]} */
  const facts = [];
  if (photos.length) {
    const total = photos.reduce((sum, { file }) => sum + file.size, 0);
    facts.push([text("photos"), number(photos.length)], [text("bytes"), bytes(total)]);
  }
  if (choice.table) facts.push([text("table"), choice.table.name]);
  const lists = Object.entries(choice.leftOut).filter(([, names]) => names.length);
  byId("counts").hidden = !facts.length;
  byId("counts").replaceChildren(...facts.map(figure));
  byId("left-out").replaceChildren(...lists.map(leftOutList));
  byId("no-table").hidden = byId("headings").hidden = !choice.table;
  byId("choose-anew").hidden = !facts.length && !lists.length;
  complainOfOrder(photos.length > BATCH_PHOTOS ? text("batchFull") : "");
}

/** @param {[string, string]} fact */
function figure([term, value]) {
  const row = make("div");
  row.append(make("dt", term), make("dd", value, { dir: "auto" }));
  return row;
}

/** @param {[string, string[]]} names by why they are left out */
function leftOutList([why, names]) {
  const list = make("ul");
  for (const name of names.slice(0, LISTED)) {
    const item = make("li");
    item.append(make("bdi", name));
    list.append(item);
  }
  const details = make("details", "", { className: "left-out" });
  details.append(make("summary", `${text(why)}: ${number(names.length)}`), list);
  return details;
}

// -- the frame and its words -----------------------------------------------------

const languages = [...langSelect.options];
/** The language that was last chosen by hand: a frame without it must not make anyone choose again. */
let wish = langSelect.value;

/** @type {HTMLInputElement[]} */
const frames = [...form.querySelectorAll('input[name="frame"]')];
const chosenFrame = () => frames.find((frame) => frame.checked) ?? frames[0];
const slogan = () => (sloganInput.disabled ? "" : sloganInput.value.trim());

/**
 * The picture of a frame in a batch's words, to be laid over its photos.
 * @param {Record<string, string>} spec
 * @param {number} pixels
 * @param {AbortSignal} signal
 * @throws {Refused} the words cannot be drawn
 */
export function loadOverlay(spec, pixels, signal) {
  const frame = frames.find(({ value }) => value === spec.frame) ?? frames[0];
  const { overlay: address = "", languages: offered = "" } = frame.dataset;
  const wanted = { address, lang: spec.lang ?? offered.split(" ")[0], slogan: spec.slogan ?? "" };
  return load({ ...wanted, size: sizeFor(pixels) }, signal, () => {});
}

function showFrame() {
  const { languages: offered = "", takesWords } = chosenFrame().dataset;
  const codes = offered.split(" ");
  langSelect.replaceChildren(...languages.filter(({ value }) => codes.includes(value)));
  langSelect.value = codes.includes(wish) ? wish : codes[0];
  sloganInput.disabled = takesWords === undefined;
  byId("slogan-field").hidden = sloganInput.disabled;
  refreshSample();
}

let loading = new AbortController();

async function refreshSample() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  try {
    const picture = await loadOverlay(spec(), SAMPLE * devicePixelRatio, signal);
    const sample = byId("sample");
    picture.id = sample.id;
    picture.className = sample.className;
    picture.alt = sample.alt;
    sample.replaceWith(picture);
    complainOfWords("");
  } catch (problem) {
    if (!signal.aborted) complainOfWords(problem instanceof Refused ? problem.message : text("noAnswer"));
  }
}

/** @param {string} words */
function complainOfWords(words) {
  complain(byId("slogan-problem"), words);
  sloganInput.setAttribute("aria-invalid", String(Boolean(words)));
}

/** A circle is transparent around it, which JPEG cannot be. */
function showShape() {
  const isCircle = shapeSelect.value === "circle";
  for (const option of formatSelect.options) option.disabled = isCircle && option.dataset.isTransparent === undefined;
  if (formatSelect.selectedOptions[0]?.disabled) {
    formatSelect.value = [...formatSelect.options].find(({ disabled }) => !disabled)?.value ?? "";
  }
}

form.addEventListener("change", (/** @type {Event} */ { target }) => {
  if (target === langSelect) {
    wish = langSelect.value;
    refreshSample();
  } else if (target === shapeSelect) showShape();
  else if (target instanceof HTMLInputElement && target.name === "frame") showFrame();
});
let typing = 0;
sloganInput.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(refreshSample, TYPING_PAUSE);
});

// A page that was reloaded may have its choices back.
showFrame();
showShape();
