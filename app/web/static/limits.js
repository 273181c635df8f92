// @ts-check
// What the server has decided and the editor goes by. Each has its home there, and comes in the form's attributes.

const { dataset } = /** @type {HTMLElement} */ (document.getElementById("editor"));

/** @param {string} name */
const number = (name) => Number(dataset[name]);

/** How the formats that are read begin: their first bytes, each as a character. */
export const PHOTO_SIGNATURE = new RegExp(dataset.photoSignature ?? "(?!)");

/** How many of its first bytes tell the format of a file. */
export const SIGNATURE_BYTES = number("signatureBytes");
export const MAX_PHOTO_BYTES = number("maxPhotoBytes");
/** Pixels along the shorter side of what may be sent. */
export const MIN_SIDE = number("minSide");
/** Pixels along the side of the finished picture. */
export const PICTURE_SIDE = number("pictureSide");
export const MIN_ZOOM = number("minZoom");
export const MAX_ZOOM = number("maxZoom");
/** Unless the operator forbids it. */
export const FINDS_FACES = "findsFaces" in dataset;
/** For how long a finished picture is kept, in milliseconds. */
export const LIFETIME = number("lifetime") * 1000;
/** In what time a photo has to arrive, in milliseconds. */
export const UPLOAD_TIME = number("uploadTimeout") * 1000;
