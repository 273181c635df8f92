// How a picture gets out of this page and into another app: the first of these that works.
//
// 1. The picture ALONE, through the system's share sheet. Alone, because a file in company is dropped: WhatsApp on
//    iOS takes the text and leaves the picture, and several apps on Android do the same. Safari from iOS 15, Chrome
//    on Android, Windows, macOS and ChromeOS, Samsung Internet, and most browsers inside apps on iOS.
// 2. The words and the site's address through the same sheet, where files are refused: iOS 12.2 to 14, Firefox on
//    Android. A picture and words together are not tried: what is wrong with a file is wrong with it in company.
//    The address is a member of its own, for apps that take nothing but an address (Facebook on iOS).
// 3. The words to the clipboard: Firefox on a desktop, and browsers inside apps on Android, whose WebView has no
//    share sheet. The picture itself is saved by a long press or the download there.
// 4. Where even the clipboard is refused, the words are selected, and the reader's own menu copies them.
//
// A share must begin while the press that asked for it still counts, and spends it. So the picture has to be in
// memory before: navigator.share() is only ever called with a file that is there, and what fails is not tried
// twice with one press: the next rung that needs none follows at once.

/**
 * @param {object} parts
 * @param {() => Promise<File>} parts.fetchPicture Brings the picture's file.
 * @param {string} parts.words What is said beside the picture.
 * @param {string} parts.address Where the site is.
 * @param {HTMLTextAreaElement} parts.field Shows both.
 */
export function createSharing({ fetchPicture, words, address, field }) {
  let picture = null;
  let coming = null;
  let refusesFiles = !takesFiles();

  /** Bring the picture into memory, once; after a failure it may be asked for again. */
  function prepare() {
    coming ??= fetchPicture()
      .then((file) => (picture = file))
      .finally(() => (coming = null));
    return coming;
  }

  /**
   * Take the ladder, and say where it ended: "shared", "cancelled", "ready" (the picture came too late for this
   * press; the next will do), "copiedInstead" or "selected".
   */
  async function share(announcePreparing) {
    if (!refusesFiles && !picture) {
      announcePreparing();
      const came = await prepare().catch(() => null);
      if (came && !pressCounts()) return "ready";
    }
    if (picture && !refusesFiles) {
      const outcome = await offer({ files: [picture] });
      if (outcome !== "refused") return outcome;
      refusesFiles = true; // the next press begins with what may work
    }
    if (navigator.share && pressCounts()) {
      const outcome = await offer({ text: words, url: address });
      if (outcome !== "refused") return outcome;
    }
    return (await copy(field)) ? "copiedInstead" : "selected";
  }

  return {
    /** Whether there is a share sheet that takes pictures, so that preparing one is worth its bytes. */
    get takesPictures() {
      return !refusesFiles;
    },
    prepare,
    share,
    /** Let go of the picture. */
    forget() {
      picture = null;
      refusesFiles = true;
    },
  };
}

/** Copy what a field holds; where that is refused, leave it selected and return false. */
export async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // Not over http, and not in every browser inside an app. The old way asks nobody, but needs a selection.
    const pressed = document.activeElement;
    select(field);
    const copied = document.execCommand("copy");
    if (copied) pressed?.focus({ preventScroll: true });
    return copied;
  }
}

/** Select all that a field holds. On iOS a read-only field's select() does nothing. */
export function select(field) {
  field.focus();
  field.setSelectionRange(0, field.value.length);
}

function takesFiles() {
  // Asked with a file like the one to come: some browsers share files but not pictures.
  const specimen = new File(["."], "red-ribbons.jpg", { type: "image/jpeg" });
  return Boolean(navigator.share && navigator.canShare?.({ files: [specimen] }));
}

function pressCounts() {
  return navigator.userActivation?.isActive ?? true;
}

async function offer(data) {
  try {
    await navigator.share(data);
    return "shared";
  } catch (error) {
    // A reader who closes the sheet has changed their mind, and needs to be told nothing. While one sheet is open
    // another cannot be.
    return error.name === "AbortError" || error.name === "InvalidStateError" ? "cancelled" : "refused";
  }
}
