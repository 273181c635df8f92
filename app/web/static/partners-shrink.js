// @ts-check
// A worker that makes photos small before they leave a partner's computer: upright, in sRGB, without a word of what the
// camera knew. It imports nothing, because the policy of a worker's own answer lets it load nothing.
//
// What this browser cannot read (HEIC outside of Apple's), what moves, and what it would read otherwise than the server
// goes with all its pixels: its words are cut out, where they are found.

/** @typedef {{id: number, file: File, side: number, quality: number}} Order */
/** @typedef {"small" | "cut" | "whole" | "unreadable"} Outcome */
/** @typedef {{name: string, from: number, body: number, to: number}} Box of ISO 14496-12 */

// A JPEG of 16 x 8 pixels, black and white, with the orientation 3: upright, its left half is white.
const TURNED = `/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAMAAAAAAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8U
HRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAAIABABAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACP/EABQQAQAAAAAAAAAA
AAAAAAAAAAD/2gAIAQEAAD8AP5/v/9k=`;

const TOLERANCE = 24; // of 255: what a JPEG may change, and noise that is meant to be seen by scripts alone

/** Whether this browser's canvas can be believed; asked once. @type {Promise<"yes" | "lies" | "cannot">} */
const belief = examine().catch(() => "cannot");

self.onmessage = async ({ data }) => {
  const trust = await belief;
  self.postMessage({ id: data.id, trust, ...(await prepare(data, trust === "yes")) });
};

/**
 * @param {Order} order
 * @param {boolean} canDraw
 * @returns {Promise<{outcome: Outcome, blob?: Blob}>}
 */
async function prepare({ file, side, quality }, canDraw) {
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    return { outcome: "unreadable" }; // it was moved, or its disk was taken out
  }
  const kind = canDraw && kindOf(bytes);
  const small = kind && (await shrink(bytes, kind, side, quality).catch(() => null));
  // Nothing is gained by drawing a small JPEG again: it keeps its pixels, and loses only its words.
  if (small && (kind !== "jpeg" || small.size < bytes.length)) return { outcome: "small", blob: small };
  const blob = withoutWords(bytes);
  return small ? { outcome: "cut", blob } : { outcome: "whole", blob };
}

/**
 * A photo of any kind with the pixels that it has, and no words where they can be told from them.
 * @param {Uint8Array} bytes
 * @returns {Blob} of its bytes: the file may be gone before they are sent
 */
function withoutWords(bytes) {
  try {
    if (isJpeg(bytes)) return cutJpeg(bytes) ?? new Blob([bytes]);
    if (textAt(bytes, 4, 4) === "ftyp") blankBoxes(bytes);
  } catch {
    // It is damaged, or of a kind that nobody knows yet: what it is, the server sees.
  }
  return new Blob([bytes]);
}

/**
 * @param {Uint8Array} bytes
 * @param {string} kind
 * @param {number} side what its shorter side is brought to
 * @param {number} quality
 * @returns {Promise<Blob>}
 */
async function shrink(bytes, kind, side, quality) {
  // Browsers disagree on whether a bitmap is resized before or after it is turned upright: it is asked for as it is.
  const bitmap = await createImageBitmap(new Blob([bytes], { type: `image/${kind}` }));
  try {
    const scale = Math.min(1, side / Math.min(bitmap.width, bitmap.height));
    const canvas = canvasOf(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    const context = contextOf(canvas);
    context.fillStyle = "#fff"; // as the server does, under what is transparent
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: "image/jpeg", quality });
  } finally {
    bitmap.close();
  }
}

// -- what can be believed ------------------------------------------------------

/** Draw, read back, and compare: Firefox under resistFingerprinting gives noise without an error. */
async function examine() {
  const canvas = canvasOf(16, 8);
  const context = contextOf(canvas);
  const colours = ["#000", "#fff", "#c00", "#0c0", "#00c", "#840", "#088", "#888"];
  colours.forEach((colour, n) => {
    context.fillStyle = colour;
    context.fillRect(2 * n, 0, 2, 8);
  });
  const drawn = context.getImageData(0, 0, 16, 8).data;
  const expected = [0, 255, 204, 0, 0, 136, 0, 136].map((red, n) => [drawn[8 * n], red]);
  if (expected.some(([seen, red]) => Math.abs(seen - red) > TOLERANCE)) return "lies";
  const written = await pixelsOf(await canvas.convertToBlob({ type: "image/png" }));
  if (written.some((value, n) => Math.abs(value - drawn[n]) > TOLERANCE)) return "lies";
  const bytes = Uint8Array.from(atob(TURNED.replace(/\s/g, "")), (sign) => sign.charCodeAt(0));
  const upright = await pixelsOf(new Blob([bytes], { type: "image/jpeg" }));
  return upright[0] > 200 && upright[60] < 55 ? "yes" : "cannot";
}

/** @param {Blob} picture of 16 x 8 pixels */
async function pixelsOf(picture) {
  const bitmap = await createImageBitmap(picture);
  const context = contextOf(canvasOf(16, 8));
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, 16, 8).data;
}

/** @param {number} width @param {number} height */
function canvasOf(width, height) {
  return new OffscreenCanvas(Math.max(1, width), Math.max(1, height));
}

/** @param {OffscreenCanvas} canvas */
function contextOf(canvas) {
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  if (!context) throw new Error("no canvas");
  context.imageSmoothingQuality = "high";
  return context;
}

// -- what is in a file ---------------------------------------------------------

/**
 * The kind of a photo that is safe to be read here: a still picture of a kind that every browser reads alike.
 * @param {Uint8Array} bytes
 * @returns {"jpeg" | "png" | "webp" | "avif" | null}
 */
function kindOf(bytes) {
  const start = textAt(bytes, 0, 16);
  if (isJpeg(bytes)) return isPrinted(bytes) ? null : "jpeg";
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return isMovingPng(bytes) ? null : "png";
  // The flags of the extended header: the second bit is of what moves.
  if (/^RIFF....WEBP/s.test(start)) return textAt(bytes, 12, 4) === "VP8X" && bytes[20] & 2 ? null : "webp";
  return /^....ftypavif/s.test(start) ? "avif" : null;
}

/** @param {Uint8Array} bytes */
function isJpeg(bytes) {
  return bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
}

/** Whether a JPEG is for a printer: browsers show its four inks by rules of their own. @param {Uint8Array} bytes */
function isPrinted(bytes) {
  for (const { marker, from } of segmentsOf(bytes)) {
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return bytes[from + 9] === 4;
  }
  return true; // of no kind that is known
}

/** @param {Uint8Array} bytes */
function isMovingPng(bytes) {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 8 <= bytes.length; at += view.getUint32(at) + 12) {
    const name = textAt(bytes, at + 4, 4);
    if (name === "acTL") return true;
    if (name === "IDAT") return false;
  }
  return false;
}

/**
 * A JPEG without what was said in it: its pixels, its colours, and how it is to be turned are all that is left.
 * @param {Uint8Array} bytes
 * @returns {Blob | null} null where it is no whole JPEG
 */
function cutJpeg(bytes) {
  /** @type {BlobPart[]} */
  const kept = [new Uint8Array([0xff, 0xd8])];
  let orientation = 1;
  for (const { marker, from, to } of segmentsOf(bytes)) {
    if (marker === 0xda) {
      if (orientation !== 1) kept.push(orientationSegment(orientation));
      const end = endOf(bytes, from); // what comes behind are other pictures, or words
      return end ? new Blob([...kept, bytes.subarray(from, end)], { type: "image/jpeg" }) : null;
    }
    if (marker === 0xe1) orientation = orientationIn(bytes.subarray(from + 4, to)) ?? orientation;
    const isWord = (marker >= 0xe0 && marker <= 0xef) || marker === 0xfe;
    if (!isWord || saysColours(bytes, marker, from, to)) kept.push(bytes.subarray(from, to));
  }
  return null;
}

/**
 * Whether a segment says how colours are meant: a profile, Adobe's, or JFIF's without a small picture in it.
 * @param {Uint8Array} bytes
 * @param {number} marker
 * @param {number} from
 * @param {number} to
 */
function saysColours(bytes, marker, from, to) {
  if (marker === 0xe0) return textAt(bytes, from + 4, 5) === "JFIF\0" && to - from === 18;
  return marker === 0xee || (marker === 0xe2 && textAt(bytes, from + 4, 11) === "ICC_PROFILE");
}

/**
 * The segments of a JPEG up to its first scan.
 * @param {Uint8Array} bytes
 * @returns {Generator<{marker: number, from: number, to: number}>}
 */
function* segmentsOf(bytes) {
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    if (bytes[at + 1] === 0xff) {
      at++; // a byte that fills
      continue;
    }
    const to = at + 2 + bytes[at + 2] * 256 + bytes[at + 3];
    yield { marker: bytes[at + 1], from: at, to };
    at = to;
  }
}

/** Where the picture ends whose first scan begins there. @param {Uint8Array} bytes @param {number} from */
function endOf(bytes, from) {
  let at = from;
  while ((at = bytes.indexOf(0xff, at)) >= 0 && at + 1 < bytes.length) {
    const marker = bytes[at + 1];
    if (marker === 0xd9) return at + 2;
    // Between the scans of a progressive one lie segments; in a scan, zeros and marks to begin anew from.
    const isInScan = marker === 0 || marker === 0xff || (marker >= 0xd0 && marker <= 0xd7);
    at += isInScan ? (marker === 0xff ? 1 : 2) : 2 + bytes[at + 2] * 256 + bytes[at + 3];
  }
  return 0;
}

/** @param {Uint8Array} segment what is in an APP1 @returns {number | null} its EXIF orientation, 1 to 8 */
function orientationIn(segment) {
  if (textAt(segment, 0, 6) !== "Exif\0\0" || segment.length < 14) return null;
  const view = new DataView(segment.buffer, segment.byteOffset + 6, segment.length - 6);
  const isLittle = view.getUint16(0) === 0x4949;
  const start = view.getUint32(4, isLittle);
  const count = start + 2 <= view.byteLength ? view.getUint16(start, isLittle) : 0;
  for (let n = 0, at = start + 2; n < count && at + 12 <= view.byteLength; n++, at += 12) {
    const value = view.getUint16(at + 8, isLittle);
    if (view.getUint16(at, isLittle) === 0x0112) return value >= 1 && value <= 8 ? value : null;
  }
  return null;
}

/** @param {number} orientation */
function orientationSegment(orientation) {
  const exif = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const words = [0x45, 0x78, 0x69, 0x66, 0, 0, ...exif];
  return new Uint8Array([0xff, 0xe1, 0, words.length + 2, ...words]);
}

// -- boxes: HEIC and its kin -----------------------------------------------------

/**
 * Blank what is said in a file of boxes: what its items of words lie in, and boxes that belong to no picture (a motion
 * photo's video knows its place, too). All else stays where it was, because it is found by its place.
 * @param {Uint8Array} bytes
 */
function blankBoxes(bytes) {
  for (const box of boxesIn(bytes, 0, bytes.length)) {
    if (box.name === "meta") blankWords(bytes, box);
    else if (!["ftyp", "mdat", "moov", "free"].includes(box.name)) {
      bytes.set([0x66, 0x72, 0x65, 0x65], box.from + 4); // "free"
      bytes.fill(0, box.body, box.to);
    }
  }
}

/** @param {Uint8Array} bytes @param {Box} meta */
function blankWords(bytes, meta) {
  const parts = new Map([...boxesIn(bytes, meta.body + 4, meta.to)].map((box) => [box.name, box]));
  const [names, places] = [parts.get("iinf"), parts.get("iloc")];
  if (!names || !places) return;
  const words = wordsIn(bytes, names);
  for (const { item, method, from, length } of extentsIn(bytes, places)) {
    const start = method === 0 ? from : method === 1 ? (parts.get("idat")?.body ?? NaN) + from : NaN;
    if (words.has(item) && start >= 0) bytes.fill(0, start, length ? start + length : bytes.length);
  }
}

/** The items that are words: EXIF, and what has a type of its own, as XMP. @param {Uint8Array} bytes @param {Box} box */
function wordsIn(bytes, { body, to }) {
  const words = new Set();
  const isShort = bytes[body] === 0;
  for (const entry of boxesIn(bytes, body + (isShort ? 6 : 8), to)) {
    const version = bytes[entry.body];
    const wide = version === 3 ? 4 : 2;
    const at = entry.body + 4;
    if (version >= 2 && ["Exif", "mime", "uri "].includes(textAt(bytes, at + wide + 2, 4))) {
      words.add(numberAt(bytes, at, wide));
    }
  }
  return words;
}

/** Where the items lie (ISO 14496-12, 8.11.3). @param {Uint8Array} bytes @param {Box} box */
function* extentsIn(bytes, { body }) {
  const version = bytes[body];
  const [offsetSize, lengthSize] = [bytes[body + 4] >> 4, bytes[body + 4] & 15];
  const [baseSize, indexSize] = [bytes[body + 5] >> 4, version ? bytes[body + 5] & 15 : 0];
  let at = body + 6;
  const read = (/** @type {number} */ size) => numberAt(bytes, (at += size) - size, size);
  const wide = version === 2 ? 4 : 2;
  for (let items = read(wide); items > 0; items--) {
    const item = read(wide);
    const method = version ? read(2) & 15 : 0;
    read(2); // which file: this one
    const base = read(baseSize);
    for (let extents = read(2); extents > 0; extents--) {
      read(indexSize);
      const from = base + read(offsetSize);
      yield { item, method, from, length: read(lengthSize) };
    }
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} from
 * @param {number} end
 * @returns {Generator<Box>}
 */
function* boxesIn(bytes, from, end) {
  for (let at = from; at + 8 <= end; ) {
    const short = numberAt(bytes, at, 4);
    const head = short === 1 ? 16 : 8;
    const to = short === 0 ? end : at + (short === 1 ? numberAt(bytes, at + 8, 8) : short);
    if (to < at + head || to > end) throw new Error("no box");
    yield { name: textAt(bytes, at + 4, 4), from: at, body: at + head, to };
    at = to;
  }
}

/** @param {Uint8Array} bytes @param {number} at @param {number} size in bytes, the highest first */
function numberAt(bytes, at, size) {
  if (at + size > bytes.length) throw new Error("cut off");
  return bytes.subarray(at, at + size).reduce((number, byte) => number * 256 + byte, 0);
}

/** @param {Uint8Array} bytes @param {number} at @param {number} length */
function textAt(bytes, at, length) {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
