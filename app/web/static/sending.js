// @ts-check
// A request that takes its time on a phone: what was sent so far, waiting where the server is busy, and
// waiting for the connection where there is none. Whatever happens, there is a way on.

import { UPLOAD_TIME } from "./limits.js";
import { text } from "./texts.js";

/** @typedef {import("./panel.js").Panel} Panel */
/**
 * With `offline`, what is said where there is no connection; with `lighten`, a body of fewer bytes for a network
 * that was too slow for the first, or null where nothing is to be sent any more.
 * @typedef {{address: string, body: FormData, accept: string, offline?: string, lighten?: () => Promise<FormData | null>}} Order
 */
/** @typedef {{status: number, body: Blob, retryAfter: number}} Answer */

// Nothing sent and nothing heard for so long is a connection that is gone, whatever the browser says.
const SILENCE = 45_000;

// When a browser says that all is sent, all of a small photo may still wait in the phone to be sent: the server's
// own time for it, and half a minute to draw and to answer.
const ARRIVAL = UPLOAD_TIME + 30_000;

// A process of the server's that ends over a photo may have ended because of it: then not again and again.
const MAX_DEATHS = 2;

/** The server says no, and why, in the reader's language. */
export class Refused extends Error {
  /** @param {string} message @param {string} [code] of the server's problem */
  constructor(message, code = "") {
    super(message);
    this.code = code;
  }
}

/**
 * Send until there is an answer.
 * @param {Order} order
 * @param {Panel} panel
 * @returns {Promise<Blob | null>} null where the supporter thought better of it
 * @throws {Refused}
 */
export async function deliver(order, panel) {
  let deaths = 0;
  for (;;) {
    const answer = navigator.onLine === false ? "offline" : await attempt(order, panel);
    if (answer === null) return null;
    if (typeof answer === "string") {
      if (!(await panel.offerAgain((answer === "offline" && order.offline) || text(answer)))) return null;
      const body = answer === "slow" && order.lighten ? await order.lighten() : order.body;
      if (!body) return null;
      order = { ...order, body };
    } else if (answer.status < 300) {
      return answer.body;
    } else {
      const problem = await refusal(answer);
      if (problem.code === "worker_died") deaths++;
      if (!answer.retryAfter || deaths === MAX_DEATHS) throw problem;
      if (!(await panel.countDown(answer.retryAfter, reason(answer.status, problem.code)))) return null;
    }
  }
}

/**
 * Why one has to wait. A proxy that lets only so many through says 429 too, in words of its own.
 * @param {number} status
 * @param {string} [code]
 * @returns {"busy" | "crowded" | "unavailable"}
 */
function reason(status, code) {
  if (code === "too_many_at_once") return "crowded";
  return code === "busy" || status === 429 ? "busy" : "unavailable";
}

/**
 * @param {Order} order
 * @param {Panel} panel
 * @returns {Promise<Answer | "offline" | "slow" | null>}
 */
function attempt({ address, body, accept }, panel) {
  return new Promise((resolve) => {
    // Not fetch, which does not tell how much has been sent.
    const request = new XMLHttpRequest();
    let silence = 0;
    const heard = (patience = SILENCE) => {
      clearTimeout(silence);
      silence = setTimeout(() => finish("slow"), patience);
    };
    /** @param {Answer | "offline" | "slow" | null} outcome */
    const finish = (outcome) => {
      clearTimeout(silence);
      resolve(outcome);
      request.abort();
    };
    request.upload.onprogress = ({ loaded, total }) => {
      heard();
      panel.showSent(loaded / total);
    };
    request.upload.onload = () => {
      heard(ARRIVAL);
      panel.showDrawing();
    };
    request.onprogress = () => heard();
    request.onerror = () => finish("offline");
    request.onload = () => {
      const { status, response } = request;
      finish({ status, body: response, retryAfter: Number(request.getResponseHeader("Retry-After")) || 0 });
    };
    request.open("POST", address);
    request.responseType = "blob";
    request.setRequestHeader("Accept", accept);
    request.setRequestHeader("Accept-Language", document.documentElement.lang);
    panel.showSent(0, () => finish(null));
    heard();
    request.send(body);
  });
}

/** @param {Answer} answer */
async function refusal({ body }) {
  try {
    const problem = JSON.parse(await new Response(body).text());
    return new Refused(problem.detail, problem.code);
  } catch {
    return new Refused(text("failed")); // not from us, but from something between
  }
}
