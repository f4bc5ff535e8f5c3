// Importing saved pages from a file. Without script: POST /api/v1/saved/import.

import { count, toast } from "./text.js";

const label = document.querySelector("[data-import]");

async function take(file) {
  let body;
  try {
    body = JSON.stringify(JSON.parse(await file.text()));
  } catch {
    toast("That file is no JSON: take one that Export has made.");
    return;
  }
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": label.dataset.csrf };
  try {
    const answer = await fetch(label.dataset.import, { method: "POST", credentials: "same-origin", headers, body });
    const told = await answer.json();
    if (!answer.ok) {
      toast(told.detail ?? "The file was not taken.");
      return;
    }
    const left = told.left_out.length;
    const why = left ? `; ${count(left)} left out: ${told.left_out[0].name}: ${told.left_out[0].why}` : "";
    toast(`${count(told.added)} saved${why}`);
    if (told.added) setTimeout(() => location.assign(location.pathname), left ? 3000 : 600);
  } catch {
    toast("The server does not answer: try again.");
  }
}

if (label) {
  label.hidden = false;
  const input = label.querySelector("input");
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0]);
    input.value = "";
  });
}
