// What every page gains with script: theme without a reload, Ctrl-K, menus that close, copy buttons, page filters,
// times that stay true. Without it the pages still work.

import { copy, toast } from "./text.js";
import { browserZone } from "./zone.js";

const secure = location.protocol === "https:" ? "; secure" : "";

function chooseTheme(button) {
  const theme = button.dataset.themeChoice;
  const root = document.documentElement;
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  for (const other of document.querySelectorAll("[data-theme-choice]")) {
    other.toggleAttribute("aria-current", other === button);
    if (other === button) other.setAttribute("aria-current", "true");
  }
  const menu = button.closest("details");
  menu.querySelector("summary use").setAttribute("href", button.querySelector("use").getAttribute("href"));
  menu.open = false;
}

// The form is sent as it is without script, but nothing is loaded for it: the answer is where to go next.
async function keepTheme({ form, name, value }) {
  const body = new URLSearchParams(new FormData(form));
  body.set(name, value);
  const how = { method: "POST", body, credentials: "same-origin", redirect: "manual", keepalive: true };
  const answer = await fetch(form.action, how).catch(() => null);
  if (answer?.type !== "opaqueredirect") toast("The theme lasts until you leave this page only: the server did not take it.");
}

function wireTheme() {
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      chooseTheme(button);
      keepTheme(button);
    });
  }
}

// The server cannot know this browser's zone: it is told once, and the page made again where it matters.
function tellZone() {
  const { base = "", zone, zoneChoice } = document.documentElement.dataset;
  const own = browserZone();
  if (!own || !zoneChoice) return;
  const kept = /(?:^|; )logferry_browser_zone=([^;]*)/.exec(document.cookie)?.[1] ?? "";
  if (kept === encodeURIComponent(own)) return;
  document.cookie = `logferry_browser_zone=${encodeURIComponent(own)}; path=${base}/; max-age=31536000; samesite=lax${secure}`;
  if (zoneChoice === "browser" && zone !== own && document.cookie.includes("logferry_browser_zone=")) location.reload();
}

function wireMenus() {
  const menus = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of menus()) {
      menu.open = false;
      menu.querySelector("summary").focus();
      event.preventDefault();
    }
  });
}

function wireSearchKey() {
  const box = document.querySelector("#q") ?? document.querySelector(".bar-search input");
  if (!box) return;
  if (/Mac|iPhone|iPad/.test(navigator.platform)) document.querySelector(".bar-search kbd")?.replaceChildren("⌘ K");
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      box.select();
    }
  });
}

function wireCopy() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(button.previousElementSibling.textContent);
      toast(done ? "Copied" : "The browser refused the clipboard: select the text instead");
    });
  }
}

function wireFilters() {
  const label = document.querySelector("[data-filter]");
  const body = document.querySelector("[data-rows]");
  if (!label || !body) return;
  label.hidden = false;
  const rows = [...body.rows].filter((row) => !("keep" in row.dataset));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const note = document.createElement("tr");
  const cell = note.insertCell();
  cell.colSpan = 20;
  cell.className = "dim";
  label.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    let hidden = 0;
    rows.forEach((row, at) => {
      row.hidden = !texts[at].includes(wanted);
      hidden += row.hidden ? 1 : 0;
    });
    note.remove();
    if (hidden) {
      cell.textContent = `${hidden.toLocaleString("en-US")} hidden by the filter`;
      body.append(note);
    }
  });
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} m` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

// The server's "12 s ago" was true when the page was made; it goes on from there, whatever this machine's clock says.
function wireTimes() {
  const times = [...document.querySelectorAll("time[data-ago]")];
  const made = Number(document.documentElement.dataset.now);
  if (!times.length || !made) return;
  const start = performance.now();
  setInterval(() => {
    const now = made + performance.now() - start;
    for (const time of times) {
      const seconds = Math.floor((now - Date.parse(time.dateTime)) / 1000);
      time.textContent = seconds < 1 ? "just now" : `${span(seconds)} ago`;
    }
  }, 5000);
}

// Tabs scroll sideways where there is no room for all: the current one is to be seen. The page itself does not move.
function wireTabs() {
  for (const tab of document.querySelectorAll(".tabs [aria-current=page]")) {
    const tabs = tab.closest(".tabs");
    const from = tab.getBoundingClientRect().left - tabs.getBoundingClientRect().left;
    tabs.scrollLeft += from - (tabs.clientWidth - tab.offsetWidth) / 2;
  }
}

requestAnimationFrame(() => setTimeout(tellZone)); // its tables are slow to load: after the first paint
wireTabs();
wireTheme();
wireMenus();
wireSearchKey();
wireCopy();
wireFilters();
wireTimes();
