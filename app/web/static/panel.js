// @ts-check
// Where the page says how a request is doing: a sentence, a bar, and buttons for the way on.

import { announce } from "./announce.js";
import { measure, percent, text } from "./texts.js";

export class Panel {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    [this.sentence, this.note] = element.querySelectorAll("p");
    this.bar = /** @type {HTMLProgressElement} */ (element.querySelector("progress"));
    [this.againButton, this.cancelButton] = element.querySelectorAll("button");
  }

  clear() {
    this.element.hidden = true;
    this.explain("");
  }

  /** Do as if "Cancel" were pressed, where it can be. */
  cancel() {
    if (!this.element.hidden) this.cancelButton.onclick?.(new MouseEvent("click"));
  }

  /** Say beside all that follows what it is for. @param {string} note */
  explain(note) {
    this.note.textContent = note;
    this.note.hidden = !note;
  }

  /** Something takes a moment. @param {string} sentence */
  showWorking(sentence) {
    this._show(sentence, { share: null });
    announce(sentence);
  }

  /** @param {number} share 0 to 1 @param {() => void} [onCancel] at the beginning */
  showSent(share, onCancel) {
    const cancel = onCancel ?? this.cancelButton.onclick;
    this._show(text("sending", { percent: percent(share) }), { share, cancel });
    if (onCancel) announce(text("sending", { percent: percent(0) }));
  }

  showDrawing() {
    this._show(text("drawing"), { share: null, cancel: this.cancelButton.onclick });
    announce(text("drawing"));
  }

  /** It is done, and there is a page to go to. @param {string} sentence @param {string} address */
  lead(sentence, address) {
    this._show("", {});
    const link = document.createElement("a");
    link.href = address;
    link.textContent = sentence;
    this.sentence.append(link);
    announce(sentence);
  }

  /** What went wrong, and is not mended by trying again. @param {string} sentence */
  fail(sentence) {
    this.explain("");
    this._show(sentence, { isError: true });
    this.element.focus();
  }

  /**
   * The connection is gone: wait for a press, or for the connection.
   * @param {string} sentence
   * @returns {Promise<boolean>} whether to go on
   */
  offerAgain(sentence) {
    return new Promise((resolve) => {
      const listening = new AbortController();
      /** @param {boolean} goOn */
      const decide = (goOn) => {
        listening.abort();
        resolve(goOn);
      };
      window.addEventListener("online", () => decide(true), { signal: listening.signal });
      this._show(sentence, { isError: true, again: () => decide(true), cancel: () => decide(false) });
      this.element.focus();
    });
  }

  /**
   * The server said that it can be asked again, and when.
   * @param {number} seconds
   * @param {"busy" | "crowded" | "unavailable"} why
   * @returns {Promise<boolean>} whether to go on
   */
  countDown(seconds, why) {
    return new Promise((resolve) => {
      const end = Date.now() + seconds * 1000;
      /** @param {boolean} goOn */
      const decide = (goOn) => {
        clearInterval(timer);
        resolve(goOn);
      };
      const tick = () => {
        const left = Math.ceil((end - Date.now()) / 1000);
        if (left <= 0) return decide(true);
        this.sentence.textContent = text(why, { time: measure(left, "second") });
      };
      const timer = setInterval(tick, 250);
      this._show("", { cancel: () => decide(false) });
      tick();
      // It lasts, so the way out of it has to be seen: on a low window, it opens below the edge.
      this.element.scrollIntoView({ block: "nearest" });
      announce(this.sentence.textContent ?? "");
    });
  }

  /**
   * @param {string} sentence
   * With a share there is a bar; null is an unknown one.
   * @param {{share?: number | null, isError?: boolean, again?: (() => void), cancel?: GlobalEventHandlers["onclick"]}} parts
   */
  _show(sentence, { share, isError = false, again, cancel }) {
    const focused = [this.againButton, this.cancelButton].find((button) => button === document.activeElement);
    this.element.hidden = false;
    this.element.classList.toggle("is-error", isError);
    this.sentence.textContent = sentence;
    this.bar.hidden = share === undefined;
    if (typeof share === "number") this.bar.value = share;
    else this.bar.removeAttribute("value");
    this.againButton.hidden = !again;
    this.againButton.onclick = again ?? null;
    this.cancelButton.hidden = !cancel;
    this.cancelButton.onclick = cancel ?? null;
    // A button that goes does not take the focus with it, back to the top of the page.
    if (focused?.hidden) this.element.focus();
  }
}
