// Drawing of the frame with masks, boxes and names on a canvas.

async function showRow(row) {
  const mine = ++turn;
  state.row = row;
  state.chosen = -1;
  $("scores").hidden = true;
  moveCursor();
  let frame;
  try {
    frame = await frameInFull(row);
  } catch (error) {
    if (mine === turn) say(error.message);
    return;
  }
  if (mine !== turn) return;
  state.frame = frame;
  state.masks = frame.detections.map((each) => decodeMask(each[6], ...video().grid));
  $("message").hidden = true;
  draw();
  listObjects();
  describe();
  describeActivities();
  clearTimeout(prefetchTimer);
  prefetchTimer = setTimeout(prefetchBeside, state.step ? 0 : 150);
  if (!("row" in document.documentElement.dataset)) performance.mark("opened");
  document.documentElement.dataset.row = row;
}

// Prefetches the frames that will probably be displayed next.
function prefetchBeside() {
  for (const ahead of state.step < 0 ? [-1, -2] : [1, 2]) {
    const place = state.place + ahead;
    if (place >= 0 && place < state.rows.count) prefetch(state.rows.at(place));
  }
  prefetchChunk(chunkOf(state.row).number + (state.step < 0 ? -1 : 1));
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = false;
}

function draw() {
  const { frame } = state;
  if (!frame) return;
  const [width, height] = video().size, grid = video().grid;
  const ratio = window.devicePixelRatio || 1;
  const enlarged = Math.max(Math.min((shownWidth || width) * ratio, 1920) / width, 1);
  const context = canvas.getContext("2d");
  const full = [Math.round(width * enlarged), Math.round(height * enlarged)];
  if (canvas.width !== full[0] || canvas.height !== full[1]) [canvas.width, canvas.height] = full;
  if (frame.picture) {
    context.drawImage(frame.picture, 0, 0, ...full);
  } else {
    context.fillStyle = "#767676";
    context.fillRect(0, 0, ...full);
  }
  const shown = frame.detections.map((each, place) => place)
    .filter((place) => isShown(frame.detections[place]))
    .sort((one, other) => state.masks[other].area - state.masks[one].area);
  const finer = Math.max(Math.ceil(LEAST_RASTER / Math.max(width, height)), 1);
  const masks = paintedLayer(shown, width * finer, height * finer, grid);
  context.drawImage(masks, 0, 0, ...full);
  const unit = full[0] / Math.min(shownWidth || 900, 900);
  const scale = [full[0] / grid[0], full[1] / grid[1]];
  shown.forEach((place) => outline(context, place, scale, unit));
  const tags = [];
  shown.sort((one, other) => frame.detections[other][1] - frame.detections[one][1])
    .map((place) => nameTag(context, place, scale, unit, { full, tags }))
    .reverse().forEach((tag) => drawTag(context, tag, unit));
}

function paintedLayer(shown, width, height, grid) {
  if (layer.width !== width || layer.height !== height) [layer.width, layer.height] = [width, height];
  const context = layer.getContext("2d", { willReadFrequently: true });
  if (raster?.width !== width || raster.height !== height) raster = new ImageData(width, height);
  const pixels = new Uint32Array(raster.data.buffer).fill(0);
  for (const place of shown) {
    const colour = shard.colours[state.frame.detections[place][0]] ?? "#888888";
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    const packed = blue << 16 | green << 8 | red;
    paintMask(pixels, width, height, state.masks[place], grid, packed, OPACITY);
  }
  context.putImageData(raster, 0, 0);
  return layer;
}

function outline(context, place, [across, down], unit) {
  const [label, , x1, y1, x2, y2] = state.frame.detections[place];
  const box = [x1 * across, y1 * down, (x2 - x1) * across, (y2 - y1) * down];
  if (place === state.chosen) {
    context.lineWidth = 6 * unit;
    context.strokeStyle = "#ffffff";
    context.strokeRect(...box);
  }
  context.lineWidth = 2 * unit;
  context.strokeStyle = shard.colours[label] ?? "#888888";
  context.strokeRect(...box);
}

// Position of an object's name: of the candidates around its box, the one with the least overlap
// with other names.
function nameTag(context, place, [across, down], unit, { full: [width, height], tags }) {
  const [label, score, x1, y1, x2, y2] = state.frame.detections[place];
  const text = `${truncated(className(label), 24)} ${score.toFixed(2)}`;
  const size = 13 * unit;
  context.font = `${size}px system-ui, sans-serif`;
  const wide = context.measureText(text).width + 8 * unit, high = size * 1.4;
  const left = x1 * across - unit, right = x2 * across + unit - wide;
  const top = y1 * down, foot = y2 * down;
  const places = [
    [left, top - high], [right, top - high], [left, foot], [right, foot],
    [left, top], [right, top], [left, foot - high], [right, foot - high],
    [left, top - 2 * high], [left, top + high],
  ].map(([x, y]) => ({
    label, text, size, wide, high,
    x: Math.max(Math.min(x, width - wide), 0), y: Math.max(Math.min(y, height - high), 0),
    moved: Math.abs(Math.max(Math.min(y, height - high), 0) - y),
  }));
  const covered = (one) => tags.reduce((sum, other) => sum +
    Math.max(Math.min(one.x + one.wide, other.x + other.wide) - Math.max(one.x, other.x), 0) *
    Math.max(Math.min(one.y + one.high, other.y + other.high) - Math.max(one.y, other.y), 0), 0);
  const costs = places.map((each) => covered(each) * 10 + each.moved * wide);
  const tag = places[costs.indexOf(Math.min(...costs))];
  tags.push(tag);
  return tag;
}

function drawTag(context, { label, text, size, wide, high, x, y }, unit) {
  context.font = `${size}px system-ui, sans-serif`;
  context.direction = "ltr";
  context.fillStyle = shard.colours[label] ?? "#888888";
  context.fillRect(x, y, wide, high);
  context.fillStyle = shard.inks[label] ?? "#000000";
  context.textBaseline = "middle";
  context.fillText(text, x + 4 * unit, y + high / 2);
}
