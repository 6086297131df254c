// Viaduct's script: comfort only. Every page works without it.
(function () {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  // === theme: chosen here, remembered, else the system's ===
  const stored = function () {
    try { return localStorage.getItem("viaduct-theme"); } catch { return null; }
  };
  const chosen = stored();
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  function changeTheme() {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try { localStorage.setItem("viaduct-theme", next); } catch { /* private mode */ }
  }

  // === addresses that MLflow's client prints: `/#/experiments/1/runs/ID` ===
  const printed = location.pathname === "/" && location.hash.match(
    /^#\/(?:experiments\/[^/?]+\/(runs\/[^/?]+)|(experiments\/[^/?]+)|(models\/[^/?]+))/);
  if (printed) location.replace("/" + (printed[1] || printed[2] || printed[3]));

  // === copy: the text of the nearest code ===
  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    if (!code) return;
    try {
      await navigator.clipboard.writeText(code.textContent);
      announce(button, "Copied");
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      announce(button, "Press Ctrl C");
    }
  }

  function announce(button, text) {
    const label = button.querySelector("span");
    const before = label ? label.textContent : button.getAttribute("aria-label");
    const say = function (words) {
      if (label) label.textContent = words; else button.setAttribute("aria-label", words);
    };
    say(text);
    button.classList.add("copied");
    setTimeout(function () { say(before); button.classList.remove("copied"); }, 1400);
  }

  // === tooltips: the <title> of a chart's point, at once and styled ===
  let tip = null;

  function titleOf(point) {
    const title = point.querySelector(":scope > title");
    if (title) {
      point.setAttribute("aria-label", title.textContent);
      title.remove();
    }
    return point.getAttribute("aria-label") || "";
  }

  function showTip(point, x, y) {
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "tip";
      tip.setAttribute("role", "tooltip");
      document.body.append(tip);
    }
    tip.textContent = titleOf(point);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(8, y - box.height - 12) + "px";
  }

  function hideTip() {
    if (tip) tip.hidden = true;
  }

  // === keyboard ===
  const places = { p: "/", e: "/experiments", m: "/models", u: "/users", a: "/api" };
  let waitsForPlace = 0;

  function isTyping(target) {
    return target.closest && target.closest("input, textarea, select, [contenteditable]");
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (Date.now() - waitsForPlace < 1200 && places[event.key]) {
      waitsForPlace = 0;
      event.preventDefault();
      location.assign(places[event.key]);
    } else if (event.key === "g") {
      waitsForPlace = Date.now();
    } else if (event.key === "/") {
      const search = document.getElementById("search");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "?") {
      openHelp();
    } else if (event.key === "t") {
      changeTheme();
    }
  }

  function openHelp() {
    const help = document.getElementById("help");
    if (help && !help.open) help.showModal();
  }

  // === forms: one submit, not two ===
  function onSubmit(event) {
    const form = event.target;
    if (form.method !== "post") return;
    // Why later: a disabled button would not send its own value.
    setTimeout(function () {
      for (const button of form.querySelectorAll("button[type=submit]")) button.disabled = true;
    }, 0);
  }

  // === refresh: ask for the main part again, unless somebody is at work in it ===
  function isBusy(main) {
    const active = document.activeElement;
    if (document.hidden || document.querySelector("dialog[open]")) return true;
    if (active && active !== main && main.contains(active)) return true;
    if (!getSelection().isCollapsed) return true;
    const fields = main.querySelectorAll("input:not([type=hidden]), textarea");
    return Array.from(fields).some(function (field) { return field.value !== field.defaultValue; });
  }

  function openStates(main) {
    const states = new Map();
    for (const details of main.querySelectorAll("details[id]")) states.set(details.id, details.open);
    return states;
  }

  async function refresh(main) {
    if (isBusy(main)) return;
    let text;
    try {
      const answer = await fetch(location.href, { headers: { "x-viaduct-fragment": "main" } });
      if (!answer.ok || answer.redirected) return;
      text = await answer.text();
    } catch {
      return;
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("main") || page.body;
    if (isBusy(main)) return;
    const states = openStates(main);
    hideTip();
    main.replaceChildren(...fresh.childNodes);
    for (const [id, open] of states) {
      const details = document.getElementById(id);
      if (details) details.open = open;
    }
  }

  // === paper: every detail is printed ===
  function openAll() {
    for (const details of document.querySelectorAll("details.criterion")) details.open = true;
  }

  // A link to a criterion opens it.
  function openTarget() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (target && target.tagName === "DETAILS") target.open = true;
  }

  document.addEventListener("DOMContentLoaded", function () {
    const main = document.getElementById("main");
    const seconds = Number(main && main.dataset.refresh);
    if (seconds > 0) setInterval(refresh, seconds * 1000, main);
    openTarget();
  });
  document.addEventListener("click", function (event) {
    if (event.target.closest("#theme")) changeTheme();
    if (event.target.closest("#keys")) openHelp();
    if (event.target.closest("[data-print]")) print();
    const button = event.target.closest("[data-copy]");
    if (button) {
      event.preventDefault();
      copy(button);
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("pointermove", function (event) {
    const point = event.target.closest && event.target.closest(".point");
    if (point) showTip(point, event.clientX, event.clientY); else hideTip();
  });
  document.addEventListener("scroll", hideTip, { passive: true });
  document.addEventListener("keydown", onKey);
  document.addEventListener("submit", onSubmit);
  addEventListener("beforeprint", openAll);
  addEventListener("hashchange", openTarget);
})();
