// @ts-check
// A partner's page: the key, a new batch, photos on their way, what becomes of them, and the way home.

import { announce } from "./announce.js";
import { NoAnswer, Problem, addressOf, ask, askJson, encoded, forgetKey, takeKey } from "./partners-api.js";
import { follow, photosOf } from "./partners-events.js";
import { Choice, chosen, folded } from "./partners-files.js";
import { Line } from "./partners-line.js";
import {
  LISTED,
  complainOfOrder,
  forgetChoice,
  headings,
  isOrdering,
  leadToFault,
  listenToDrops,
  listenToOrder,
  loadOverlay,
} from "./partners-order.js";
import { Results } from "./partners-results.js";
import { Sending } from "./partners-sending.js";
import { complain, duration, make, moment, number, pace, text } from "./partners-texts.js";

/**
 * @typedef {object} Batch as the API tells it
 * @property {string} id
 * @property {"open" | "running" | "done"} state
 * @property {string | null} name
 * @property {Record<string, string>} spec
 * @property {number | null} expected
 * @property {number} received
 * @property {number} waiting
 * @property {number} done
 * @property {number} failed
 * @property {number} missing
 * @property {number | null} rate
 * @property {number | null} seconds_left
 * @property {string} created
 * @property {string} expires
 * @property {string | null} trouble
 */

const TICK = 250; // milliseconds: figures that run are shown no more often
const SAID_STEPS = 8; // and said aloud so often on the whole way
const FRAMED = 540; // pixels of the frame over a photo that is moved
const PATIENCE_FOR_BYTES = 120_000;
const LONG_WAIT = 90_000; // of which one wants to know the end
const FOLLOWINGS = 3;
const NAMED = 12; // of photos that were not sent: the report has all of them
const LOOKED_THROUGH = 12; // pages of photos, for those names
const TROUBLES = new Set(["storage_full", "storage_unavailable"]);
const STEPS = ["key-step", "order-step", "batch-step"];

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** Names of photos that were never sent, as far as they are known. @type {Set<string>} */
const unsent = new Set();
/** What there is to be done for a batch ends with it. */
let ending = new AbortController();
/** @type {Batch | null} */
let batch = null;
/** Photos that this page holds itself, by the name as all systems spell it. @type {Map<string, File>} */
let atHand = new Map();
/** @type {Sending | null} */
let sending = null;
/** Where events go on; and whether they are being listened to. */
let lastEvent = "";
/** @type {Promise<void> | null} */
let following = null;
/** @type {HTMLImageElement | null} */
let overlay = null;
/** Who waits for a photo that is drawn anew, by its name. @type {Map<string, () => void>} */
const awaited = new Map();
/** Framings of which the pictures are being drawn. @type {Set<object>} */
const drawnAnew = new Set();

const results = new Results(byId("partners"), openFraming);
const line = new Line(showTrouble);

/** @param {string} step */
function show(step) {
  for (const id of STEPS) byId(id).hidden = id !== step;
  byId("key-bar").hidden = step === "key-step";
  byId("lead").hidden = step !== "key-step"; // who is at work needs the room
  byId("batches-step").hidden = step !== "order-step" || !byId("batches").childElementCount;
  byId(step).querySelector("h2").focus();
}

/**
 * Show a part of the batch or not. Whose focus goes with it goes on at the title, not at the page's beginning.
 * @param {string} id
 * @param {boolean} isShown
 */
function toggle(id, isShown) {
  const element = byId(id);
  const isLost = !isShown && element.contains(document.activeElement);
  element.hidden = !isShown;
  if (isLost) byId("batch-title").focus();
}

/** @param {unknown} problem */
function wordsFor(problem) {
  if (problem instanceof Problem) return problem.message;
  return text(problem instanceof NoAnswer ? "noAnswer" : "failed");
}

/**
 * Ask before something that cannot be undone.
 * @param {"Erase" | "Forget"} what
 * @returns {Promise<boolean>}
 */
function agree(what) {
  const dialog = byId("asking");
  byId("asking-title").textContent = text(`ask${what}`);
  byId("asking-said").textContent = text(`say${what}`);
  byId("asking-yes").textContent = text(`yes${what}`);
  dialog.returnValue = "";
  dialog.showModal();
  byId("asking-no").focus(); // not what an unheeded Enter would do
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// -- the key -------------------------------------------------------------------

const keyInput = byId("key");

byId("key-form").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  takeKey(keyInput.value);
  complainOfKey("");
  try {
    await listBatches();
    keyInput.value = "";
    showKey(false);
    show("order-step");
  } catch (problem) {
    forgetKey();
    complainOfKey(wordsFor(problem));
    keyInput.focus();
  }
});

byId("show-key").addEventListener("click", () => showKey(keyInput.classList.contains("is-secret")));

/** @param {boolean} isShown */
function showKey(isShown) {
  keyInput.classList.toggle("is-secret", !isShown);
  byId("show-key").setAttribute("aria-pressed", String(isShown));
}

/** @param {string} words */
function complainOfKey(words) {
  complain(byId("key-problem"), words);
  keyInput.setAttribute("aria-invalid", String(Boolean(words)));
}

byId("forget-key").addEventListener("click", async () => {
  if (!sending || (await agree("Forget"))) leave("");
});

/** Let go of the key, and of all that was had with it. @param {string} why */
function leave(why) {
  forgetKey();
  leaveBatch();
  forgetChoice();
  byId("batches").replaceChildren();
  show("key-step");
  complainOfKey(why);
}

// -- the batches that there are ------------------------------------------------

async function listBatches() {
  const { batches } = await askJson(addressOf());
  byId("batches").replaceChildren(...batches.map(batchItem));
}

/** @param {Batch} one */
function batchItem(one) {
  const facts = [text(`state.${one.state}`), `${text("photos")}: ${number(one.received)}`];
  const item = make("li");
  const button = make("button", text("open"), { type: "button", className: "button is-quiet is-small" });
  button.setAttribute("aria-label", `${text("open")}: ${titleOf(one)}`);
  button.addEventListener("click", () => openBatch(one));
  const words = make("p");
  words.append(
    boldly(titleOf(one)),
    make("span", facts.join(" · "), { className: "hint" }),
    make("span", text("expires", { time: moment(one.expires) }), { className: "hint" }),
  );
  item.append(words, button);
  return item;
}

/** @param {string} title */
function boldly(title) {
  const bold = make("b");
  bold.append(make("bdi", title));
  return bold;
}

/** @param {Batch} one */
function titleOf(one) {
  return one.name || text("batchOf", { time: moment(one.created) });
}

async function goBack() {
  leaveBatch();
  await listBatches().catch(() => {}); // what was listed before is still there
  show("order-step");
}

function leaveBatch() {
  ending.abort();
  ending = new AbortController();
  sending?.stop();
  sending = batch = overlay = following = null;
  said = "";
  atHand = new Map();
  awaited.clear();
  unsent.clear();
  drawnAnew.clear();
  showWayHome();
  lastEvent = "";
  results.begin("");
  showTrouble(null);
}

// -- a batch -------------------------------------------------------------------

listenToOrder(async ({ name, spec, photos, table }) => {
  const start = byId("start");
  start.disabled = true;
  complainOfOrder("");
  /** @type {unknown} */
  let fault = null;
  try {
    const order = { spec, expected: photos.size, name: name || null };
    const headers = { "Idempotency-Key": `"${randomName()}"` };
    const question = { method: "POST", body: order, headers, signal: ending.signal };
    const made = await line.insist(() => askJson(addressOf(), question), ending.signal);
    enter(made);
    forgetChoice();
    hold(photos);
    await work(async () => {
      if (table) await sendTable(table);
      await send(photos);
    });
  } catch (problem) {
    complainOfOrder(wordsFor(problem));
    fault = problem;
  } finally {
    start.disabled = false;
    if (fault && isOrdering()) leadToFault(fault);
  }
});

/** @returns {string} that nobody else has */
function randomName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {Batch} one */
function openBatch(one) {
  enter(one);
  work(async () => {
    if (one.state !== "open") return watch();
    showRest(true);
  });
}

/** Show a batch. @param {Batch} one */
function enter(one) {
  batch = one;
  results.begin(one.id);
  byId("batch-title").replaceChildren(make("bdi", titleOf(one)));
  byId("batch-expires").textContent = text("expires", { time: moment(one.expires) });
  for (const id of ["rest", "start-without", "table-problems", "take-home", "another-batch"]) byId(id).hidden = true;
  byId("take-home-said").textContent = "";
  showProgress();
  show("batch-step");
  const { signal } = ending;
  loadOverlay(one.spec, FRAMED, signal).then((picture) => {
    if (!signal.aborted) overlay = picture;
  }, () => {}); // a photo can be moved without it
}

/**
 * Do something for the batch; what ends it is told.
 * @param {() => Promise<void>} task
 */
async function work(task) {
  const { signal } = ending;
  try {
    await task();
  } catch (problem) {
    if (signal.aborted) return; // it was left
    const { code = "" } = problem instanceof Problem ? problem : {};
    if (code === "key_missing" || code === "key_not_known") leave(wordsFor(problem));
    else complain(byId("trouble"), wordsFor(problem));
  }
}

/** @param {Map<string, File>} photos that this page can show by itself */
function hold(photos) {
  for (const [name, file] of photos) atHand.set(folded(name), file);
}

// -- the table -----------------------------------------------------------------

/** What to do when the partner has seen what is wrong with a table. @type {() => void} */
let goOnWithTable = () => {};
/** @type {File | null} */
let sentTable = null;

/**
 * @param {File} table
 * @returns {Promise<void>} when photos may follow: it is good, or the partner goes on all the same
 */
async function sendTable(table) {
  if (!batch) return;
  const { signal } = ending;
  const columns = String(new URLSearchParams(headings().map((each) => ["column", each])));
  const address = addressOf(batch.id, columns ? `table?${columns}` : "table");
  const question = { method: "PUT", body: table, headers: { "Content-Type": "application/octet-stream" }, signal };
  /** @type {{line?: number, photo?: string, error: {detail: string}}[]} */
  let problems;
  let inAll = 1;
  try {
    ({ problems, problems_in_all: inAll } = await line.insist(() => askJson(address, question), signal));
  } catch (problem) {
    // A file that is no table at all: the partner chooses another, or goes without.
    if (!(problem instanceof Problem) || ![413, 415, 422].includes(problem.status)) throw problem;
    problems = [{ error: { detail: problem.message } }];
  }
  toggle("table-problems", problems.length > 0);
  if (!problems.length) return;
  sentTable = table;
  byId("table-problems").querySelector("ul").replaceChildren(...problems.slice(0, LISTED).map(tableProblem));
  byId("table-problems").querySelector(".count").textContent = inAll > LISTED ? number(inAll) : "";
  byId("headings-again").append(byId("headings"));
  byId("headings").hidden = false;
  byId("table-problems").querySelector("h3").focus();
  await new Promise((/** @type {(value?: any) => void} */ resolve) => (goOnWithTable = resolve));
  toggle("table-problems", false);
}

/** @param {{line?: number, photo?: string, error: {detail: string}}} problem */
function tableProblem({ line: row, photo = "", error }) {
  const item = make("li");
  // What is wrong with the row itself names it.
  if (row && error.code !== "invalid_row") item.append(make("span", text("line", { line: number(row) }), { className: "name" }), " ");
  if (photo) item.append(make("bdi", photo, { className: "name" }), " ");
  item.append(make("span", error.detail));
  return item;
}

/** @param {File | null} table in the place of the one before */
function sendTableAgain(table) {
  const goOn = goOnWithTable;
  if (table) work(() => sendTable(table).then(goOn));
}

byId("in-spite").addEventListener("click", () => goOnWithTable());
byId("same-table").addEventListener("click", () => sendTableAgain(sentTable));
byId("other-table").addEventListener("change", () => {
  const [table = null] = byId("other-table").files;
  byId("other-table").value = "";
  sendTableAgain(table);
});

// -- sending -------------------------------------------------------------------

/** @param {Map<string, File>} photos */
async function send(photos) {
  if (!batch) return;
  const { id, spec } = batch;
  const tick = setInterval(showProgress, TICK);
  sending = new Sending({ batch: id, photos: [...photos], size: Number(spec.size), line });
  showProgress();
  try {
    await sending.run();
    const { sent, refused } = sending;
    results.putRefused(refused);
    for (const name of refused.keys()) unsent.add(name);
    batch.received += sent;
    sending = null;
    await start(refused);
  } finally {
    clearInterval(tick);
    sending = null;
    showProgress();
  }
}

/**
 * Have the batch drawn.
 * @param {Map<string, string> | null} refused those of which the partner sees already why they are missing; or whatever
 *   is missing may be
 */
async function start(refused) {
  if (!batch) return;
  const { signal } = ending;
  const { id } = batch;
  toggle("start-without", false);
  complain(byId("trouble"), "");
  try {
    const address = addressOf(id, !refused ? "start?without_missing=true" : "start");
    takeBatch(await line.insist(() => askJson(address, { method: "POST", signal }), signal));
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.code !== "batch_incomplete") throw problem;
    takeBatch(await line.insist(() => askJson(addressOf(id), { signal }), signal));
    // Nobody has to be there at night for the one file of thousands that is empty.
    if (refused && (await isExplained(batch, refused))) return start(null);
    complain(byId("trouble"), problem.message);
    byId("start-without").hidden = false;
    byId("start-without").focus();
    return;
  }
  await watch();
}

/** Whether nothing is missing but what was refused. @param {Batch} one @param {Map<string, string>} refused */
async function isExplained({ id, missing, expected, received }, refused) {
  if ((expected ?? 0) - received > refused.size || missing > refused.size) return false;
  const known = new Set([...refused.keys()].map(folded));
  if (missing) {
    for await (const photos of photosOf(id, line, ending.signal)) {
      if (photos.some(({ name, state }) => state === "missing" && !known.has(folded(name)))) return false;
    }
  }
  return true;
}

byId("start-without").addEventListener("click", () => {
  showRest(false);
  work(() => start(null));
});
byId("go-on").addEventListener("click", () => line.goOn());

// -- after a reload ------------------------------------------------------------

/** @param {boolean} isWanted that the folder be chosen again */
function showRest(isWanted) {
  toggle("rest", isWanted);
  toggle("start-without", Boolean(isWanted && batch?.state === "open" && batch.received));
  showProgress();
}

byId("rest-folder").addEventListener("change", () => {
  takeRest(chosen(byId("rest-folder").files));
  byId("rest-folder").value = "";
});

/** The same photos once more: those that have not been sent are, and all can be moved in their frames. */
function takeRest(/** @type {import("./partners-files.js").Found[]} */ found) {
  if (!batch || byId("rest").hidden) return;
  const again = new Choice();
  again.add(found);
  const photos = again.named();
  if (!photos.size) return;
  hold(photos);
  showRest(false);
  if (batch.state !== "open") return;
  work(async () => {
    const there = new Set();
    for await (const page of photosOf(/** @type {Batch} */ (batch).id, line, ending.signal)) {
      for (const { name, state } of page) if (state !== "missing") there.add(folded(name));
    }
    await send(new Map([...photos].filter(([name]) => !there.has(folded(name)))));
  });
}

listenToDrops(takeRest);

// -- drawing -------------------------------------------------------------------

/** Follow the batch until it is done. Asked again meanwhile, it goes on. */
function watch() {
  following ??= (async () => {
    const { signal } = ending;
    try {
      const id = /** @type {Batch} */ (batch).id;
      lastEvent = await follow(id, line, signal, { onPhotos: takePhotos, onBatch: takeBatch }, lastEvent);
    } finally {
      if (!signal.aborted) following = null;
    }
    showDone();
  })();
  return following;
}

/** @param {import("./partners-results.js").Photo[]} photos */
function takePhotos(photos) {
  results.put(photos);
  for (const { name } of photos) awaited.get(name)?.();
}

/** @param {Batch} told */
function takeBatch(told) {
  batch = told;
  showProgress();
}

function showDone() {
  byId("take-home").hidden = false;
  byId("another-batch").hidden = false;
  showRest(!atHand.size);
  if (batch?.missing && unsent.size < batch.missing) work(nameUnsent);
}

/** Learn which photos the table names and nobody has sent. */
async function nameUnsent() {
  const { signal } = ending;
  let pages = 0;
  for await (const photos of photosOf(/** @type {Batch} */ (batch).id, line, signal)) {
    if (signal.aborted) return;
    for (const { name, state } of photos) if (state === "missing") unsent.add(name);
    if (unsent.size > NAMED || ++pages === LOOKED_THROUGH) break;
  }
  showProgress();
}

/** @param {Batch} one @returns {string} how many photos were not sent, and which; nothing where all were */
function unsentNote({ missing, expected, received }) {
  const count = Math.max(missing, (expected ?? 0) - received, unsent.size);
  if (!count) return "";
  const names = [...unsent].slice(0, NAMED).map((name) => `\u2068${name}\u2069`);
  const rest = names.length && names.length < count ? ["…"] : [];
  return text("unsent", { missing: number(count), names: [...names, ...rest].join(", ") }).trim();
}

byId("another-batch").addEventListener("click", goBack);

// -- how far it is ---------------------------------------------------------------

/** What was announced last, of which state. */
let said = "";

function showProgress() {
  if (!batch) return;
  const { what, done, all, rate, left } = progress(batch);
  byId("progress-said").textContent = text(what, { done: number(done), all: number(all) });
  byId("progress-bar").value = all ? done / all : 0;
  byId("progress-bar").hidden = what === "done";
  const notes = [];
  if (rate && left && !line.trouble) notes.push(text("pace", { rate: pace(rate), time: duration(left) }));
  if (!byId("rest").hidden && what === "unfinished") notes.push(text("unfinishedNote"));
  if (what === "done") notes.push(unsentNote(batch));
  if (batch.trouble && TROUBLES.has(batch.trouble)) notes.push(text(`trouble.${batch.trouble}`));
  if (sending?.lies) notes.push(text("lying"));
  else if (sending?.whole) notes.push(text("whole", { count: number(sending.whole) }));
  byId("progress-note").textContent = notes.filter(Boolean).join("\n");
  byId("erase").hidden = false;
  announceProgress(what, all && what !== "done" ? done / all : 1);
}

/** @param {Batch} one */
function progress(one) {
  if (sending) {
    const all = one.received + sending.photos.length;
    const done = one.received + sending.sent + sending.refused.size;
    return { what: "sending", done, all, rate: sending.rate, left: sending.secondsLeft };
  }
  const { received, done, failed, rate, seconds_left: left } = one;
  if (one.state === "open") return { what: "unfinished", done: received, all: one.expected ?? received };
  const all = one.waiting + done + failed;
  if (one.state === "done") return { what: "done", done, all };
  return { what: "drawing", done: done + failed, all, rate, left };
}

/** Not every photo is worth a word, but every state is. @param {string} what @param {number} share */
function announceProgress(what, share) {
  const step = `${what} ${Math.floor(share * SAID_STEPS)}`;
  if (step === said) return;
  said = step;
  const more = batch && what === "done" ? unsentNote(batch) : "";
  announce(`${byId("progress-said").textContent} ${more}`.trim());
}

/** @param {import("./partners-line.js").Trouble | null} trouble */
function showTrouble(trouble) {
  toggle("go-on", Boolean(trouble));
  complain(byId("trouble"), trouble ? wordsOf(trouble) : "");
  showProgress(); // no end is promised while the line is broken
}

/** @param {import("./partners-line.js").Trouble} trouble */
function wordsOf({ problem, until }) {
  if (!(problem instanceof Problem)) return text("noConnection");
  const isLong = until - Date.now() > LONG_WAIT;
  const time = moment(new Date(until).toISOString());
  return `${problem.message} ${isLong ? text("waiting", { time }) : text("soon")}`;
}

// -- another crop ----------------------------------------------------------------

/** @param {import("./partners-results.js").Photo} photo */
async function openFraming(photo) {
  if (!batch) return;
  const { open } = await import("./partners-framing.js");
  open({ batch: batch.id, photo, file: atHand.get(folded(photo.name)), overlay, onReframe });
}

/**
 * @param {string} name
 * @param {{x: number, y: number, zoom: number}} framing
 * @returns {Promise<void>} when it is drawn
 */
async function onReframe(name, { x, y, zoom }) {
  if (!batch) return;
  const { signal } = ending;
  const address = addressOf(batch.id, `photos/${encoded(name)}/framing`);
  const body = { x: rounded(x), y: rounded(y), zoom: rounded(zoom) };
  let isDrawn = false;
  drawnAnew.add(body);
  showWayHome();
  awaited.set(name, () => (isDrawn = true));
  results.mark(name, true);
  byId("take-home-said").textContent = "";
  try {
    await line.insist(() => ask(address, { method: "POST", body, signal }), signal);
    // Whoever follows already may be about to end, and not hear of it any more.
    for (let times = 0; times < FOLLOWINGS && !isDrawn; times++) await watch();
  } catch (problem) {
    if (!signal.aborted) complain(byId("trouble"), wordsFor(problem));
    throw problem;
  } finally {
    drawnAnew.delete(body);
    showWayHome();
    awaited.delete(name);
    results.mark(name, false);
  }
}

/** @param {number} value */
const rounded = (value) => Math.round(value * 1e4) / 1e4;

// -- the way home ----------------------------------------------------------------

for (const [id, file] of [["get-zip", "avatars.zip"], ["get-report", "report.csv"]]) {
  byId(id).addEventListener("click", () => work(() => download(file)));
}

/** While a photo is drawn anew the batch is not done, and the server has no ZIP of it. */
function showWayHome() {
  for (const id of ["get-zip", "get-report"]) byId(id).disabled = drawnAnew.size > 0;
}

/** Have the browser save a file: to an address that is good for some minutes, because it is led there without a key. */
async function download(/** @type {string} */ file) {
  if (!batch) return;
  const { signal } = ending;
  const question = { method: "POST", body: { file }, signal };
  const { url } = await line.insist(() => askJson(addressOf(batch?.id, "downloads"), question), signal);
  // Not led to an error: the page, and the key in its memory, would be gone.
  await ask(url, { method: "HEAD", signal, patience: PATIENCE_FOR_BYTES });
  location.assign(url);
  byId("take-home-said").textContent = text("downloading");
}

byId("erase").addEventListener("click", async () => {
  const one = batch;
  if (!one || !(await agree("Erase"))) return;
  ending.abort(); // nothing more is sent, nor heard
  ending = new AbortController();
  sending?.stop();
  work(async () => {
    await line.insist(() => ask(addressOf(one.id), { method: "DELETE", signal: ending.signal }), ending.signal);
    await goBack();
    announce(text("erased"));
  });
});

addEventListener("beforeunload", (event) => {
  if (!sending) return;
  event.preventDefault();
  event.returnValue = ""; // older browsers ask for it
});

// A page that comes back out of a browser's memory has no key to go on with in somebody else's hands.
addEventListener("pagehide", ({ persisted }) => {
  if (persisted) leave("");
});

if (isOrdering()) show("key-step");
