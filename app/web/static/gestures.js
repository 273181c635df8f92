// @ts-check
// Fingers, mouse, wheel and keys on the stage -> changes of the framing.

/** @typedef {import("./framing.js").Place} Place */

/**
 * A change: what was seen at `from` goes to `to`, and the rest is multiplied or added to what there is.
 * @typedef {{from?: Place, to?: Place, times?: number, degrees?: number, reset?: boolean}} Change
 */

const KEY_STEP = 0.02;
const KEY_ZOOM = 1.1;
const KEY_DEGREES = 1;
const FAST = 5; // with Shift

// A notch of a mouse's wheel is about 100 pixels; a pinch on a touchpad sends a few at a time, with Ctrl.
const WHEEL_RATE = 0.002;
const PINCH_RATE = 0.01;
const LINE = 16;

/** @type {Record<string, Change>} */
const KEYS = {
  ArrowLeft: { to: [-KEY_STEP, 0] },
  ArrowRight: { to: [KEY_STEP, 0] },
  ArrowUp: { to: [0, -KEY_STEP] },
  ArrowDown: { to: [0, KEY_STEP] },
  "+": { times: KEY_ZOOM },
  "=": { times: KEY_ZOOM },
  "-": { times: 1 / KEY_ZOOM },
  "[": { degrees: -KEY_DEGREES },
  "]": { degrees: KEY_DEGREES },
  ",": { degrees: -KEY_DEGREES },
  ".": { degrees: KEY_DEGREES },
  0: { reset: true },
  Home: { reset: true },
};

/** The same keys where the keyboard writes other letters: Arabic has no brackets there. */
const CODES = {
  Equal: "+",
  NumpadAdd: "+",
  Minus: "-",
  NumpadSubtract: "-",
  BracketLeft: "[",
  BracketRight: "]",
  Digit0: "0",
  Numpad0: "0",
};

/**
 * @typedef {object} Hands
 * @property {() => boolean} isActive there is a photo to move
 * @property {(times: number) => boolean} canZoom it can be zoomed further that way
 * @property {(change: Change) => void} onChange
 */

/**
 * @param {HTMLElement} stage
 * @param {Hands} hands
 */
export function listenTo(stage, hands) {
  const { isActive, onChange } = hands;
  listenToPointers(stage, hands);
  listenToWheel(stage, hands);
  stage.addEventListener("keydown", (event) => {
    // Many keyboards write brackets with Alt, or with AltGr, which is Ctrl and Alt.
    const isShortcut = event.metaKey || ((event.ctrlKey || event.altKey) && !"[]".includes(event.key));
    if (!isActive() || isShortcut || event.target !== stage) return;
    const change = KEYS[event.key] ?? KEYS[CODES[/** @type {keyof typeof CODES} */ (event.code)]];
    if (!change) return;
    event.preventDefault();
    onChange(event.shiftKey ? faster(change) : change);
  });
}

/** @type {typeof listenTo} */
function listenToWheel(stage, { isActive, canZoom, onChange }) {
  stage.addEventListener(
    "wheel",
    (event) => {
      // A page that is already scrolling cannot be stopped: the stage passes under the mouse.
      if (!isActive() || !event.cancelable) return;
      const pixels = event.deltaY * (event.deltaMode ? LINE : 1);
      const times = Math.exp(-pixels * (event.ctrlKey ? PINCH_RATE : WHEEL_RATE));
      const isZoom = canZoom(times);
      // At the end of the zoom the page scrolls on; a pinch there must not zoom the page.
      if (isZoom || event.ctrlKey) event.preventDefault();
      if (isZoom) onChange({ from: placeOf(stage, event), times });
    },
    { passive: false },
  );
}

/** @type {typeof listenTo} */
function listenToPointers(stage, { isActive, onChange }) {
  /** @type {Map<number, Place>} in the order in which they came down */
  const pointers = new Map();

  stage.addEventListener("pointerdown", (event) => {
    if (!isActive() || event.button > 0) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, placeOf(stage, event));
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const [one, two] = [...pointers.values()];
    pointers.set(event.pointerId, placeOf(stage, event));
    const [newOne, newTwo] = [...pointers.values()];
    if (!two) return onChange({ from: one, to: newOne });
    onChange({
      from: middle(one, two),
      to: middle(newOne, newTwo),
      times: distance(newOne, newTwo) / distance(one, two),
    });
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    stage.addEventListener(end, (event) => pointers.delete(/** @type {PointerEvent} */ (event).pointerId));
  }
}

/** @param {HTMLElement} stage @param {MouseEvent} event @returns {Place} in sides, from the centre */
function placeOf(stage, event) {
  const box = stage.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
}

/** @param {Place} a @param {Place} b @returns {Place} */
const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

/** @param {Place} a @param {Place} b */
const distance = (a, b) => Math.max(Math.hypot(a[0] - b[0], a[1] - b[1]), 0.01);

/** @param {Change} change @returns {Change} */
function faster({ to, times, degrees, reset }) {
  return {
    reset,
    to: to && [to[0] * FAST, to[1] * FAST],
    times: times && times ** FAST,
    degrees: degrees && degrees * FAST,
  };
}
