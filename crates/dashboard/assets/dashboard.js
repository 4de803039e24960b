// The pages work without this script. With it, a part that moves is read again, a text can be
// copied, and a page says how old its numbers are when the service does not answer.
(function () {
  "use strict";

  var stale = document.getElementById("stale");

  function clock(iso) {
    return (iso || "").slice(11, 19) + " UTC";
  }

  function showStale() {
    var live = document.getElementById("live");
    if (!stale || !live) { return; }
    stale.textContent = stale.dataset.text.replace("{time}", clock(live.dataset.at));
    stale.hidden = false;
  }

  // Whether somebody reads or uses a part that would be replaced.
  function isInUse(part) {
    var selection = document.getSelection();
    var isSelecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    return isSelecting || part.contains(document.activeElement) || part.querySelector("details[open]");
  }

  function isBusy() {
    var parts = Array.from(document.querySelectorAll("#live, [data-moves]"));
    return document.hidden || parts.some(isInUse);
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    if (isBusy()) { event.preventDefault(); }
  });
  document.addEventListener("htmx:afterSwap", function () {
    if (stale) { stale.hidden = true; }
  });
  ["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach(function (name) {
    document.addEventListener(name, showStale);
  });

  document.querySelectorAll("[data-copy]").forEach(function (button) {
    var source = document.getElementById(button.dataset.copy);
    if (!source || !navigator.clipboard) { return; }
    var word = button.textContent;
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(source.textContent.trim()).then(function () {
        button.textContent = button.dataset.copied;
        setTimeout(function () { button.textContent = word; }, 2000);
      });
    });
  });
})();
