// Drawing of a frame with masks, boxes and names on a canvas.

const OPACITY = 115, MOST_RASTER = 1920;
const canvas = $("canvas"), layer = document.createElement("canvas");
let shownWidth = 0;

// Draws the detections at these places of a frame, and marks the chosen one.
function drawFrame({ picture, detections, masks }, { size, grid }, places, chosen) {
  const ratio = window.devicePixelRatio || 1;
  const enlarged = Math.max(Math.min((shownWidth || size[0]) * ratio, 1920) / size[0], 1);
  const full = size.map((pixels) => Math.round(pixels * enlarged));
  if (canvas.width !== full[0] || canvas.height !== full[1]) [canvas.width, canvas.height] = full;
  const context = canvas.getContext("2d");
  context.fillStyle = "#767676";
  context.fillRect(0, 0, ...full);
  if (picture) context.drawImage(picture, 0, 0, ...full);
  const largestFirst = places.toSorted((one, other) => masks[other].area - masks[one].area);
  const painted = largestFirst.map((place) => [masks[place], colorOf(detections[place][0])]);
  context.drawImage(paintedLayer(painted, grid), 0, 0, ...full);
  const unit = full[0] / Math.min(shownWidth || 900, 900);
  const scale = [full[0] / grid[0], full[1] / grid[1]], tags = [];
  largestFirst.forEach((place) => outline(context, detections[place], scale, unit, place === chosen));
  places.toSorted((one, other) => detections[other][1] - detections[one][1])
    .forEach((place) => drawName(context, detections[place], scale, unit, tags));
}

function paintedLayer(painted, grid) {
  const gridPerPixel = Math.max(Math.max(...grid) / MOST_RASTER, 1);
  [layer.width, layer.height] = grid.map((cells) => Math.ceil(cells / gridPerPixel));
  const raster = new ImageData(layer.width, layer.height);
  const pixels = new Uint32Array(raster.data.buffer);
  for (const [mask, color] of painted) {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    const packed = (OPACITY << 24 | blue << 16 | green << 8 | red) >>> 0;
    paintMask(pixels, layer.width, mask, grid[1], gridPerPixel, packed);
  }
  layer.getContext("2d").putImageData(raster, 0, 0);
  return layer;
}

function outline(context, [label, , x1, y1, x2, y2], [across, down], unit, isChosen) {
  const box = [x1 * across, y1 * down, (x2 - x1) * across, (y2 - y1) * down];
  for (const [width, color] of isChosen ? [[6, "#ffffff"], [2, colorOf(label)]] : [[2, colorOf(label)]]) {
    [context.lineWidth, context.strokeStyle] = [width * unit, color];
    context.strokeRect(...box);
  }
}

// Draws the name of an object above its box, or below the names that are already there.
function drawName(context, detection, [across, down], unit, tags) {
  const [label, score, x1, y1] = detection;
  const text = `${objectName(detection, 24)} ${score.toFixed(2)}`;
  const size = 13 * unit, high = Math.ceil(size * 1.4);
  context.font = `${size}px system-ui, sans-serif`;
  const wide = context.measureText(text).width + 8 * unit;
  const x = Math.max(Math.min(x1 * across - unit, canvas.width - wide), 0);
  const tag = { x, y: Math.max(Math.round(y1 * down) - high, 0), end: x + wide };
  const hides = (other) => other.x < tag.end && tag.x < other.end && Math.abs(other.y - tag.y) < high;
  for (let other = tags.find(hides); other; other = tags.find(hides)) tag.y = other.y + high;
  tags.push(tag);
  context.direction = "ltr";
  context.fillStyle = colorOf(label);
  context.fillRect(x, tag.y, wide, high);
  context.fillStyle = data.inks[label] ?? "#000000";
  context.textBaseline = "middle";
  context.fillText(text, x + 4 * unit, tag.y + high / 2);
}
