// Decoding of masks from COCO run lengths, and painting on a raster of any size.

// Value of each of the 64 digits, by character code.
const DIGITS = new Uint8Array(128);
[..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"].forEach((letter, digit) => {
  DIGITS[letter.charCodeAt(0)] = digit;
});

function runLengths(text) {
  const runs = [];
  let place = 0;
  while (place < text.length) {
    let value = 0, shift = 0, digit;
    do {
      digit = DIGITS[text.charCodeAt(place++)];
      value += (digit & 31) * 2 ** shift;
      shift += 5;
    } while (digit & 32);
    if (digit & 16) value -= 2 ** shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

// The mask inside its bounding box: {x, y, width, height, cells, area}; cells are rows of 0 and 1.
function decodeMask(text, gridWidth, gridHeight) {
  const runs = runLengths(text), spans = [];
  let left = gridWidth, right = 0, top = gridHeight, bottom = 0, area = 0, pixel = 0;
  for (let run = 0; run < runs.length; run++) {
    let remaining = runs[run];
    if (run % 2 === 0) { pixel += remaining; continue; }
    area += remaining;
    while (remaining > 0) {
      const x = Math.floor(pixel / gridHeight), y = pixel - x * gridHeight;
      const length = Math.min(remaining, gridHeight - y);
      spans.push(x, y, length);
      left = Math.min(left, x); right = Math.max(right, x + 1);
      top = Math.min(top, y); bottom = Math.max(bottom, y + length);
      pixel += length; remaining -= length;
    }
  }
  const width = Math.max(right - left, 0), height = Math.max(bottom - top, 0);
  const cells = new Uint8Array(width * height);
  for (let span = 0; span < spans.length; span += 3) {
    let cell = (spans[span + 1] - top) * width + spans[span] - left;
    for (let count = spans[span + 2]; count > 0; count--, cell += width) cells[cell] = 1;
  }
  return { x: left, y: top, width, height, cells, area };
}

// Returns whether a point of the grid is inside the mask.
function covers(mask, x, y) {
  const column = Math.floor(x) - mask.x, row = Math.floor(y) - mask.y;
  return column >= 0 && row >= 0 && column < mask.width && row < mask.height &&
    mask.cells[row * mask.width + column] === 1;
}

// Cells of a mask with a border of `margin` cells, with edge values repeated at the grid's border.
function padded(mask, margin, gridWidth, gridHeight) {
  const width = mask.width + 2 * margin, height = mask.height + 2 * margin;
  const cells = new Float32Array(width * height);
  const clamp = (value, last) => Math.min(Math.max(value, 0), last);
  for (let row = 0; row < height; row++) {
    const y = clamp(mask.y + row - margin, gridHeight - 1) - mask.y;
    if (y < 0 || y >= mask.height) continue;
    for (let column = 0; column < width; column++) {
      const x = clamp(mask.x + column - margin, gridWidth - 1) - mask.x;
      if (x >= 0 && x < mask.width) cells[row * width + column] = mask.cells[y * mask.width + x];
    }
  }
  return { cells, width, height };
}

// Blurs along one axis by less than a cell, which smooths steps but keeps single cells.
function blur(from, to, count, step) {
  for (let cell = 0; cell < count; cell++) {
    const before = cell >= step ? from[cell - step] : 0;
    const after = cell + step < count ? from[cell + step] : 0;
    to[cell] = 0.62 * from[cell] + 0.19 * (before + after);
  }
}

// Paints a mask on a raster of 0xAABBGGRR pixels.
function paintMask(pixels, width, height, mask, grid, colour, alpha) {
  const across = width / grid[0], down = height / grid[1];
  if (mask.area === 0) return;
  if (Math.max(across, down) > 1.5) {
    paintSmooth(pixels, width, height, mask, grid, colour, alpha);
    return;
  }
  const last = Math.min(Math.ceil((mask.x + mask.width) * across), width);
  const foot = Math.min(Math.ceil((mask.y + mask.height) * down), height);
  const full = (alpha << 24 | colour) >>> 0;
  for (let y = Math.floor(mask.y * down); y < foot; y++) {
    const row = Math.floor((y + 0.5) / down) - mask.y;
    if (row < 0 || row >= mask.height) continue;
    for (let x = Math.floor(mask.x * across); x < last; x++) {
      const column = Math.floor((x + 0.5) / across) - mask.x;
      if (column >= 0 && column < mask.width && mask.cells[row * mask.width + column]) {
        pixels[y * width + x] = full;
      }
    }
  }
}

// Paints an enlarged mask with a smooth edge.
function paintSmooth(pixels, width, height, mask, grid, colour, alpha) {
  const across = width / grid[0], down = height / grid[1], margin = 2;
  const { cells, width: columns, height: rows } = padded(mask, margin, grid[0], grid[1]);
  const between = new Float32Array(cells.length);
  blur(cells, between, cells.length, 1);
  blur(between, cells, cells.length, columns);
  const peak = cells.reduce((most, value) => Math.max(most, value), 0);
  const level = 0.5 * Math.min(peak, 1), steepness = 0.7 * Math.max(across, down);
  const first = Math.max(Math.floor((mask.x - 1) * across), 0);
  const last = Math.min(Math.ceil((mask.x + mask.width + 1) * across), width);
  const head = Math.max(Math.floor((mask.y - 1) * down), 0);
  const foot = Math.min(Math.ceil((mask.y + mask.height + 1) * down), height);
  const full = (alpha << 24 | colour) >>> 0, line = new Float32Array(columns);
  const at = (x) => Math.min(Math.max((x + 0.5) / across - 0.5 - mask.x + margin, 0), columns - 1.001);
  const us = Float64Array.from({ length: last - first }, (_, n) => at(first + n));
  for (let y = head; y < foot; y++) {
    const v = Math.min(Math.max((y + 0.5) / down - 0.5 - mask.y + margin, 0), rows - 1.001);
    const above = Math.floor(v) * columns, below = v - Math.floor(v);
    for (let column = 0; column < columns; column++) {
      const upper = cells[above + column], lower = cells[above + columns + column];
      line[column] = (upper + (lower - upper) * below - level) * steepness + 0.5;
    }
    for (let x = first, place = y * width + first; x < last; x++, place++) {
      const column = us[x - first] | 0, from = line[column], to = line[column + 1];
      if (from <= 0 && to <= 0) continue;
      const share = from + (to - from) * (us[x - first] - column);
      if (share >= 1) pixels[place] = full;
      else if (share > 0) pixels[place] = mixed(pixels[place], colour, alpha, share);
    }
  }
}

// Blends a partially covered pixel with a translucent color.
function mixed(below, colour, alpha, share) {
  if (share >= 1 || below >>> 24 === 0) return (Math.round(alpha * share) << 24 | colour) >>> 0;
  const mix = (shift) =>
    Math.round((below >>> shift & 255) * (1 - share) + (colour >>> shift & 255) * share) << shift;
  return (below & 0xff000000 | mix(16) | mix(8) | mix(0)) >>> 0;
}
