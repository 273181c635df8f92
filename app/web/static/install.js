// Makes an app of the page, when the page has nothing else to do: the service worker (offline, share sheet)
// and, where the browser can install it, a button for that. Whoever saves data gets neither.

const TAKEN = /\/static\/[^/]+\.woff2$|\/v1\/frames\/[^/]+\/overlay\.webp\?/;

const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 1000));

async function startWorker() {
  try {
    await navigator.serviceWorker.register("/service-worker.js", { updateViaCache: "none" });
  } catch {
    return; // a private window, or an app's own browser: the page works without
  }
  const { active } = await navigator.serviceWorker.ready;
  const addresses = performance.getEntriesByType("resource").map((entry) => entry.name);
  active.postMessage({ type: "keep", addresses: addresses.filter((address) => TAKEN.test(address)) });
}

function offerToInstall(button) {
  let offer = null;
  window.addEventListener("beforeinstallprompt", (event) => {
    event.preventDefault(); // no banner over the page; the button waits in the footer
    offer = event;
    button.hidden = false;
  });
  button.addEventListener("click", () => {
    offer?.prompt();
    offer = null; // browsers take each offer once, and make another one later
    button.hidden = true;
  });
  window.addEventListener("appinstalled", () => {
    button.hidden = true;
  });
}

const button = document.getElementById("install");
if (button) offerToInstall(button);

if ("serviceWorker" in navigator && !navigator.connection?.saveData) {
  if (document.readyState === "complete") {
    whenIdle(startWorker);
  } else {
    window.addEventListener("load", () => whenIdle(startWorker), { once: true });
  }
}
