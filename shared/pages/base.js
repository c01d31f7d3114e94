// Helpers of all pages.

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const truncated = (text, most) => text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
// Untrusted text: characters that would affect the surrounding text are escaped, and names that
// run from right to left are isolated.
const plain = (text) => text.replace(
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
  (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
const apart = (text) => /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]/.test(text)
  ? `\u2068${text}\u2069` : text;
const plural = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;
