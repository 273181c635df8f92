// The service worker: the editor without a network, and photos from Android's share sheet.
//
// The server puts `const SHELL = {version, languages, files}` before this text (app/web/pages/pwa.py).
//
// What is never kept, on purpose: anything that came from a photo (/made/*, results, /v1/renditions), answers
// to POST, and frames with somebody's own words. Phones are shared, lost and searched.
//
// A new version waits until every page of the old one is closed: no skipWaiting(). A page that somebody edits in
// would else lose the files it was made with, which a newer server no longer has. Nothing is lost by waiting:
// with a network, pages come from the server anyway. And no page is ever reloaded from here: a photo that was
// chosen and moved lives in the page.

const SHELL_CACHE = `shell-${SHELL.version}`;
const OVERLAY_CACHE = "overlays"; // not by version: their addresses hold one
const OVERLAYS_KEPT = 24; // three frames in two languages and four sizes
const PAGE_SECONDS = 4; // on a network so slow that nothing comes, the kept page is better than waiting
const SHARED_SECONDS = 60;

// Photos from the share sheet on their way to the page, by an id. In memory only, and once only.
const shared = new Map();

const KEPT_FILES = new Set(SHELL.files);
const LANGUAGE = `(?<language>${SHELL.languages.join("|")})`;
const SHELL_PAGE = new RegExp(`^/(?:${LANGUAGE}(?:/ios)?)?$`);
const OWN_LANGUAGE = new RegExp(`^/${LANGUAGE}(?:/|$)`);
const SHARE = new RegExp(`^/${LANGUAGE}/share$`);
const WEIGHTS = /^\/static\/[^/]+\.int8$/; // of what finds faces
const FONT = /^\/static\/[^/]+\.woff2$/;
const OVERLAY = /^\/v1\/frames\/[^/]+\/overlay\.webp$/;

self.addEventListener("install", (event) => event.waitUntil(keepShell()));
self.addEventListener("activate", (event) => event.waitUntil(forgetOlderShells()));
self.addEventListener("message", (event) => {
  if (event.data?.type === "take-shared-photo") {
    event.ports[0]?.postMessage({ file: take(event.data.id) });
  } else if (event.data?.type === "keep") {
    event.waitUntil(keepUsed(event.data.addresses ?? []));
  }
});
self.addEventListener("fetch", (event) => {
  const answer = answerTo(event);
  if (answer) event.respondWith(answer);
});

/** What to answer with, or nothing: then the browser goes on as if there were no worker. */
function answerTo(event) {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return undefined;
  if (request.method === "POST") return SHARE.test(url.pathname) ? receiveShared(event, url) : undefined;
  if (request.method !== "GET") return undefined;
  if (KEPT_FILES.has(url.pathname) || FONT.test(url.pathname)) return keptFile(request);
  if (WEIGHTS.test(url.pathname)) return usedFile(event);
  if (isKeepableOverlay(url)) return overlay(event);
  if (request.mode !== "navigate") return undefined;
  if (SHELL_PAGE.test(url.pathname)) return shellPage(event, url);
  return OWN_LANGUAGE.test(url.pathname) ? otherPage(request, url) : undefined;
}

// -- the shell ---------------------------------------------------------------

/** Keep all that the editor needs, or nothing: then the browser tries again another time. */
async function keepShell() {
  const cache = await caches.open(SHELL_CACHE);
  await cache.addAll(SHELL.files);
  const first = await fetch("/");
  const spoken = first.headers.get("Content-Language"); // at the one address that names no language
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const languages = new Set(pages.map((page) => languageOf(new URL(page.url)) ?? spoken));
  await Promise.all([keepWhole("/", first), ...[...languages].flatMap(addressesIn).map(fetchAndKeep)]);
}

async function forgetOlderShells() {
  const names = await caches.keys();
  const old = names.filter((name) => name !== SHELL_CACHE && name !== OVERLAY_CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

function addressesIn(language) {
  return [`/${language}`, `/${language}/ios`, `/${language}/offline`];
}

function languageOf(url) {
  return OWN_LANGUAGE.exec(url.pathname)?.groups.language;
}

async function fetchAndKeep(address) {
  await keepWhole(address, await fetch(address));
}

async function keepWhole(address, answer) {
  if (!(await keepPage(address, answer))) throw new Error(`${address} is of another version`);
}

/** Keep a page if it is whole, and made of the files that are kept: a newer server's page is not. */
async function keepPage(address, answer) {
  if (!answer.ok || answer.redirected) return false;
  const html = await answer.clone().text();
  const files = html.match(/\/static\/[\w.-]+\.(?:css|js)\b/g) ?? [];
  if (!files.every((file) => KEPT_FILES.has(file))) return false;
  const cache = await caches.open(SHELL_CACHE);
  await cache.put(address, answer);
  return true;
}

async function keptFile(request) {
  const cache = await caches.open(SHELL_CACHE);
  return (await cache.match(request, { ignoreVary: true })) ?? fetch(request);
}

/** A file that not everyone needs, kept from when it was used first. */
async function usedFile(event) {
  const cache = await caches.open(SHELL_CACHE);
  const kept = await cache.match(event.request, { ignoreVary: true });
  const answer = kept ?? (await fetch(event.request));
  if (!kept && answer.ok) event.waitUntil(cache.put(event.request, answer.clone()));
  return answer;
}

/** The editor and its neighbours: from the network, and where that gives nothing of use in time, as they were kept. */
async function shellPage(event, url) {
  const network = fetch(event.request);
  event.waitUntil(network.then((answer) => refresh(url, answer.clone())).catch(() => {}));
  const answered = network.catch(() => undefined);
  const isLate = await Promise.race([answered.then(() => false), after(PAGE_SECONDS).then(() => true)]);
  if (isLate) {
    // Only the very page is better than waiting: not one in another language, nor without what it has to say.
    const kept = url.searchParams.has("deleted") ? undefined : await keptAt(url.pathname);
    if (kept) return kept;
  }
  const answer = await answered;
  if (answer && answer.status < 500) return answer;
  return (await keptPage(url)) ?? network;
}

/** Renew what is kept of a page that was opened, and keep its language where it is a new one. */
async function refresh(url, answer) {
  if (url.search) return; // "?deleted" says what somebody did
  if (!(await keepPage(url.pathname, answer))) return;
  const language = languageOf(url);
  const cache = await caches.open(SHELL_CACHE);
  if (language && !(await cache.match(`/${language}/offline`))) {
    await Promise.all(addressesIn(language).map(fetchAndKeep));
  }
}

async function keptPage(url) {
  const language = languageOf(url);
  for (const address of [url.pathname, language ? `/${language}` : "/", "/"]) {
    const page = await keptAt(address);
    if (page) return page;
  }
  return undefined;
}

async function keptAt(address) {
  const cache = await caches.open(SHELL_CACHE);
  return cache.match(address, { ignoreVary: true });
}

/** A page that is never kept: without a network, a notice that says so in its place. */
async function otherPage(request, url) {
  try {
    return await fetch(request);
  } catch (error) {
    const cache = await caches.open(SHELL_CACHE);
    const notice = await cache.match(`/${languageOf(url)}/offline`, { ignoreVary: true });
    if (notice) return notice;
    throw error;
  }
}

function after(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

// -- what a page uses ----------------------------------------------------------

/** Keep the typefaces and the frames that a page has loaded before there was a worker. */
async function keepUsed(addresses) {
  const urls = addresses.map((address) => new URL(address, self.location.origin));
  const fonts = await caches.open(SHELL_CACHE);
  for (const url of urls.filter((one) => one.origin === self.location.origin)) {
    if (FONT.test(url.pathname) && !(await fonts.match(url))) await fonts.add(url);
    if (isKeepableOverlay(url)) await keepOverlay(new Request(url), await fetch(url));
  }
}

/** A frame in the campaign's words, under an address that changes with it. */
function isKeepableOverlay(url) {
  return OVERLAY.test(url.pathname) && url.searchParams.has("v") && !url.searchParams.has("slogan");
}

async function overlay(event) {
  const cache = await caches.open(OVERLAY_CACHE);
  try {
    const kept = await cache.match(event.request, { ignoreVary: true });
    const answer = kept ?? (await fetch(event.request));
    event.waitUntil(keepOverlay(event.request, answer.clone()));
    return answer;
  } catch (error) {
    const other = await otherSize(event.request);
    if (other) return other;
    throw error;
  }
}

/** Without a network a frame in another size is still the frame: the largest one that is kept. */
async function otherSize(request) {
  const cache = await caches.open(OVERLAY_CACHE);
  const same = (await cache.keys()).filter((kept) => apartFromSize(kept) === apartFromSize(request));
  const [largest] = same.sort((one, other) => sizeOf(other) - sizeOf(one));
  return largest && cache.match(largest, { ignoreVary: true });
}

function sizeOf(request) {
  return Number(new URL(request.url).searchParams.get("size"));
}

function apartFromSize(request) {
  const url = new URL(request.url);
  url.searchParams.delete("size");
  url.searchParams.sort();
  return url.href;
}

/** Keep a frame as the one that was used last, and let go of those that were not used for longest. */
async function keepOverlay(request, answer) {
  if (!answer.ok) return;
  const cache = await caches.open(OVERLAY_CACHE);
  await cache.put(request, answer);
  const kept = await cache.keys(); // in the order in which they were put last
  await Promise.all(kept.slice(0, -OVERLAYS_KEPT).map((old) => cache.delete(old, { ignoreVary: true })));
}

// -- the share sheet -----------------------------------------------------------

/** Hold a shared photo until the editor asks for it; what cannot be read here goes on to the server. */
async function receiveShared(event, url) {
  const photo = await photoIn(event.request.clone());
  if (!photo) return fetch(event.request);
  const id = crypto.randomUUID();
  shared.set(id, photo);
  setTimeout(() => shared.delete(id), SHARED_SECONDS * 1000);
  return Response.redirect(`/${languageOf(url)}#shared=${id}`, 303);
}

async function photoIn(request) {
  try {
    const form = await request.formData();
    return form.getAll("photo").find((value) => value instanceof File && value.size > 0);
  } catch {
    return undefined;
  }
}

/** Hand a photo over, once. The browser may have ended this worker in between: then there is none. */
function take(id) {
  const photo = shared.get(id) ?? null;
  shared.delete(id);
  return photo;
}
