// What the confusion matrix opens, and what printing opens. Every text is set as text.

const data = JSON.parse(document.getElementById("clips-data").text);
const cell = document.getElementById("cell");

function clipItem(row) {
  const [id, says, picture] = data.clips[row];
  const shown = picture ? [element("img", { src: `data:image/webp;base64,${picture}`, alt: "" })] : [];
  return element("li", {}, ...shown, element("bdi", { textContent: id }),
    element("div", { className: "dim", textContent: says }));
}

function show(key, focus) {
  const found = Object.hasOwn(data.cells, key) ? data.cells[key] : null;
  document.querySelectorAll("[data-cell]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.cell === key)));
  cell.hidden = !found;
  if (!found) return;
  const [title, count, rows] = found;
  document.getElementById("cell-title").textContent = title;
  document.getElementById("cell-text").textContent = rows.length < count
    ? `The surest ${rows.length} of ${count} clips; clips.csv has all.`
    : `${count} ${count === 1 ? "clip" : "clips"}, the surest first.`;
  document.getElementById("cell-clips").replaceChildren(...rows.map(clipItem));
  if (focus) {
    document.getElementById("cell-title").focus();
    cell.scrollIntoView({ block: "nearest" });
  }
}

function fromAddress() {
  const match = /^#cell\/(\d+)\/(\d+)$/.exec(location.hash);
  if (match && cell) show(`${match[1]}-${match[2]}`, true);
}

document.querySelectorAll("[data-cell]").forEach((button) => {
  button.addEventListener("click", () => {
    history.replaceState(null, "", `#cell/${button.dataset.cell.replace("-", "/")}`);
    show(button.dataset.cell, true);
  });
});
addEventListener("hashchange", fromAddress);
addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((each) => {
  each.open = true;
}));
fromAddress();
