// The page that a supporter leaves with their picture. It works without this script; with it, it hands the picture
// on, says until when it is kept, and forgets it when the server has.

import { copy, createSharing, select } from "./share.js";
import { text } from "./texts.js";

// A clock that is a little ahead asks again before it believes that the picture is gone.
const ASK_AGAIN_MS = 2000;

// A page that came back is blank until the server has answered, but no longer than this.
const ANSWER_MS = 4000;

const page = document.getElementById("made");
const field = document.getElementById("words");
const shareSaid = document.getElementById("share-said");
const copySaid = document.getElementById("copy-said");
const deletion = startDeletion(document.getElementById("deletion"));
let isDeleting = false;

const sharing = createSharing({
  fetchPicture,
  words: field.dataset.words,
  address: field.dataset.address,
  field,
});

// -- handing it on --------------------------------------------------------

async function fetchPicture() {
  const response = await fetch(page.dataset.picture, { cache: "no-store" });
  if (response.status === 404) forget();
  if (!response.ok) throw new Error(`the picture answered ${response.status}`);
  return new File([await response.blob()], "red-ribbons.jpg", { type: "image/jpeg" });
}

/**
 * Bring the picture into memory before anybody asks to share it, because a press does not wait for a network (see
 * share.js). It is sent a second time for that: nothing may keep it (no-store), so no cache can give it. Where data
 * is dear or slow it is not; there the first press brings it, and the second shares it.
 */
function prepareWhenIdle() {
  const { saveData, effectiveType = "" } = navigator.connection ?? {};
  if (!sharing.takesPictures || saveData || effectiveType.endsWith("2g")) return;
  const prepare = () => sharing.prepare().catch(() => {}); // asked again at the press
  if ("requestIdleCallback" in window) requestIdleCallback(prepare, { timeout: 3000 });
  else setTimeout(prepare, 500);
}

async function handOn() {
  const outcome = await sharing.share(() => say(shareSaid, text("preparing")));
  say(shareSaid, outcome === "cancelled" ? "" : text(outcome));
}

async function copyWords() {
  say(copySaid, text((await copy(field)) ? "copied" : "selected"));
}

/** Say something to eyes and to screen readers; the same words are said again only if they were gone before. */
function say(region, words) {
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = words));
}

// -- how long it lives ----------------------------------------------------

/** Say when the picture is deleted, by the reader's own clock, and return that moment in ms since 1970. */
function startDeletion(sentence) {
  const moment = Date.now() + Number(sentence.dataset.secondsLeft) * 1000;
  const time = document.createElement("time");
  time.dateTime = new Date(moment).toISOString();
  time.textContent = clock().format(moment);
  const [before, after] = text("deletedAt").split("{time}");
  sentence.replaceChildren(before, time, after);
  setTimeout(checkPicture, moment - Date.now());
  return moment;
}

function clock() {
  const { tag } = document.getElementById("texts").dataset;
  return new Intl.DateTimeFormat(tag, { hour: "numeric", minute: "2-digit" });
}

/** Ask whether the picture is still kept; where it is not, or nobody answers and it should not be, forget it. */
async function checkPicture() {
  let isKept = Date.now() < deletion && !isDeleting;
  try {
    const signal = AbortSignal.timeout?.(ANSWER_MS);
    const response = await fetch(page.dataset.picture, { method: "HEAD", cache: "no-store", signal });
    isKept = response.status !== 404;
  } catch {
    // What was last known decides.
  }
  if (!isKept) forget();
  else if (Date.now() >= deletion) setTimeout(checkPicture, ASK_AGAIN_MS);
  return isKept;
}

/** Take the picture off the page and out of memory, and say that it is gone. */
function forget() {
  if (!page.isConnected) return;
  sharing.forget();
  for (const image of page.querySelectorAll("img")) image.removeAttribute("src");
  page.replaceWith(document.getElementById("gone").content.cloneNode(true));
  const title = document.querySelector(".gone h1");
  document.title = title.textContent;
  title.focus();
}

// -- the next person on this phone ----------------------------------------

// A browser may keep the whole page to come back to, whatever its headers say. It is left without its content, and
// gets it back when the picture turns out to be kept still.
addEventListener("pagehide", () => (page.hidden = true));

addEventListener("pageshow", async (event) => {
  if (!event.persisted || !(await checkPicture())) return;
  isDeleting = false; // it was not deleted after all: the service was busy
  page.hidden = false;
});

document.addEventListener("visibilitychange", () => {
  // Timers sleep with the phone.
  if (!document.hidden && Date.now() >= deletion) checkPicture();
});

// -- without a connection -------------------------------------------------

const noConnection = Object.assign(document.createElement("p"), { className: "said" });
noConnection.setAttribute("role", "status");

/** Keep a press from leading to the browser's own error page, from which an app has no way back. */
function stopWithoutConnection(event, pressed) {
  if (navigator.onLine !== false) return false;
  event.preventDefault();
  pressed.after(noConnection);
  say(noConnection, text("offline"));
  return true;
}

addEventListener("online", () => noConnection.remove());

page.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="/made/"]');
  if (link) stopWithoutConnection(event, link.closest("ul") ?? link);
});

// -- begin ----------------------------------------------------------------

document.getElementById("share").addEventListener("click", handOn);
document.getElementById("copy").addEventListener("click", copyWords);
document.getElementById("delete").addEventListener("submit", (event) => {
  isDeleting = !stopWithoutConnection(event, event.target.closest(".ways"));
});
field.addEventListener("click", () => field.selectionStart === field.selectionEnd && select(field));

const large = page.querySelector(".picture > img");
large.addEventListener("error", checkPicture);
if (large.complete && !large.naturalWidth) checkPicture();
if (large.complete) prepareWhenIdle();
else large.addEventListener("load", prepareWhenIdle);
