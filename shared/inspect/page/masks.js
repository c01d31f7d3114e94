// Decoding of masks from COCO run lengths, and painting.

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

// Paints a mask on a raster of 0xAABBGGRR pixels, which is at most as large as the grid.
function paintMask(pixels, width, mask, gridPerPixel, colour) {
  const first = Math.ceil(mask.x / gridPerPixel), last = (mask.x + mask.width) / gridPerPixel;
  for (let y = Math.ceil(mask.y / gridPerPixel); y < (mask.y + mask.height) / gridPerPixel; y++) {
    const row = Math.floor(y * gridPerPixel) - mask.y;
    for (let x = first; x < last; x++) {
      const column = Math.floor(x * gridPerPixel) - mask.x;
      if (mask.cells[row * mask.width + column]) pixels[y * width + x] = colour;
    }
  }
}
