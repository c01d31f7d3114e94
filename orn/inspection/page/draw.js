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
  state.masks = frame.detections.map((each) => decodeMask(each[6]));
  $("message").hidden = true;
  draw();
  listObjects();
  describe();
  describeActivities();
  document.documentElement.dataset.row = row;
  // The frames that will probably be displayed next.
  for (const next of state.step ? [row + state.step, row + 2 * state.step] : []) {
    if (next >= video().rows[0] && next < video().rows[1]) frameInFull(next).catch(() => {});
  }
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
  context.drawImage(paintedLayer(shown, grid), 0, 0, ...full);
  const unit = full[0] / Math.min(shownWidth || 900, 900);
  const scale = [full[0] / grid[0], full[1] / grid[1]];
  shown.forEach((place) => outline(context, place, scale, unit));
  const tags = [];
  shown.sort((one, other) => frame.detections[other][1] - frame.detections[one][1])
    .forEach((place) => drawName(context, place, scale, unit, tags));
}

function paintedLayer(shown, grid) {
  const gridPerPixel = Math.max(Math.max(...grid) / MOST_RASTER, 1);
  const [width, height] = grid.map((each) => Math.ceil(each / gridPerPixel));
  [layer.width, layer.height] = [width, height];
  const raster = new ImageData(width, height), pixels = new Uint32Array(raster.data.buffer);
  for (const place of shown) {
    const color = shard.colors[state.frame.detections[place][0]] ?? "#888888";
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    const packed = (OPACITY << 24 | blue << 16 | green << 8 | red) >>> 0;
    paintMask(pixels, width, state.masks[place], grid[1], gridPerPixel, packed);
  }
  layer.getContext("2d").putImageData(raster, 0, 0);
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
  context.strokeStyle = shard.colors[label] ?? "#888888";
  context.strokeRect(...box);
}

// Draws the name of an object above its box, or below the names that are already there.
function drawName(context, place, [across, down], unit, tags) {
  const [label, score, x1, y1] = state.frame.detections[place];
  const text = `${objectName(state.frame.detections[place], 24)} ${score.toFixed(2)}`;
  const size = 13 * unit, high = Math.ceil(size * 1.4);
  context.font = `${size}px system-ui, sans-serif`;
  const wide = context.measureText(text).width + 8 * unit;
  const x = Math.max(Math.min(x1 * across - unit, canvas.width - wide), 0);
  const tag = { x, y: Math.max(Math.round(y1 * down) - high, 0), end: x + wide };
  const hides = (other) => other.x < tag.end && tag.x < other.end && Math.abs(other.y - tag.y) < high;
  for (let other = tags.find(hides); other; other = tags.find(hides)) tag.y = other.y + high;
  tags.push(tag);
  context.direction = "ltr";
  context.fillStyle = shard.colors[label] ?? "#888888";
  context.fillRect(x, tag.y, wide, high);
  context.fillStyle = shard.inks[label] ?? "#000000";
  context.textBaseline = "middle";
  context.fillText(text, x + 4 * unit, tag.y + high / 2);
}
