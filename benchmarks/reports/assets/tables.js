// Tables: their heads sort, by a click or by the keyboard, and a field filters their rows by text.
// Exact rows are sorted among themselves, and stay above the learned ones.

const UNITS = { "": 1, k: 1e3, M: 1e6, "%": 0.01 };
const FEW = 6; // rows that need no filter
const collator = new Intl.Collator("en", { numeric: true });

// What a cell is sorted by: the number with which it begins, as in "13.87 [13.85, 13.89]" or "250k+100k", or else its text.
function keyOf(cell) {
  const text = cell.textContent.trim();
  const found = /^([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)([kM%]?)(?![\w-])/.exec(text);
  return found ? Number(found[1].replaceAll(",", "")) * UNITS[found[2]] : text;
}

// Numbers before texts; empty cells come last in either direction.
function compareKeys(one, other, sign) {
  if (one === "" || other === "") return (one === "") - (other === "");
  if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
  return sign * (typeof one === "number" ? one - other : collator.compare(one, other));
}

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const given = [...table.tBodies].map((body) => [...body.rows]);

  function sort(column, direction) {
    heads.forEach((head, at) => {
      if (at === column && direction) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    });
    [...table.tBodies].forEach((body, at) => {
      const titles = given[at].filter((row) => row.className === "kind");
      const rows = given[at].filter((row) => row.className !== "kind");
      if (direction) {
        const keys = new Map(rows.map((row) => [row, keyOf(row.cells[column])]));
        const sign = direction === "ascending" ? 1 : -1;
        rows.sort((one, other) => compareKeys(keys.get(one), keys.get(other), sign));
      }
      body.append(...titles, ...rows);
    });
  }

  const next = { null: "descending", descending: "ascending", ascending: null }; // the third click restores the order
  heads.forEach((head, column) => {
    const press = () => sort(column, next[head.getAttribute("aria-sort")]);
    const button = element("button", { type: "button", onclick: press, title: "Sort by this column" }, head.textContent);
    head.replaceChildren(button);
  });
}

function makeFilterable(place, table) {
  const status = element("span", { role: "status" });
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => row.className !== "kind");
  if (rows.length < FEW) return;
  const search = element("input", { type: "search", oninput: filter, autocomplete: "off", spellcheck: "false" });

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
      row.hidden = !words.every((word) => text.includes(word));
    }
    for (const body of table.tBodies) {
      const own = [...body.rows].filter((row) => row.className !== "kind");
      for (const title of body.querySelectorAll("tr.kind")) title.hidden = own.every((row) => row.hidden);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    status.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  }

  place.prepend(element("div", { class: "tools" }, element("label", {}, "Filter rows: ", search), status));
}

for (const place of document.querySelectorAll(".table")) {
  const table = place.querySelector("table");
  makeSortable(table);
  if ("filtered" in place.dataset) makeFilterable(place, table);
}

// On paper the notes are open.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.notes:not([open])")];
  opened.forEach((each) => (each.open = true));
});
window.addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
