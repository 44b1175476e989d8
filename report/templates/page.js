"use strict";
// Colours: as the system, light or dark. Nothing is stored, so the page works from any place.
const root = document.documentElement, theme = document.getElementById("theme");
const themes = ["auto", "light", "dark"];
theme.addEventListener("click", () => {
  const now = root.dataset.theme || "auto";
  const next = themes[(themes.indexOf(now) + 1) % themes.length];
  if (next === "auto") delete root.dataset.theme; else root.dataset.theme = next;
  theme.querySelector("span").textContent = next;
  theme.setAttribute("aria-label", next === "auto" ? "Colours: as the system" : "Colours: " + next);
});
// Tables: a head sorts by its column, the largest first, then the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") !== "descending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const order = (one, other) => {
      const [a, b] = [value(one), value(other)];
      const both = a !== "" && b !== "" && !isNaN(a) && !isNaN(b);
      return both ? Number(a) - Number(b) : a.localeCompare(b);
    };
    [...body.rows].sort((one, other) => (down ? order(other, one) : order(one, other)))
      .forEach((row) => body.append(row));
  }));
}
// The menu marks the section that is being read.
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) {
    links.forEach((link) => link.removeAttribute("aria-current"));
    links.get(entry.target.id)?.setAttribute("aria-current", "true");
  }
}, { rootMargin: "-20% 0px -70% 0px" });
for (const section of document.querySelectorAll("section[id]")) seen.observe(section);
