// "Save" on a page leads to the form with the address as it is now: scripts change it while somebody narrows a search.

for (const link of document.querySelectorAll("a[data-save]")) {
  link.addEventListener("click", () => {
    const root = document.documentElement.dataset.base ?? "";
    const here = `${location.pathname.slice(root.length)}${location.search}${location.hash}`;
    link.href = `${root}/saved?add=${encodeURIComponent(here)}`;
  });
}
