// The list of FTP connections goes on by itself, from /api/v1/ftp/sessions: rows change, come and go in place. When the
// page would be another one (nobody left, the FTP part away), it is loaded again. Without script: reload.

import { BASE, getJson } from "./api.js";
import { el, icon, size } from "./text.js";

const EVERY_S = 2;
const SLOWEST_S = 60;

const body = document.querySelector("#sessions");
const pattern = document.querySelector("#session-row");

function viewed(agent, path) {
  const steps = `${agent}${path}`.split("/").map(encodeURIComponent).join("/");
  return `${BASE}/view/${steps}?at=end`;
}

function fill(row, one) {
  const idle = one.doing === "idle";
  const doing = row.querySelector("[data-doing]");
  if (idle) doing.replaceChildren(el("span", { class: "sub" }, "idle"));
  else {
    const path = one.agent && one.path.startsWith("/") ? el("a", { class: "plain path", href: viewed(one.agent, one.path) }, one.path) : el("span", { class: "path" }, one.path);
    doing.replaceChildren(el("span", { class: "tag" }, one.doing), " ", path);
  }
  row.querySelector("[data-moved]").textContent = idle ? "–" : size(one.moved);
}

function made(one) {
  const row = pattern.content.firstElementChild.cloneNode(true);
  row.dataset.session = one.id;
  row.dataset.user = one.user;
  const name = el("span", { class: "text" }, one.agent || one.user || "not logged in");
  const who = one.agent ? el("a", { class: "name", href: `${BASE}/agents/${encodeURIComponent(one.agent)}` }, name) : el("span", { class: "name" }, name);
  row.querySelector("[data-who]").append(who);
  if (!one.secure) row.querySelector("[data-who]").append(" ", el("span", { class: "tag warn" }, icon("warn"), "no TLS"));
  row.querySelector("[data-address]").textContent = one.address;
  row.querySelector("[data-since]").textContent = one.connected_at.slice(11, 19);
  row.querySelector("input[name=session]").value = one.id;
  row.querySelector("button").setAttribute("aria-label", `End connection ${one.id} of ${one.agent || one.user || "somebody"}`);
  return row;
}

function take(items) {
  const rows = new Map([...body.rows].map((row) => [Number(row.dataset.session), row]));
  for (const one of items) {
    const row = rows.get(one.id) ?? made(one);
    if (!row.isConnected) body.append(row);
    // Whoever logs in meanwhile gets a row with a name.
    else if (row.dataset.user !== one.user) row.replaceWith(made(one));
    rows.delete(one.id);
    fill(body.querySelector(`[data-session="${one.id}"]`), one);
  }
  for (const row of rows.values()) row.remove();
}

let wait = EVERY_S;
let timer = 0;

async function look() {
  if (!document.hidden) {
    try {
      const { items } = await getJson("ftp/sessions");
      if (Boolean(items.length) !== Boolean(body)) {
        location.replace(location.pathname);
        return;
      }
      if (body) take(items);
      wait = EVERY_S;
    } catch (problem) {
      if (problem.status === 401 || (problem.status === 503 && body)) {
        location.replace(location.pathname);
        return;
      }
      wait = Math.min(wait * 2, SLOWEST_S); // away: what is shown stays, and it is asked less often
    }
  }
  timer = setTimeout(look, wait * 1000);
}

const place = document.querySelector("[data-live]");
const word = el("span", {}, "Live");
const button = el("button", { class: "button", type: "button", "aria-pressed": "true" }, icon("retry"), word);
button.addEventListener("click", () => {
  const stop = button.getAttribute("aria-pressed") === "true";
  clearTimeout(timer);
  if (!stop) look();
  button.setAttribute("aria-pressed", String(!stop));
  word.textContent = stop ? "Paused" : "Live";
});
place.append(button);
timer = setTimeout(look, wait * 1000);
