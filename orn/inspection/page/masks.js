// Decoding of masks from COCO run lengths, and painting.

// Value of each of the 64 digits, by character code.
const DIGITS = new Uint8Array(128);
[..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"].forEach((letter, digit) => {
  DIGITS[letter.charCodeAt(0)] = digit;
});

// The run lengths of a mask, and its area in cells of the grid.
function decodeMask(text) {
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
  return { runs, area: runs.reduce((sum, length, run) => run % 2 ? sum + length : sum, 0) };
}

// Paints a mask, whose runs go down the columns of the grid, on a raster of 0xAABBGGRR pixels.
function paintMask(pixels, width, { runs }, gridHeight, gridPerPixel, color) {
  for (let run = 0, start = 0; run < runs.length; start += runs[run++]) {
    for (let cell = start; run % 2 && cell < start + runs[run]; cell++) {
      const x = Math.floor(cell / gridHeight), y = cell % gridHeight;
      pixels[Math.floor(y / gridPerPixel) * width + Math.floor(x / gridPerPixel)] = color;
    }
  }
}
