"use strict";
(() => {
  for (const box of document.querySelectorAll("[data-filter-for]")) {
    const rows = [...document.querySelectorAll(`#${box.dataset.filterFor} tbody tr`)];
    const words = box.querySelector("input[type=search]");
    const states = [...box.querySelectorAll("input[type=checkbox]")];
    const count = box.querySelector("output");
    const apply = () => {
      const wanted = words.value.trim().toLowerCase();
      const shown = new Set(states.filter((state) => state.checked).map((state) => state.value));
      let visible = 0;
      for (const row of rows) {
        const fits = shown.has(row.dataset.status) && row.textContent.toLowerCase().includes(wanted);
        row.hidden = !fits;
        visible += fits ? 1 : 0;
      }
      count.textContent = `${visible} of ${rows.length} shown`;
    };
    box.addEventListener("input", apply);
    apply();
  }
  const open = (state) => () => document.querySelectorAll("details").forEach((part) => { part.open = state; });
  document.querySelector("#unfold").addEventListener("click", open(true));
  document.querySelector("#fold").addEventListener("click", open(false));
  window.addEventListener("beforeprint", open(true));
})();
