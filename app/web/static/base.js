// The first script of every page. It runs as soon as it is here, before the page is complete.

// Style sheets now show what needs a script, and hide what stands in for it. "??=" is the newest that any script
// here is written with (Chrome 85, Safari 14): a browser that is too old for them fails at this one too, and is
// served like one without scripts.
let root;
root ??= document.documentElement;
root.classList.add("has-script");

// The language switch opens by itself; closed by Escape or by a press elsewhere, it is like any other menu.
function openSwitch() {
  return document.querySelector(".languages[open]");
}

document.addEventListener("pointerdown", (event) => {
  const languages = openSwitch();
  if (languages && !languages.contains(event.target)) languages.open = false;
});

document.addEventListener("keydown", (event) => {
  const languages = event.key === "Escape" && openSwitch();
  if (!languages) return;
  languages.open = false;
  languages.querySelector("summary").focus();
});

document.addEventListener("focusin", (event) => {
  const languages = openSwitch();
  if (languages && !languages.contains(event.target)) languages.open = false;
});
