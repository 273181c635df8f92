// @ts-check
// What was dropped or chosen -> photos under the names that they are sent by, a table, and what is left out.

/** @typedef {{path: string, file: File}} Found a file, and its folders with "/" between them */

const ARCHIVE = /\.(zip|rar|7z|tar|t?gz)$/i;

/** Endings of what is no photo, whatever a system says of its type: it is not worth a request. */
const page = /** @type {HTMLElement} */ (document.getElementById("partners"));
const PICKED = (page.dataset.picked ?? "").split(",");
const TABLES = (page.dataset.tables ?? "").split(",");
/** What systems leave in folders, unseen by whoever copies them, in lower case. @type {Set<string>} */
const SYSTEM_FILES = new Set(JSON.parse(page.dataset.systemFiles ?? "[]"));
/** @type {Set<string>} */
const SYSTEM_FOLDERS = new Set(JSON.parse(page.dataset.systemFolders ?? "[]"));

/** What a partner has chosen so far, in one go or in several. */
export class Choice {
  constructor() {
    /** By the path as all systems spell it. @type {Map<string, Found>} */
    this.photos = new Map();
    /** @type {File | null} */
    this.table = null;
    /** @type {Record<"system" | "noPhotos" | "archives" | "doubled" | "tables", string[]>} */
    this.leftOut = { archives: [], doubled: [], tables: [], noPhotos: [], system: [] };
  }

  /** @param {Found[]} found */
  add(found) {
    const tables = [];
    for (const { path, file } of found) {
      if (isSystems(path)) this.leftOut.system.push(path);
      else if (hasEnding(path, TABLES)) tables.push({ path, file });
      else if (ARCHIVE.test(path)) this.leftOut.archives.push(path);
      else if (!mayBePhoto(file)) this.leftOut.noPhotos.push(path);
      else this._addPhoto(path, file);
    }
    // Of several nobody knows which is meant.
    if (tables.length === 1 && !this.table) this.table = tables[0].file;
    else this.leftOut.tables.push(...tables.map(({ path }) => path));
  }

  /**
   * The photos by the names they are sent under: without the folder that all of them lie in.
   * @returns {Map<string, File>}
   */
  named() {
    const all = [...this.photos.values()];
    const tops = new Set(all.map(({ path }) => path.slice(0, path.indexOf("/") + 1)));
    const [top] = tops.size === 1 ? tops : [""];
    return new Map(all.map(({ path, file }) => [path.slice(top.length), file]));
  }

  /** @param {string} path @param {File} file */
  _addPhoto(path, file) {
    const name = folded(path);
    const before = this.photos.get(name)?.file;
    if (!before) this.photos.set(name, { path, file });
    // The same folder may be chosen twice.
    else if (before.size !== file.size || before.lastModified !== file.lastModified) this.leftOut.doubled.push(path);
  }
}

/** What two spellings of one name have in common: macOS writes an accent as a letter of its own. @param {string} name */
export function folded(name) {
  return name.normalize("NFC");
}

/** @param {FileList | File[]} files of an input @returns {Found[]} */
export function chosen(files) {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/**
 * All that was dropped, folders and what is in them. Begin it while the drop is being told: later nothing is left.
 * @param {DataTransfer} dropped
 * @returns {Promise<Found[]>}
 */
export async function dropped({ items, files }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const loose = chosen(files);
  if (!entries.length || entries.some((entry, n) => !entry && items[n]?.kind === "file")) return loose;
  const found = await Promise.all(entries.map((entry) => entry && walk(entry)));
  return found.flatMap((each) => each ?? []);
}

/** @param {FileSystemEntry} entry @returns {Promise<Found[]>} */
async function walk(entry) {
  /** @type {Found[]} */
  const found = [];
  /** @type {FileSystemEntry[]} */
  const left = [entry];
  for (let next = left.pop(); next; next = left.pop()) {
    const path = next.fullPath.slice(1);
    if (next.isDirectory) left.push(...(await entriesIn(/** @type {FileSystemDirectoryEntry} */ (next))));
    else found.push({ path, file: await fileOf(/** @type {FileSystemFileEntry} */ (next)) });
  }
  return found;
}

/** @param {FileSystemDirectoryEntry} folder */
async function entriesIn(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const entries = [];
  for (;;) {
    // A hundred at a time, until there are none.
    const more = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!more.length) return entries;
    entries.push(...more);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} an empty one where it cannot be read */
function fileOf(entry) {
  return new Promise((resolve) => entry.file(resolve, () => resolve(new File([], entry.name))));
}

/** Whether a file is hidden, or one that systems lay beside photos for themselves. @param {string} path */
function isSystems(path) {
  const folders = path.toLowerCase().split("/");
  const file = folders.pop() ?? "";
  const isHidden = [...folders, file].some((part) => /^\.[^.]/.test(part));
  return isHidden || SYSTEM_FILES.has(file) || folders.some((folder) => SYSTEM_FOLDERS.has(folder));
}

/** @param {string} path @param {string[]} endings */
function hasEnding(path, endings) {
  const name = path.toLowerCase();
  return endings.some((ending) => ending.startsWith(".") && name.endsWith(ending));
}

/** By its name; what it is, is seen by its bytes. @param {File} file */
function mayBePhoto({ name, type }) {
  return type.startsWith("image/") || hasEnding(name, PICKED) || !name.includes(".");
}
