// @ts-check
// One press copies the address that the shortcut sends to.

const button = /** @type {HTMLButtonElement} */ (document.getElementById("copy"));
const address = /** @type {HTMLElement} */ (document.getElementById("address"));
const status = /** @type {HTMLElement} */ (document.getElementById("copied"));
const label = button.textContent;
const done = button.dataset.done ?? "";

button.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(address.textContent ?? "");
  } catch {
    // Refused, or not offered without TLS: the reader's own menu copies what is selected.
    getSelection()?.selectAllChildren(address);
    return;
  }
  button.textContent = done;
  status.textContent = done;
  setTimeout(() => {
    button.textContent = label;
    status.textContent = "";
  }, 2500);
});
