// @ts-check
// What has become of each photo: those that were not made with their reasons, the doubtful ones, and the others.
//
// There may be tens of thousands. Only so many are in the page as were asked for, and a picture is fetched when its
// place comes into sight and let go when it has left it.

import { addressOf, ask, encoded } from "./partners-api.js";
import { number, text } from "./texts.js";

/**
 * @typedef {object} Photo as the API tells it
 * @property {string} name
 * @property {"missing" | "waiting" | "done" | "failed"} state
 * @property {{code?: string, title: string, detail: string} | null} error without a code where it was never sent
 * @property {{kind: string, x: number, y: number, zoom: number} | null} framing
 * @property {boolean} doubtful
 * @property {string} [event] by which it was told
 */

const FIRST = 60;
const MORE = 240;
const AT_A_TIME = 20; // of those: between two pictures of the screen there is no time for all
const AT_ONCE = 4; // pictures that are being fetched
const HEAD = 9; // letters of a long name in its first line, beside the tick
const TAIL = 13; // and in its second
const NEAR = "400px"; // of the window: what comes into sight next

export class Results {
  /**
   * @param {HTMLElement} root
   * @param {(photo: Photo) => void} onOpen
   */
  constructor(root, onOpen) {
    const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (root.querySelector(`#${id}`));
    const cell = (/** @type {Entry} */ entry) => this._cell(entry);
    this.failures = new Part(part("failures"), problemItem);
    this.doubtful = new Part(part("doubtful"), cell);
    this.others = new Part(part("others"), cell);
    this.otherPhotos = part("other-photos");
    this.onOpen = onOpen;
    this.batch = "";
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
    this.pictures = new Pictures();
  }

  /** @param {string} batch whose results these are, from now on */
  begin(batch) {
    this.batch = batch;
    this.entries.clear();
    this.pictures.forget();
    for (const part of [this.failures, this.doubtful, this.others]) part.clear();
    this.otherPhotos.hidden = true;
  }

  /** @param {Photo[]} photos */
  put(photos) {
    for (const photo of photos) {
      if (photo.state !== "done" && photo.state !== "failed") continue;
      const before = this.entries.get(photo.name);
      if (before) this._renew(before, photo);
      else this._enter(photo);
    }
    for (const part of [this.failures, this.doubtful, this.others]) part.show();
  }

  /** What never reached the server, and why. @param {Map<string, string>} refused */
  putRefused(refused) {
    for (const [name, reason] of refused) {
      const error = { title: "", detail: text("notSent", { reason }) };
      if (!this.entries.has(name)) this._enter({ name, state: "failed", error, framing: null, doubtful: false });
    }
    this.failures.show();
  }

  /** Say of a photo that it is being drawn anew, or that it no longer is. @param {string} name @param {boolean} isIt */
  mark(name, isIt) {
    const entry = this.entries.get(name);
    entry?.item?.classList.toggle("is-drawn-anew", isIt);
    if (entry) sayState(entry);
  }

  /** @param {Photo} photo */
  _enter(photo) {
    const part = photo.state === "failed" ? this.failures : photo.doubtful ? this.doubtful : this.others;
    const entry = { photo, part, item: null };
    this.entries.set(photo.name, entry);
    part.entries.push(entry);
    if (part === this.failures && isOfPhoto(photo)) this.otherPhotos.hidden = false;
  }

  /** @param {Entry} entry @param {Photo} photo */
  _renew(entry, photo) {
    // Where events do not get through, all photos are told again and again.
    const isNew = JSON.stringify(entry.photo) !== JSON.stringify(photo);
    entry.photo = photo; // it stays where it was found: nothing jumps away under a finger
    if (!isNew || !entry.item || entry.part === this.failures) return;
    showState(entry);
    this.pictures.renew(entry.item);
  }

  /** @param {Entry} entry */
  _cell(entry) {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "result" });
    const picture = Object.assign(document.createElement("img"), { alt: "", width: 160, height: 160 });
    const place = Object.assign(document.createElement("span"), { className: "result-picture" });
    const name = Object.assign(document.createElement("span"), { className: "result-name", dir: "auto" });
    const whole = lastPart(entry.photo.name);
    name.textContent = shortened(whole);
    name.classList.toggle("is-cut", name.textContent !== whole);
    button.title = entry.photo.name;
    place.append(picture);
    button.append(place, name);
    button.addEventListener("click", () => this.onOpen(entry.photo));
    item.append(button);
    entry.item = item;
    showState(entry);
    const address = addressOf(this.batch, `thumbnails/${encoded(entry.photo.name)}`);
    this.pictures.watch(item, picture, address);
    return item;
  }
}

/** @typedef {{photo: Photo, part: Part, item: HTMLElement | null}} Entry */

/** One kind of them: a heading with how many there are, the first, and a button for more. */
class Part {
  /** @param {HTMLElement} element @param {(entry: Entry) => HTMLElement} draw */
  constructor(element, draw) {
    this.element = element;
    this.draw = draw;
    this.count = /** @type {HTMLElement} */ (element.querySelector(".count"));
    this.button = /** @type {HTMLButtonElement} */ (element.querySelector(":scope > button"));
    this.first = /** @type {HTMLElement} */ (element.querySelector("ul"));
    this.last = this.first;
    /** @type {Entry[]} */
    this.entries = [];
    this.shown = 0;
    this.asked = 0;
    this.request = 0;
    this.button.addEventListener("click", () => this._showMore());
  }

  clear() {
    cancelAnimationFrame(this.request);
    this.entries = [];
    this.shown = this.asked = 0;
    this.first.replaceChildren();
    for (const list of this.element.querySelectorAll("ul")) if (list !== this.first) list.remove();
    this.last = this.first;
    this.show();
  }

  show() {
    this.element.hidden = !this.entries.length;
    this.count.textContent = number(this.entries.length);
    if (this.entries.length) this.asked ||= this._wholeRows(FIRST);
    this.button.hidden = this.entries.length <= this.asked;
    const next = this.entries.slice(this.shown, Math.min(this.asked, this.shown + AT_A_TIME));
    for (const entry of next) entry.item = this.draw(entry);
    this.last.append(...next.map(({ item }) => /** @type {HTMLElement} */ (item)));
    this.shown += next.length;
    cancelAnimationFrame(this.request);
    const isAll = this.shown >= Math.min(this.asked, this.entries.length);
    if (!isAll) this.request = requestAnimationFrame(() => this.show());
  }

  /** More go to a list of their own: to add to one of thousands, all of it would be laid out anew. */
  _showMore() {
    this.asked = this.shown + this._wholeRows(MORE);
    this.last = /** @type {HTMLElement} */ (this.first.cloneNode(false));
    this.button.before(this.last);
    this.show();
    // Who goes by keyboard goes on with the first of those that are new, also where the button is gone.
    const next = /** @type {HTMLElement | null} */ (this.last.firstElementChild);
    (next?.querySelector("button") ?? next)?.focus();
  }

  /** As many that no row is left open where the next list begins. @param {number} count */
  _wholeRows(count) {
    const columns = getComputedStyle(this.first).gridTemplateColumns.split(" ").length;
    return Math.ceil(count / columns) * columns;
  }
}

/** Tell by a sign what somebody has placed by hand, and what could not be drawn after all. @param {Entry} entry */
function showState(entry) {
  const { photo, item } = entry;
  item?.classList.toggle("is-failed", photo.state === "failed");
  item?.classList.toggle("is-placed", photo.framing?.kind === "given");
  sayState(entry);
}

/** Say the whole name, and in words what those signs tell the eye. @param {Entry} entry */
function sayState({ photo, item }) {
  if (!item) return;
  const isPlaced = photo.framing?.kind === "given";
  const name = photo.state === "failed" ? "notMade" : isPlaced ? "placed" : "";
  const isDrawnAnew = item.classList.contains("is-drawn-anew");
  const words = isDrawnAnew ? text("reframing") : name && text(name);
  const label = lastPart(photo.name) + (words && ` (${words})`);
  item.querySelector("button")?.setAttribute("aria-label", label);
}

/** Whether another photo would help: it would not against a fault of the table. @param {Photo} photo */
function isOfPhoto({ error }) {
  return !error?.code || error.code.startsWith("photo_");
}

/** @param {Entry} entry */
function problemItem({ photo }) {
  const item = document.createElement("li");
  item.tabIndex = -1;
  const name = document.createElement("bdi");
  name.className = "name";
  name.textContent = photo.name;
  const reason = document.createElement("span");
  reason.textContent = photo.error?.detail ?? "";
  item.append(name, " ", reason);
  return item;
}

/** @param {string} name */
export function lastPart(name) {
  return name.slice(name.lastIndexOf("/") + 1);
}

/**
 * Two lines of what is long, without its middle: the names of one folder often differ only at their ends.
 * @param {string} name
 */
function shortened(name) {
  const letters = [...name];
  if (letters.length <= HEAD + TAIL + 1) return name;
  const tail = letters.slice(-TAIL).join("").replace(/^\p{M}+/u, ""); // marks of a letter that is gone
  return `${letters.slice(0, HEAD).join("")}…\n${tail}`;
}

// -- the pictures --------------------------------------------------------------

/** @typedef {{image: HTMLImageElement, address: string, isSeen: boolean, asking: AbortController | null}} Watched */

class Pictures {
  constructor() {
    /** @type {Map<Element, Watched>} */
    this.watched = new Map();
    /** What came into sight last is fetched first. @type {Watched[]} */
    this.wanted = [];
    this.asked = 0;
    this.observer = new IntersectionObserver((changes) => this._see(changes), { rootMargin: NEAR });
  }

  /** @param {Element} item @param {HTMLImageElement} image @param {string} address */
  watch(item, image, address) {
    this.watched.set(item, { image, address, isSeen: false, asking: null });
    this.observer.observe(item);
  }

  /** @param {Element} item whose picture has changed */
  renew(item) {
    const watched = this.watched.get(item);
    if (!watched?.isSeen) return;
    watched.asking?.abort();
    this._want(watched);
  }

  forget() {
    this.observer.disconnect();
    for (const watched of this.watched.values()) drop(watched);
    this.watched.clear();
    this.wanted = [];
  }

  /** @param {IntersectionObserverEntry[]} changes */
  _see(changes) {
    for (const { target, isIntersecting } of changes) {
      const watched = this.watched.get(target);
      if (!watched || watched.isSeen === isIntersecting) continue;
      watched.isSeen = isIntersecting;
      if (isIntersecting) this._want(watched);
      else drop(watched);
    }
  }

  /** @param {Watched} watched */
  _want(watched) {
    this.wanted.push(watched);
    this._fetchNext();
  }

  /** @returns {Promise<void>} */
  async _fetchNext() {
    if (this.asked >= AT_ONCE) return;
    this.wanted = this.wanted.filter(({ isSeen }) => isSeen);
    const watched = this.wanted.pop();
    if (!watched) return;
    this.asked++;
    const asking = (watched.asking = new AbortController());
    try {
      const answer = await ask(watched.address, { signal: asking.signal });
      const picture = await answer.blob();
      if (watched.isSeen && !asking.signal.aborted) {
        release(watched.image);
        watched.image.src = URL.createObjectURL(picture);
      }
    } catch {
      // Its place stays empty; it is asked for again when it comes into sight again.
    } finally {
      this.asked--;
      this._fetchNext();
    }
  }
}

/** @param {Watched} watched */
function drop(watched) {
  watched.isSeen = false;
  watched.asking?.abort();
  release(watched.image);
  watched.image.removeAttribute("src");
}

/** @param {HTMLImageElement} image */
function release(image) {
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
}
