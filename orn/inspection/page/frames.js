// Full frames, loaded on demand and cached, and their masks.

const CHUNKS_KEPT = 16, FRAMES_KEPT = 24;

const labels = new Uint16Array(bytes(data.labels).buffer), scores = bytes(data.scores);
const offsets = new Int32Array(data.counts.length + 1);
data.counts.forEach((count, row) => { offsets[row + 1] = offsets[row] + count; });

// Returns the value of a key, loaded once and kept while it is among the `most` last used.
function cached(map, key, load, most) {
  const value = map.get(key) ?? load(key);
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value);
  return value;
}

const frames = new Map(), chunks = new Map(), arrived = {};

// Called by the files of the folder with their frames, one per line.
window.ornFrames = (number, text) => { arrived[number] = text.split("\n"); };

// The frames of a chunk as JSON texts, which are parsed on demand.
function loadChunk(number) {
  const script = element("script", { src: `${data.folder}/${String(number).padStart(6, "0")}.js` });
  document.head.append(script);
  return new Promise((resolve, reject) => {
    script.onload = () => {
      resolve(arrived[number]);
      delete arrived[number];
      script.remove();
    };
    script.onerror = () => reject(new Error("A file is missing: the folder of this page is incomplete."));
  });
}

// Without decode(), which waits for the screen and does not help a canvas.
function loadPicture(jpeg) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("The picture of this frame is damaged."));
    image.src = `data:image/jpeg;base64,${jpeg}`;
  });
}

async function loadFrame(row) {
  const number = Math.floor(row / data.framesOfFile);
  const texts = await cached(chunks, number, loadChunk, CHUNKS_KEPT);
  const [jpeg, detections] = JSON.parse(texts[row % data.framesOfFile]);
  const masks = detections.map((detection) => decodeMask(detection[6]));
  return { picture: jpeg ? await loadPicture(jpeg) : null, detections, masks };
}

// Returns {picture or null, detections, masks} of a row.
const frameInFull = (row) => cached(frames, row, loadFrame, FRAMES_KEPT);

// Value of each of the 64 digits, by character code.
const DIGITS = new Uint8Array(128);
[..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"].forEach((letter, digit) => {
  DIGITS[letter.charCodeAt(0)] = digit;
});

// The run lengths of a mask from COCO's text, and its area in cells of the grid.
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
