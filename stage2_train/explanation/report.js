// The clips behind the confusion matrix. Texts are never set as HTML.

const cell = $("cell");

function clipItem(row) {
  const [id, words] = data.clips[row], svg = stripOf(row);
  const text = [element("bdi", { textContent: id }), element("span", { className: "dim", textContent: words })];
  const button = element("button", { type: "button", className: "clip" }, ...svg ? [svg] : [], ...text);
  button.dataset.clip = row;
  return element("li", {}, button);
}

function show(key, focus) {
  const found = Object.hasOwn(data.cells, key) ? data.cells[key] : null;
  document.querySelectorAll("[data-cell]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.cell === key)));
  cell.hidden = !found;
  if (!found) return;
  const [title, count, rows] = found;
  $("cell-title").textContent = title;
  $("cell-text").textContent = rows.length < count
    ? `The most confident ${rows.length} of ${count} clips; clips.csv lists all.`
    : `${plural(count, "clip")}, the most confident first.`;
  $("cell-clips").replaceChildren(...rows.map(clipItem));
  if (focus) {
    $("cell-title").focus();
    cell.scrollIntoView({ block: "nearest" });
  }
}

function fromAddress() {
  const match = /^#cell\/(\d+)\/(\d+)$/.exec(location.hash);
  if (match) show(`${match[1]}-${match[2]}`, true);
}

document.querySelectorAll("[data-cell]").forEach((button) => {
  button.addEventListener("click", () => {
    history.replaceState(null, "", `#cell/${button.dataset.cell.replace("-", "/")}`);
    show(button.dataset.cell, true);
  });
});
addEventListener("hashchange", fromAddress);
fromAddress();
