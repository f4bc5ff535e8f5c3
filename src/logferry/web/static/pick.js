// Rows with boxes: how many are picked and how large they are; buttons wait until something is. Without script they do
// not wait, and the server says that nothing was picked.

import { count, size } from "./text.js";

for (const form of document.querySelectorAll("form[data-pick]")) {
  const boxes = [...form.querySelectorAll("input[name=fid]")];
  const all = form.querySelector("[data-pick-all]");
  const said = form.querySelector("[data-picked]");
  if (!said) continue; // a folder of folders alone
  const buttons = [...form.querySelectorAll("button")];

  const draw = () => {
    const picked = boxes.filter((box) => box.checked);
    const bytes = picked.reduce((sum, box) => sum + Number(box.dataset.size), 0);
    said.textContent = picked.length ? `${count(picked.length)} picked · ${size(bytes)}` : "Nothing picked";
    for (const button of buttons) button.disabled = picked.length === 0 || picked.length > Number(button.dataset.most ?? Infinity);
    if (!all) return;
    all.checked = picked.length === boxes.length;
    all.indeterminate = picked.length > 0 && picked.length < boxes.length;
  };

  if (all) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
      draw();
    });
  }
  for (const box of boxes) box.addEventListener("change", draw);
  addEventListener("pageshow", draw); // boxes keep their ticks when somebody comes back
  draw();
}
