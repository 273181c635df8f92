// @ts-check
// What becomes of a batch, as the server tells it: server-sent events, read by fetch, because an EventSource cannot
// say whose it is. A line that breaks is taken up again behind the last event that came.

import { NoAnswer, Problem, addressOf, ask, askJson } from "./partners-api.js";

/** @typedef {{event: string, id: string, data: string}} Told */
/**
 * @typedef {object} Ears
 * @property {(photos: any[]) => void} onPhotos
 * @property {(batch: any) => void} onBatch
 */

const SILENCE = 45_000; // the server is heard every 15 seconds
const REST = 1000; // before a stream that has ended is asked for again
const PAGE = 500; // photos at once, where they are asked for

/**
 * Follow a batch until it is done.
 * @param {string} batch
 * @param {import("./partners-line.js").Line} line
 * @param {AbortSignal} signal
 * @param {Ears} ears
 * @param {string} [last] the event that was heard last
 * @returns {Promise<string>} the event that was heard last
 */
export async function follow(batch, line, signal, ears, last = "") {
  for (let isDone = false; !isDone; ) {
    let isSilent = true;
    await line.insist(async () => {
      for await (const told of listen(batch, signal, last)) {
        isSilent = false;
        const photos = [];
        for (const { event, id, data } of told) {
          if (event === "photo") {
            photos.push({ ...JSON.parse(data), event: id });
            last = id;
          }
          if (event === "state") {
            const state = JSON.parse(data);
            isDone = state.state === "done";
            ears.onBatch(state);
          }
        }
        if (photos.length) ears.onPhotos(photos);
      }
    }, signal);
    // Something between holds events back until there are many: what there is, is asked for.
    if (isSilent) isDone = await look(batch, line, signal, ears);
    if (!isDone) await new Promise((resolve) => setTimeout(resolve, REST));
  }
  return last;
}

/** @type {(...given: [string, import("./partners-line.js").Line, AbortSignal, Ears]) => Promise<boolean>} */
async function look(batch, line, signal, ears) {
  const state = await line.insist(() => askJson(addressOf(batch), { signal }), signal);
  for await (const photos of photosOf(batch, line, signal)) {
    ears.onPhotos(photos.filter(({ state: each }) => each === "done" || each === "failed"));
  }
  ears.onBatch(state);
  return state.state === "done";
}

/**
 * All photos of a batch, a page at a time.
 * @param {string} batch
 * @param {import("./partners-line.js").Line} line
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<any[]>}
 */
export async function* photosOf(batch, line, signal) {
  for (let after = 0; ; ) {
    const address = addressOf(batch, `photos?after=${after}&limit=${PAGE}`);
    const { photos } = await line.insist(() => askJson(address, { signal }), signal);
    if (!photos.length) return;
    yield photos;
    after = photos[photos.length - 1].number;
  }
}

/**
 * @param {string} batch
 * @param {AbortSignal} signal
 * @param {string} last
 * @returns {AsyncGenerator<Told[]>} the events of each piece that came over the line
 */
async function* listen(batch, signal, last) {
  const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) };
  const answer = await ask(addressOf(batch, "events"), { headers, signal });
  if (!answer.body) return;
  const reader = answer.body.getReader();
  const end = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", end);
  const decoder = new TextDecoder();
  let silence = 0;
  let rest = "";
  try {
    for (;;) {
      silence = setTimeout(end, SILENCE);
      const { value, done } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      yield blocks.map(parse);
    }
  } catch (problem) {
    if (problem instanceof Problem || signal.aborted) throw problem;
    throw new NoAnswer();
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", end);
    end();
  }
}

/** @param {string} block @returns {Told} */
function parse(block) {
  const told = { event: "message", id: "", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^(event|id|data): ?(.*)$/.exec(line) ?? [];
    if (name) told[/** @type {keyof Told} */ (name)] = value;
  }
  return told;
}
