// The pages work without this file. It keeps those up that change by themselves, and folds JSON.
"use strict";

document.documentElement.classList.add("scripted");

// Buttons that unfold and fold a whole body.
for (const bar of document.querySelectorAll(".fold")) {
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const fold = event.target.dataset.fold;
    if (!fold) return;
    document.querySelectorAll(".json details").forEach((details, n) => {
      details.open = fold === "open" || n === 0;
    });
  });
}

// A page's part that is to be refreshed says after how many seconds.
let paused = false;

function refreshLater() {
  const part = document.getElementById("refreshed");
  if (!part || !part.dataset.refresh) return;
  const pause = part.querySelector(".pause");
  if (pause) {
    pause.hidden = false;
    const box = pause.querySelector("input");
    box.checked = paused;
    box.onchange = () => { paused = box.checked; };
  }
  setTimeout(refresh, 1000 * Number(part.dataset.refresh));
}

function refresh() {
  const part = document.getElementById("refreshed");
  if (paused || document.hidden) {
    setTimeout(refresh, 1000);
    return;
  }
  // The browser parses the page without running anything of it.
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.timeout = 30000;
  request.setRequestHeader("Accept", "text/html");
  request.responseType = "document";
  // The answer is something else where a login has ended, or a store fails.
  request.onloadend = () => {
    const next = request.status === 200 && request.response && request.response.getElementById("refreshed");
    document.getElementById("outdated").hidden = !!next;
    if (next) replace(part, next);
    refreshLater();
  };
  request.send();
}

// What the reader has unfolded, scrolled and focused stays so.
function replace(part, next) {
  if (part.contains(document.activeElement) && document.activeElement.id !== "pause" && document.activeElement.tagName !== "SUMMARY") return;
  const focused = document.activeElement.id || (document.activeElement.parentElement && document.activeElement.parentElement.id);
  const summary = document.activeElement.tagName === "SUMMARY";
  for (const details of part.querySelectorAll("details[id]")) {
    const same = next.querySelector("#" + details.id);
    if (same) same.open = details.open;
  }
  part.replaceWith(document.adoptNode(next));
  const again = focused && document.getElementById(focused);
  if (again && next.contains(again)) (summary ? again.querySelector("summary") : again).focus();
}

refreshLater();
