// The setup page follows the status by itself and copies records. It works without this script too.
"use strict";

(() => {
  const SLOWEST = 60;
  const root = document.documentElement;
  root.classList.add("js");

  // A notice concerns the click before it, not what a reload shows.
  const address = new URL(location.href);
  address.searchParams.delete("notice");
  history.replaceState(null, "", address.pathname + address.search + address.hash);

  const showLocalTimes = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) {
        time.title = at.toLocaleString(root.lang, { dateStyle: "medium", timeStyle: "short" });
      }
    }
  };

  const announce = (text) => {
    document.getElementById("announcement").textContent = text;
  };

  const copy = async (text, source) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // An embedding page may not delegate the clipboard.
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source || !(await copy(source.textContent, source))) {
      return;
    }
    const label = button.textContent;
    button.textContent = document.body.dataset.copied;
    button.classList.add("copied");
    announce(document.body.dataset.copied);
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("copied");
      announce("");
    }, 2000);
  }, { passive: true });

  // The parts of the page as the server sent them.
  const sent = new Map(["status", "rest"].map((id) => [id, document.getElementById(id).outerHTML]));

  // Replaces a part of the page if it changed; the focus stays on the element of the same id.
  const replace = (id, next) => {
    const [old, fresh] = [document.getElementById(id), next.getElementById(id)];
    if (sent.get(id) === fresh.outerHTML) {
      return;
    }
    sent.set(id, fresh.outerHTML);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.className = fresh.className;
    old.replaceChildren(...fresh.childNodes);
    const again = focused && document.getElementById(focused);
    if (again) {
      again.focus();
    }
  };

  const update = async () => {
    const answer = await fetch(address, { cache: "no-store", headers: { Accept: "text/html" } });
    if (answer.status === 404) {
      location.reload();
      return false;
    }
    if (!answer.ok) {
      return false;
    }
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    // A click on "Copy" is being answered.
    if (document.querySelector(".copied")) {
      return false;
    }
    document.title = next.title;
    replace("status", next);
    replace("rest", next);
    showLocalTimes();
    const changed = document.body.dataset.version !== next.body.dataset.version;
    Object.assign(document.body.dataset, next.body.dataset);
    return changed;
  };

  const follow = (seconds) => {
    setTimeout(async () => {
      const first = Number(document.body.dataset.poll);
      if (first === 0) {
        return;
      }
      let next = Math.min(seconds * 1.2, SLOWEST);
      if (!document.hidden) {
        try {
          if (await update()) {
            next = first;
          }
        } catch {
          // The network is away; the next time may succeed.
        }
      }
      follow(next);
    }, seconds * 1000);
  };

  // A page that embeds this one can give the frame its height.
  if (window.parent !== window) {
    const report = () => window.parent.postMessage({ type: "dps-setup-height", height: root.offsetHeight }, "*");
    new ResizeObserver(report).observe(root);
  }

  showLocalTimes();
  const first = Number(document.body.dataset.poll);
  if (first > 0) {
    follow(first);
  }
})();
